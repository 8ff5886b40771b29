#include "core/checkpoint/checkpoint_floor.h"

#include <gtest/gtest.h>

namespace engram::testing {
namespace {

TEST(CheckpointFloorTest, WithoutACheckpointNoneCanComeToBeBelowWhatIsApplied) {
  CheckpointFloor floor;
  EXPECT_EQ(floor.Get(100), 100u);
  floor.Recovered(std::nullopt);
  EXPECT_EQ(floor.Get(100), 100u);
  floor.Recovered(7);
  EXPECT_EQ(floor.Get(100), 7u);
}

TEST(CheckpointFloorTest, AnAttemptRaisesNothingUntilItIsWritten) {
  CheckpointFloor floor;
  floor.Begin(10);
  EXPECT_EQ(floor.Get(100), 10u);
  floor.Begin(20);
  EXPECT_EQ(floor.Get(100), 10u);
  floor.Written(20);
  EXPECT_EQ(floor.Get(100), 20u);
}

// It may hold spaces that were made while it was written, and what is forgotten of them later must stay in the log.
TEST(CheckpointFloorTest, ACheckpointBegunBeforeTheFirstRecordIsOne) {
  CheckpointFloor begun, written, recovered;
  begun.Begin(0);
  EXPECT_EQ(begun.Get(100), 0u);
  begun.Begin(20);
  EXPECT_EQ(begun.Get(100), 0u);
  written.Written(0);
  EXPECT_EQ(written.Get(100), 0u);
  recovered.Recovered(0);
  EXPECT_EQ(recovered.Get(100), 0u);
}

}  // namespace
}  // namespace engram::testing
