#include "core/stream/lane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/core/stream/slices.h"

namespace engram {
namespace {

using ::testing::ElementsAre;
using testing::MakeSlice;
using testing::Sequences;
using testing::SpaceId;
using testing::TestSpace;
using testing::TestStream;

constexpr Priority kNormal = Priority::kNormal;
constexpr Priority kHigh = Priority::kHigh;

class LaneTest : public ::testing::Test {
 protected:
  LaneTest() {
    for (int i = 0; i < 4; ++i) spaces_.push_back(std::make_shared<TestSpace>(i));
  }

  void Push(int space, uint64_t first, uint32_t count, Priority priority = kNormal,
            std::shared_ptr<StreamOrder> stream = nullptr) {
    lane_.Push(spaces_[static_cast<size_t>(space)], MakeSlice(std::move(stream), first, count, priority));
  }

  // "1:5,6,7 0:1" for a batch with 5, 6, 7 of space 1 and 1 of space 0; "nothing" for none.
  static std::string Text(const std::optional<Batch>& batch) {
    if (!batch) return "nothing";
    std::string text;
    for (const Portion& portion : batch->portions) {
      text += (text.empty() ? "" : " ") + std::to_string(SpaceId(portion)) + ":";
      bool first = true;
      for (const uint64_t sequence : Sequences(portion)) {
        text += (first ? "" : ",") + std::to_string(sequence);
        first = false;
      }
    }
    return text;
  }

  // Takes and is done at once.
  std::string Next(uint64_t most) {
    const std::optional<Batch> batch = lane_.Take(most);
    if (batch) lane_.Done(*batch);
    return Text(batch);
  }

