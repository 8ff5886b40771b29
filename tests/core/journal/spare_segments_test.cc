#include "core/journal/spare_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/fake_clock.h"
#include "tests/support/faulty_files.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;

class SpareSegmentsTest : public ::testing::Test {
 protected:
  SpareSegmentsTest() {
    EXPECT_TRUE(spares_.Adopt({}).ok());
    for (int piece = 0; spares_.Read().ready < kCount && piece < 1000; ++piece) {
      EXPECT_TRUE(spares_.Prepare().ok());
      clock_.Advance(std::chrono::seconds(1));
    }
    EXPECT_THAT(directory_->List().value(), ElementsAre("spare-000001", "spare-000002"));
  }

  static constexpr uint32_t kCount = 2;
  static constexpr uint64_t kBytes = 4096;
  static constexpr uint64_t kLeastFree = 1 << 16;

  FaultyDisk disk_;
  FakeClock clock_;
  std::unique_ptr<Directory> directory_ = disk_.Open();
  SpareSegments spares_{
      directory_.get(),
      {.segment_bytes = kBytes, .count = kCount, .bytes_per_second = 1 << 20, .least_free_bytes = kLeastFree},
      &clock_};
};

TEST_F(SpareSegmentsTest, TakesThemInOrderAndThenAnEmptyFile) {
  for (const std::string expected : {"spare-000001", "spare-000002", "spare-000003"}) {
    const auto taken = spares_.Take();
    ASSERT_TRUE(taken.ok()) << taken.status();
    EXPECT_EQ(taken->name, expected);
    EXPECT_EQ(taken->prepared, expected != "spare-000003");
    EXPECT_EQ(taken->file->Size().value(), taken->prepared ? kBytes : 0);
  }
  EXPECT_EQ(spares_.Read().taken_prepared, 2u);
  EXPECT_EQ(spares_.Read().taken_empty, 1u);
}

TEST_F(SpareSegmentsTest, OneThatWasRemovedByHandGivesWayToTheNext) {
  ASSERT_TRUE(directory_->Remove("spare-000001").ok());
  const auto taken = spares_.Take();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->name, "spare-000002");
  EXPECT_TRUE(taken->prepared);
  EXPECT_EQ(spares_.Read().ready, 0u);
  EXPECT_EQ(spares_.Read().taken_prepared, 1u);
}

TEST_F(SpareSegmentsTest, WithAllOfThemRemovedByHandTheNextIsAnEmptyFile) {
  ASSERT_TRUE(directory_->Remove("spare-000001").ok() && directory_->Remove("spare-000002").ok());
  const auto taken = spares_.Take();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_FALSE(taken->prepared);
  EXPECT_EQ(taken->file->Size().value(), 0u);
  EXPECT_THAT(directory_->List().value(), ElementsAre(taken->name));
  EXPECT_EQ(spares_.Read().taken_prepared, 0u);
  EXPECT_EQ(spares_.Read().taken_empty, 1u);
}

TEST_F(SpareSegmentsTest, AReplacedFileBecomesASpareWhereThereIsRoomAndIsElseGivenBack) {
  for (const bool room : {true, false}) {
    SCOPED_TRACE(room);
    const auto taken = spares_.Take();
    ASSERT_TRUE(taken.ok() && taken->prepared) << taken.status();
    ASSERT_TRUE(directory_->Rename(taken->name, "replaced").ok());
    disk_.SetFreeSpace(room ? kLeastFree : kLeastFree - 1);
    ASSERT_TRUE(spares_.Recycle("replaced").ok());
    EXPECT_EQ(spares_.Read().recycled, 1u);
    EXPECT_EQ(spares_.Read().ready, room ? kCount : kCount - 1);
    EXPECT_EQ(directory_->List().value().size(), spares_.Read().ready);
  }
}

// It is there and may not be read: the disk is in trouble, and the log says so rather than going round it.
TEST_F(SpareSegmentsTest, OneThatCannotBeOpenedIsAnError) {
  disk_.Fail({.call = FileCall::kOpen, .status = InputOutputError(), .suffix = "spare-000001"});
  EXPECT_TRUE(absl::IsInternal(spares_.Take().status()));
}

}  // namespace
}  // namespace engram::testing
