// What a snapshot holds, and what one that fails leaves of the directory it was for.
#include "core/journal/verify.h"
#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class JournalSnapshotTest : public JournalFixture {
 protected:
  static JournalOptions Stepped() {
    JournalOptions options = SmallJournal();
    options.spare_segments = 0;
    options.stepped = true;
    return options;
  }
  // A segment each.
  void SealNext(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(AppendNext().ok());
      ASSERT_TRUE(journal_->SealThrough().ok());
    }
  }
  absl::StatusOr<SegmentedJournal::Linked> SnapshotInto(Directory& target) {
    return journal_->SnapshotInto([&] { return &target; });
  }
};

TEST_F(JournalSnapshotTest, OneThatFailsRemovesWhatItMadeAndNothingElse) {
  ASSERT_TRUE(Open(Stepped()).ok());
  Start();
  SealNext(3);
  const std::string theirs = journal_->segments()[1]->name();
  auto target = disk_.Open("copy");
  // Somebody else puts it there after the look whether it is empty.
  const auto half = journal_->SnapshotInto([&]() -> absl::StatusOr<Directory*> {
    EXPECT_TRUE(target->Open(theirs, Directory::Mode::kCreate).ok());
    return target.get();
  });
  EXPECT_TRUE(absl::IsAlreadyExists(half.status())) << half.status();
  EXPECT_THAT(*target->List(), ElementsAre(theirs));

  ASSERT_TRUE(target->Remove(theirs).ok());
  disk_.Fail({.call = FileCall::kSyncDirectory, .status = InputOutputError(), .suffix = "copy"});
  EXPECT_TRUE(absl::IsInternal(SnapshotInto(*target).status()));
  EXPECT_THAT(*target->List(), ElementsAre());
  ASSERT_TRUE(SnapshotInto(*target).ok());
  EXPECT_EQ(target->List()->size(), 4u);
}

// Damaged in its header it is no segment to the journal, but its positions are used up all the same.
TEST_F(JournalSnapshotTest, TheCopyKnowsThatTheLastSegmentIsLost) {
  for (const bool damaged : {false, true}) {
    SCOPED_TRACE(damaged);
    journal_.reset();
    disk_.~FaultyDisk();
    new (&disk_) FaultyDisk();
    ASSERT_TRUE(Open(Stepped()).ok());
    Start();
    SealNext(3);
    journal_->Close();
    const std::string lost = journal_->segments().back()->name();
    if (damaged) {
      disk_.Scramble(lost, 0, 8192, 1);
    } else {
      ASSERT_TRUE(directory_->Remove(lost).ok());
    }
    ASSERT_TRUE(Open(Stepped()).ok());
    ASSERT_THAT(journal_->defects(), SizeIs(1));
    Start();
    const uint64_t last = journal_->last();
    ASSERT_GE(last, 3u);
    auto target = disk_.Open("copy");
    const auto linked = SnapshotInto(*target);
    ASSERT_TRUE(linked.ok()) << linked.status();
    EXPECT_EQ(linked->through, 2u);
    const auto verdict = VerifyDirectory(*target);
    ASSERT_TRUE(verdict.ok()) << verdict.status();
    EXPECT_FALSE(verdict->sound());
    auto copy = SegmentedJournal::Open(target.get(), Stepped(), &clock_, &observer_);
    ASSERT_TRUE(copy.ok()) << copy.status();
    EXPECT_EQ((*copy)->last(), last);
    ASSERT_THAT((*copy)->defects(), SizeIs(1));
    EXPECT_EQ((*copy)->defects()[0].first, 3u);
    EXPECT_EQ((*copy)->defects()[0].last, last);
  }
}

}  // namespace
}  // namespace engram::testing