  Lane lane_;
  std::vector<std::shared_ptr<TestSpace>> spaces_;
};

TEST_F(LaneTest, AnEmptyOneGivesNothing) {
  EXPECT_FALSE(lane_.Ready());
  EXPECT_EQ(lane_.depth(), 0u);
  EXPECT_EQ(Next(10), "nothing");
}

TEST_F(LaneTest, FirstInFirstOutWithinASpace) {
  Push(0, 1, 2);
  Push(0, 3, 1);
  Push(0, 4, 2);
  EXPECT_TRUE(lane_.Ready());
  EXPECT_EQ(lane_.depth(), 5u);
  EXPECT_EQ(Next(10), "0:1,2,3,4,5");
  EXPECT_EQ(lane_.depth(), 0u);
  EXPECT_FALSE(lane_.Ready());
}

TEST_F(LaneTest, ABatchTakesFromOneSpaceAfterAnother) {
  Push(0, 1, 3);
  Push(1, 1, 3);
  Push(2, 1, 3);
  EXPECT_EQ(Next(7), "0:1,2,3 1:1,2,3 2:1");
  EXPECT_EQ(Next(7), "2:2,3");
}

TEST_F(LaneTest, SpacesTakeTurns) {
  for (int space = 0; space < 3; ++space) Push(space, 1, 4);
  std::vector<std::string> batches;
  for (int i = 0; i < 6; ++i) batches.push_back(Next(2));
  EXPECT_THAT(batches, ElementsAre("0:1,2", "1:1,2", "2:1,2", "0:3,4", "1:3,4", "2:3,4"));
}

TEST_F(LaneTest, ADeepSpaceDoesNotHoldUpALateShallowOne) {
  Push(0, 1, 1000);
  EXPECT_EQ(Next(2), "0:1,2");
  Push(1, 1, 1);
  EXPECT_EQ(Next(2), "0:3,4");
  EXPECT_EQ(Next(2), "1:1 0:5");
}

TEST_F(LaneTest, ASpaceThatIsOutGivesNoMoreUntilDone) {
  Push(0, 1, 4);
  const std::optional<Batch> first = lane_.Take(2);
  ASSERT_EQ(Text(first), "0:1,2");
  Push(0, 5, 1);
  EXPECT_FALSE(lane_.Ready());
  EXPECT_EQ(Next(10), "nothing");
  EXPECT_EQ(lane_.depth(), 3u);
  // Other spaces go on meanwhile.
  Push(1, 1, 1);
  EXPECT_TRUE(lane_.Ready());
  EXPECT_EQ(Next(10), "1:1");
  EXPECT_TRUE(lane_.Done(*first)) << "there is work again";
  EXPECT_TRUE(lane_.Ready());
  EXPECT_EQ(Next(10), "0:3,4,5");
}

TEST_F(LaneTest, DoneSaysWhenNothingIsLeft) {
  Push(0, 1, 2);
  const std::optional<Batch> batch = lane_.Take(10);
  EXPECT_FALSE(lane_.Done(*batch));
}

TEST_F(LaneTest, SplitsAtTheBatchSize) {
  Push(0, 10, 7);
  const std::optional<Batch> first = lane_.Take(3);
  ASSERT_EQ(Text(first), "0:10,11,12");
  EXPECT_EQ(first->observations, 3u);
  EXPECT_EQ(first->portions[0].slices[0].through_sequence, 12u);
  EXPECT_FALSE(first->portions[0].slices[0].last);
  lane_.Done(*first);
  const std::optional<Batch> second = lane_.Take(3);
  ASSERT_EQ(Text(second), "0:13,14,15");
  EXPECT_EQ(second->portions[0].slices[0].through_sequence, 15u);
  EXPECT_FALSE(second->portions[0].slices[0].last);
  lane_.Done(*second);
  const std::optional<Batch> third = lane_.Take(3);
  ASSERT_EQ(Text(third), "0:16");
  EXPECT_EQ(third->portions[0].slices[0].through_sequence, 16u);
  EXPECT_TRUE(third->portions[0].slices[0].last);
}

TEST_F(LaneTest, ASliceThatJustFitsIsNotSplit) {
  Push(0, 1, 3);
  const std::optional<Batch> batch = lane_.Take(3);
  ASSERT_EQ(Text(batch), "0:1,2,3");
  EXPECT_TRUE(batch->portions[0].slices[0].last);
  EXPECT_FALSE(lane_.Done(*batch));
}

// Refused observations leave holes in a frame's sequences. A piece's watermark reaches up to the next piece's first, and
// the last one's is the slice's own, holes at its end included.
TEST_F(LaneTest, WatermarksOfPiecesCoverHoles) {
  auto frame = std::make_shared<Frame>();
  frame->sequences = {5, 7, 11, 12};
  Slice slice;
  slice.frame = frame;
  slice.end = 4;
  slice.through_sequence = 15;
  lane_.Push(spaces_[0], slice);
  std::vector<uint64_t> through;
  for (int i = 0; i < 4; ++i) {
    const std::optional<Batch> batch = lane_.Take(1);
    through.push_back(batch->portions[0].slices[0].through_sequence);
    lane_.Done(*batch);
  }
  EXPECT_THAT(through, ElementsAre(6, 10, 11, 15));
}

TEST_F(LaneTest, EmptySlicesPassThrough) {
  const auto stream = std::make_shared<TestStream>(0);
  Push(0, 1, 2, kNormal, stream);
  Push(0, 9, 0, kNormal, stream);
  Push(0, 10, 0, kNormal, stream);
  EXPECT_EQ(lane_.depth(), 2u);
  const std::optional<Batch> batch = lane_.Take(2);
  ASSERT_TRUE(batch);
  // They go out with the batch that is already full, so they cost no batch of their own.
  ASSERT_EQ(batch->portions[0].slices.size(), 3u);
  EXPECT_EQ(batch->portions[0].slices[1].size(), 0u);
  EXPECT_EQ(batch->portions[0].slices[1].through_sequence, 9u);
  EXPECT_EQ(batch->portions[0].slices[2].through_sequence, 10u);
  EXPECT_TRUE(batch->portions[0].slices[2].last);
  EXPECT_FALSE(lane_.Done(*batch));
  // Alone, they are a batch.
  Push(0, 11, 0, kNormal, stream);
  EXPECT_EQ(lane_.depth(), 0u);
  EXPECT_TRUE(lane_.Ready());
  EXPECT_EQ(Next(1), "0:");
}

TEST_F(LaneTest, HighBeforeNormal) {
  Push(0, 1, 2);
  Push(1, 1, 2, kHigh);
  Push(0, 3, 2, kHigh);
  EXPECT_EQ(lane_.DepthOf(kHigh), 4u);
  EXPECT_EQ(lane_.DepthOf(kNormal), 2u);
  EXPECT_EQ(lane_.depth(), 6u);
  const std::optional<Batch> batch = lane_.Take(10);
  EXPECT_EQ(Text(batch), "1:1,2 0:3,4") << "a batch is of one priority";
  EXPECT_EQ(batch->priority, kHigh);
  lane_.Done(*batch);
  EXPECT_EQ(lane_.DepthOf(kHigh), 0u);
  EXPECT_EQ(Next(10), "0:1,2");
}

TEST_F(LaneTest, NormalGetsOneTurnInFiveUnderEndlessHighWork) {
  Push(0, 1, 100);
  std::string turns;
  for (int i = 0; i < 30; ++i) {
    Push(1, static_cast<uint64_t>(i) + 1, 1, kHigh);
    const std::optional<Batch> batch = lane_.Take(1);
    ASSERT_TRUE(batch);
    turns += batch->priority == kHigh ? 'h' : 'n';
    lane_.Done(*batch);
  }
  EXPECT_EQ(turns, "hhhhnhhhhnhhhhnhhhhnhhhhnhhhhn");
}

TEST_F(LaneTest, HighIsNotHeldUpByEndlessNormalWork) {
  for (int i = 0; i < 30; ++i) {
    Push(0, static_cast<uint64_t>(i) * 10 + 1, 10);
    Push(1, static_cast<uint64_t>(i) + 1, 1, kHigh);
    ASSERT_EQ(Next(5), "1:" + std::to_string(i + 1)) << "the next batch is the high one";
    ASSERT_EQ(Next(5).substr(0, 2), "0:");
  }
}

TEST_F(LaneTest, ATurnThatNormalCannotUseIsNotLostToHigh) {
  for (int i = 1; i <= 6; ++i) Push(1, static_cast<uint64_t>(i), 1, kHigh);
  for (int i = 1; i <= 6; ++i) EXPECT_EQ(Next(1), "1:" + std::to_string(i));
  // It is still due once there is some.
  Push(0, 1, 1);
  Push(1, 7, 1, kHigh);
  EXPECT_EQ(Next(1), "0:1");
  EXPECT_EQ(Next(1), "1:7");
}

// The space's normal work is owed a turn while its own high work is endless, too.
TEST_F(LaneTest, NormalWorkOfTheSameSpaceDoesNotStarve) {
  const auto a = std::make_shared<TestStream>(0), b = std::make_shared<TestStream>(1);
  Push(0, 1, 3, kNormal, a);
  std::string turns;
  for (int i = 0; i < 10; ++i) {
    Push(0, static_cast<uint64_t>(i) + 1, 1, kHigh, b);
    const std::optional<Batch> batch = lane_.Take(1);
    turns += batch->priority == kHigh ? 'h' : 'n';
    lane_.Done(*batch);
  }
  EXPECT_EQ(turns, "hhhhnhhhhn");
}

TEST_F(LaneTest, AStreamsNormalWorkMovesUpBeforeItsHighWork) {
  const auto mine = std::make_shared<TestStream>(0), other = std::make_shared<TestStream>(1);
  Push(0, 1, 1, kNormal, mine);
  Push(0, 101, 1, kNormal, other);
  Push(0, 2, 1, kNormal, mine);
  Push(0, 3, 1, kHigh, mine);
  EXPECT_EQ(lane_.DepthOf(kHigh), 3u);
  EXPECT_EQ(lane_.DepthOf(kNormal), 1u);
  EXPECT_EQ(Next(10), "0:1,2,3");
  EXPECT_EQ(Next(10), "0:101");
}

TEST_F(LaneTest, AStreamsNormalWorkQueuesBehindItsHighWork) {
  const auto mine = std::make_shared<TestStream>(0);
  Push(0, 1, 1, kHigh, mine);
  Push(0, 2, 1, kNormal, mine);
  EXPECT_EQ(lane_.DepthOf(kHigh), 2u);
  EXPECT_EQ(Next(10), "0:1,2");
  // With nothing high left it is normal again.
  Push(0, 3, 1, kNormal, mine);
  EXPECT_EQ(lane_.DepthOf(kNormal), 1u);
  EXPECT_EQ(Next(10), "0:3");
}

TEST_F(LaneTest, MovingUpTheLastNormalWorkLeavesNoFalseTurn) {
  const auto mine = std::make_shared<TestStream>(0);
  Push(0, 1, 1, kNormal, mine);
  Push(0, 2, 1, kHigh, mine);
  EXPECT_EQ(Next(1), "0:1");
  EXPECT_EQ(Next(1), "0:2");
  EXPECT_FALSE(lane_.Ready());
  EXPECT_EQ(Next(1), "nothing");
}

TEST_F(LaneTest, MovesUpWhileTheSpaceIsOut) {
  const auto mine = std::make_shared<TestStream>(0);
  Push(0, 1, 4, kNormal, mine);
  const std::optional<Batch> out = lane_.Take(2);
  ASSERT_EQ(Text(out), "0:1,2");
  Push(0, 5, 1, kHigh, mine);
  EXPECT_EQ(Next(10), "nothing");
  lane_.Done(*out);
  EXPECT_EQ(Next(10), "0:3,4,5");
}

}  // namespace
}  // namespace engram
