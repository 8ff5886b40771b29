// Random work against a model of the lane's promises: who is next, what order, what is left.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "core/stream/lane.h"
#include "tests/core/stream/slices.h"

namespace engram {
namespace {

using testing::MakeSlice;
using testing::StreamId;
using testing::TestSpace;
using testing::TestStream;

constexpr int kSpaces = 5;
constexpr int kStreams = 3;  // In each space.

// What waits, in the plainest form: one item per observation, and one for an empty slice.
struct Item {
  int stream = 0;
  uint64_t sequence = 0;
  bool counts = true;

  friend bool operator==(const Item&, const Item&) = default;
};

struct ModelSpace {
  std::array<std::deque<Item>, 2> waiting;
  bool out = false;

  bool Any(int place, int stream) const {
    const auto& items = waiting[static_cast<size_t>(place)];
    return std::any_of(items.begin(), items.end(), [&](const Item& item) { return item.stream == stream; });
  }
  bool Offers(int place) const { return !out && !waiting[static_cast<size_t>(place)].empty(); }
};

class LaneModel : public ::testing::TestWithParam<uint64_t> {
 protected:
  LaneModel() : random_(GetParam()) {
    for (int space = 0; space < kSpaces; ++space) {
      spaces_.push_back(std::make_shared<TestSpace>(space));
      for (int i = 0; i < kStreams; ++i) {
        streams_.push_back(std::make_shared<TestStream>(space * kStreams + i));
        sequences_.push_back(0);
        taken_.push_back(0);
      }
    }
  }

  uint64_t Draw(uint64_t most) { return std::uniform_int_distribution<uint64_t>(0, most)(random_); }

  void Push() {
    // The first space gets most of it.
    const int space = Draw(1) == 0 ? 0 : static_cast<int>(Draw(kSpaces - 1));
    const int stream = space * kStreams + static_cast<int>(Draw(kStreams - 1));
    const uint64_t sort = Draw(9);
    const auto count = static_cast<uint32_t>(sort == 0 ? 0 : sort == 1 ? 20 + Draw(60) : 1 + Draw(4));
    const Priority priority = Draw(3) == 0 ? Priority::kHigh : Priority::kNormal;
    uint64_t& last = sequences_[static_cast<size_t>(stream)];
    ModelSpace& model = model_[static_cast<size_t>(space)];
    size_t place = priority == Priority::kHigh ? 1 : 0;
    if (place == 1) {
      auto& normal = model.waiting[0];
      const auto moved = std::stable_partition(normal.begin(), normal.end(),
                                               [&](const Item& item) { return item.stream != stream; });
      model.waiting[1].insert(model.waiting[1].end(), moved, normal.end());
      normal.erase(moved, normal.end());
    } else if (model.Any(1, stream)) {
      place = 1;
    }
    // An empty slice carries a watermark: that of a frame with nothing valid in it.
    if (count == 0) model.waiting[place].push_back({stream, ++last, false});
    Slice slice = MakeSlice(streams_[static_cast<size_t>(stream)], count == 0 ? last : last + 1, count, priority);
    for (uint32_t i = 0; i < count; ++i) model.waiting[place].push_back({stream, ++last, true});
    frames_.push_back(slice.frame);
    ends_[slice.frame.get()] = count;
    lane_.Push(spaces_[static_cast<size_t>(space)], std::move(slice));
  }

  void Take() {
    const uint64_t most = 1 + Draw(Draw(1) == 0 ? 5 : 60);
    const std::optional<Batch> batch = lane_.Take(most);
    const auto offered = [&](int place) {
      return std::any_of(model_.begin(), model_.end(), [&](const ModelSpace& s) { return s.Offers(place); });
    };
    const bool normal = offered(0), high = offered(1);
    ASSERT_EQ(batch.has_value(), normal || high);
    if (!batch) return;
    const int place = batch->priority == Priority::kHigh ? 1 : 0;
    ASSERT_EQ(place, streak_ >= Lane::kHighStreak ? (normal ? 0 : 1) : (high ? 1 : 0));
    streak_ = place == 1 ? streak_ + 1 : 0;

    uint64_t sum = 0;
    for (const Portion& portion : batch->portions) {
      ModelSpace& space = model_[static_cast<size_t>(testing::SpaceId(portion))];
      ASSERT_FALSE(space.out) << "one batch at a time, and once in it";
      space.out = true;
      ASSERT_FALSE(portion.slices.empty());
      auto& waiting = space.waiting[static_cast<size_t>(place)];
      for (const Slice& slice : portion.slices) Remove(slice, waiting);
      for (const Slice& slice : portion.slices) sum += slice.size();
      ASSERT_FALSE(::testing::Test::HasFatalFailure());
      // Less than was there only because the batch is full.
      ASSERT_TRUE(waiting.empty() || sum == most);
    }
    ASSERT_EQ(batch->observations, sum);
    ASSERT_LE(sum, most);
    ASSERT_TRUE(sum == most || !offered(place)) << "there was more to take";
    out_.push_back(*batch);
  }

