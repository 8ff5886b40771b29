// A batch that throws or fails costs the observation that is to blame, and nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <set>
#include <stdexcept>
#include <vector>

#include "core/stream/thread_executor.h"
#include "core/stream/worker_pool.h"
#include "tests/core/stream/recording_handler.h"
#include "tests/core/stream/slices.h"

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MakeSlice;
using testing::RecordingHandler;
using testing::Sequences;
using testing::SpaceId;
using testing::TestSpace;
using testing::TestStream;

enum class Fault { kException, kOddException, kStatus };

class WorkerPoolFaults : public ::testing::TestWithParam<Fault> {
 protected:
  WorkerPoolFaults() {
    for (int i = 0; i < 8; ++i) {
      spaces_.push_back(std::make_shared<TestSpace>(i));
      streams_.push_back(std::make_shared<TestStream>(i));
    }
    handler_.on_commit = [this](const Portion& portion) { return Judge(portion); };
  }

  void Start(size_t workers, uint64_t batch) {
    WorkerTuning tuning;
    tuning.min_batch = tuning.max_batch = batch;
    tuning.idle_sleep = std::chrono::milliseconds(1);
    executor_.emplace(static_cast<unsigned>(workers));
    pool_.emplace(workers, 10'000, tuning, &handler_, &*executor_, &clock_);
  }

  // Fails a commit with one of the poisonous sequences in it.
  absl::Status Judge(const Portion& portion) {
    for (const uint64_t sequence : Sequences(portion)) {
      if (!poison_.contains(sequence)) continue;
      switch (GetParam()) {
        case Fault::kException:
          throw std::runtime_error("sequence " + std::to_string(sequence) + " is poison");
        case Fault::kOddException:
          throw 42;
        case Fault::kStatus:
          return absl::InternalError("sequence " + std::to_string(sequence) + " is poison");
      }
    }
    return absl::OkStatus();
  }

  bool throws() const { return GetParam() != Fault::kStatus; }

  std::set<uint64_t> poison_;
  RealClock clock_;
  RecordingHandler handler_;
  std::vector<std::shared_ptr<TestSpace>> spaces_;
  std::vector<std::shared_ptr<TestStream>> streams_;
  std::optional<ThreadExecutor> executor_;
  std::optional<WorkerPool> pool_;
};

TEST_P(WorkerPoolFaults, OnlyThePoisonousObservationIsRefused) {
  poison_ = {5};
  Start(1, 10);
  pool_->Push(0, spaces_[0], MakeSlice(streams_[0], 1, 4));
  pool_->Push(0, spaces_[0], MakeSlice(streams_[1], 3, 6));
  ASSERT_TRUE(pool_->AwaitIdle(MonotonicTime::max()));

  const auto refusals = handler_.refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_THAT(refusals[0].sequences, ElementsAre(5));
  if (GetParam() != Fault::kOddException) {
    EXPECT_THAT(refusals[0].why.message(), HasSubstr("sequence 5 is poison"));
  }
  EXPECT_EQ(refusals[0].why.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(handler_.commits(0), (RecordingHandler::Commits{
                                     {0, 1}, {0, 2}, {0, 3}, {0, 4}, {1, 3}, {1, 4}, {1, 6}, {1, 7}, {1, 8}}));
  EXPECT_EQ(handler_.threw() + handler_.failed(), 1u) << "one batch failed";
  EXPECT_EQ(throws() ? handler_.threw() : handler_.failed(), 1u);
  EXPECT_EQ(handler_.through(0), 4u);
  EXPECT_EQ(handler_.through(1), 8u);
  EXPECT_EQ(handler_.last_pieces(), 2u) << "each slice ends once, with its last observation";
}

TEST_P(WorkerPoolFaults, ALoneObservationIsTriedTwiceAndRefused) {
  poison_ = {1};
  Start(1, 1);
  pool_->Push(0, spaces_[0], MakeSlice(streams_[0], 1, 1));
  ASSERT_TRUE(pool_->AwaitIdle(MonotonicTime::max()));
  EXPECT_EQ(handler_.refusals().size(), 1u);
  EXPECT_EQ(handler_.observations(), 0u);
  EXPECT_EQ(handler_.through(0), 1u) << "the watermark moves past it";
}

TEST_P(WorkerPoolFaults, AFailureThatPassesLosesNothing) {
  int left = 1;
  handler_.on_commit = [&](const Portion& portion) {
    if (left-- > 0) {
      poison_ = {Sequences(portion).front()};
      return Judge(portion);
    }
    return absl::OkStatus();
  };
  Start(1, 10);
  pool_->Push(0, spaces_[0], MakeSlice(streams_[0], 1, 10));
  ASSERT_TRUE(pool_->AwaitIdle(MonotonicTime::max()));
  EXPECT_TRUE(handler_.refusals().empty());
  EXPECT_EQ(handler_.observations(), 10u);
}

TEST_P(WorkerPoolFaults, AnEmptySliceInAFailedBatchIsNotLost) {
  poison_ = {2};
  Start(1, 10);
  pool_->Push(0, spaces_[0], MakeSlice(streams_[0], 1, 9));
  pool_->Push(0, spaces_[0], MakeSlice(streams_[0], 12, 0));
  pool_->Push(0, spaces_[0], MakeSlice(streams_[1], 1, 1));
  ASSERT_TRUE(pool_->AwaitIdle(MonotonicTime::max()));
  EXPECT_EQ(handler_.through(0), 12u);
  EXPECT_EQ(handler_.last_pieces(), 3u);
}

TEST_P(WorkerPoolFaults, OtherSpacesOfTheBatchAreNotRetried) {
  poison_ = {100};
  Start(1, 20);
  // Held until all three are in the lane, so that one batch takes them.
  std::latch pushed(1);
  handler_.on_started = [&](const Batch&, size_t, bool) { pushed.wait(); };
  pool_->Push(0, spaces_[7], MakeSlice(streams_[7], 1, 20));
  pool_->Push(0, spaces_[0], MakeSlice(streams_[0], 1, 5));
  pool_->Push(0, spaces_[1], MakeSlice(streams_[1], 96, 10));
  pool_->Push(0, spaces_[2], MakeSlice(streams_[2], 1, 5));
  pushed.count_down();
  ASSERT_TRUE(pool_->AwaitIdle(MonotonicTime::max()));
  EXPECT_THAT(handler_.started()[1].spaces, ElementsAre(0, 1, 2));
  EXPECT_EQ(handler_.commits(0).size(), 5u);
  EXPECT_EQ(handler_.commits(1).size(), 9u);
  EXPECT_EQ(handler_.commits(2).size(), 5u);
  // One portion each, and nine single ones.
  EXPECT_EQ(handler_.portions(), 3u + 9u);
}

// The original lost a worker with each panic, until none was left.
TEST_P(WorkerPoolFaults, AThousandFailuresCostNoWorker) {
  constexpr size_t kWorkers = 4;
  constexpr uint64_t kBatches = 1000, kEach = 5;
  for (uint64_t batch = 0; batch < kBatches; ++batch) poison_.insert(batch * kEach + 3);
  Start(kWorkers, kEach);
  for (uint64_t batch = 0; batch < kBatches; ++batch) {
    const size_t space = batch % spaces_.size();
    pool_->Push(space % kWorkers, spaces_[space], MakeSlice(streams_[space], batch * kEach + 1, kEach));
  }
  ASSERT_TRUE(pool_->AwaitIdle(MonotonicTime::max()));
  EXPECT_EQ(handler_.refusals().size(), kBatches);
  EXPECT_EQ(handler_.observations(), kBatches * (kEach - 1));
  EXPECT_EQ(throws() ? handler_.threw() : handler_.failed(), kBatches);
  EXPECT_EQ(handler_.last_pieces(), kBatches);
  EXPECT_EQ(handler_.overlaps(), 0u);
  EXPECT_EQ(pool_->unfinished(), 0u);

  // All workers are still there: they meet.
  std::latch all(kWorkers);
  handler_.on_commit = [&](const Portion&) {
    all.arrive_and_wait();
    return absl::OkStatus();
  };
  for (size_t lane = 0; lane < kWorkers; ++lane) {
    pool_->Push(lane, spaces_[lane], MakeSlice(streams_[lane], 1'000'000, kEach));
  }
  EXPECT_TRUE(pool_->AwaitIdle(MonotonicTime::max()));
}

std::string FaultName(const ::testing::TestParamInfo<Fault>& info) {
  switch (info.param) {
    case Fault::kException:
      return "Exception";
    case Fault::kOddException:
      return "OddException";
    case Fault::kStatus:
      return "Status";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Faults, WorkerPoolFaults,
                         ::testing::Values(Fault::kException, Fault::kOddException, Fault::kStatus), FaultName);

}  // namespace
}  // namespace engram
