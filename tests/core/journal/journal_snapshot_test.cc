// What a snapshot holds, and what one that fails leaves of the directory it was for.
#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;

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

}  // namespace
}  // namespace engram::testing