  // The slice is exactly the front of what waited.
  void Remove(const Slice& slice, std::deque<Item>& waiting) {
    const int stream = StreamId(slice);
    uint64_t& through = taken_[static_cast<size_t>(stream)];
    if (slice.size() == 0) {
      ASSERT_FALSE(waiting.empty());
      ASSERT_EQ(waiting.front(), (Item{stream, slice.through_sequence, false}));
      waiting.pop_front();
    }
    for (uint32_t i = slice.begin; i < slice.end; ++i) {
      ASSERT_FALSE(waiting.empty());
      ASSERT_EQ(waiting.front(), (Item{stream, slice.frame->SequenceOf(i), true}));
      ASSERT_EQ(waiting.front().sequence, ++through) << "stream " << stream << " out of order";
      waiting.pop_front();
    }
    if (slice.size() == 0) ++through;
    ASSERT_EQ(slice.through_sequence, through);
    ASSERT_EQ(slice.last, slice.end == ends_.at(slice.frame.get()));
  }

  void Done() {
    if (out_.empty()) return;
    const size_t which = Draw(out_.size() - 1);
    std::swap(out_[which], out_.back());
    for (const Portion& portion : out_.back().portions) {
      model_[static_cast<size_t>(testing::SpaceId(portion))].out = false;
    }
    const bool ready = lane_.Done(out_.back());
    out_.pop_back();
    // It may say so for work that is out; never the other way.
    ASSERT_TRUE(ready || !lane_.Ready());
  }

  void CheckDepths() {
    std::array<uint64_t, 2> counts{};
    bool ready = false;
    for (const ModelSpace& space : model_) {
      for (size_t place = 0; place < 2; ++place) {
        for (const Item& item : space.waiting[place]) counts[place] += item.counts;
        ready |= space.Offers(static_cast<int>(place));
      }
    }
    ASSERT_EQ(lane_.DepthOf(Priority::kNormal), counts[0]);
    ASSERT_EQ(lane_.DepthOf(Priority::kHigh), counts[1]);
    ASSERT_EQ(lane_.depth(), counts[0] + counts[1]);
    ASSERT_EQ(lane_.Ready(), ready);
  }

  std::mt19937_64 random_;
  Lane lane_;
  std::vector<std::shared_ptr<TestSpace>> spaces_;
  std::vector<std::shared_ptr<TestStream>> streams_;
  std::array<ModelSpace, kSpaces> model_;
  std::vector<uint64_t> sequences_;  // By stream: the last one pushed.
  std::vector<uint64_t> taken_;      // By stream: the last one taken.
  std::vector<Batch> out_;
  std::vector<std::shared_ptr<const Frame>> frames_;  // Kept, so that no address comes twice.
  std::map<const Frame*, uint32_t> ends_;
  uint32_t streak_ = 0;
};

TEST_P(LaneModel, AgreesWithTheModel) {
  for (int step = 0; step < 4000; ++step) {
    SCOPED_TRACE(::testing::Message() << "seed " << GetParam() << " step " << step);
    // Now filling, now emptying.
    const uint64_t pushes = step / 500 % 2 == 0 ? 5 : 2;
    const uint64_t what = Draw(9);
    what < pushes ? Push() : what < 8 ? Take() : Done();
    ASSERT_NO_FATAL_FAILURE(CheckDepths());
    ASSERT_FALSE(HasFatalFailure());
  }
  while (!out_.empty() || lane_.depth() > 0 || lane_.Ready()) {
    Take();
    Done();
    ASSERT_FALSE(HasFatalFailure()) << "seed " << GetParam();
  }
  EXPECT_EQ(taken_, sequences_) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, LaneModel, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace engram
