// Calls that fail under a running journal, in both modes that have files: nothing is acknowledged any more, and the
// next start finds what was.
#include <numeric>

#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JournalErrors : public JournalFixture, public ::testing::WithParamInterface<Durability> {
 protected:
  JournalOptions Options() const {
    JournalOptions options = SmallJournal();
    options.durability = GetParam();
    options.stepped = true;
    return options;
  }
  // Only the log itself writes.
  JournalOptions WithoutSpares() const {
    JournalOptions options = Options();
    options.spare_segments = 0;
    return options;
  }
  void AnotherDisk(uint64_t seed) {
    journal_.reset();
    disk_.~FaultyDisk();
    new (&disk_) FaultyDisk({.seed = seed});
  }
  void Commit() {
    while (journal_->Step()) {
    }
  }
  // A group each.
  void CommitNext(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(AppendNext().ok());
      Commit();
    }
  }
  // The daemon is told to end, and nobody that anything more is committed.
  void ExpectTheEnd(absl::StatusCode code, uint64_t through) {
    EXPECT_EQ(observer_.fatal().code(), code) << observer_.fatal();
    EXPECT_THAT(std::string(observer_.fatal().message()), HasSubstr("injected"));
    EXPECT_EQ(AppendNext().status(), observer_.fatal());
    EXPECT_EQ(sink_.through(), through);
  }
  // The process has ended, and the next one is given a disk that works.
  void ExpectAllAfterAStart(uint64_t through) {
    disk_.ClearFaults();
    disk_.Crash();
    ASSERT_TRUE(Open(Options()).ok());
    ASSERT_GE(journal_->last(), through);
    std::vector<uint64_t> positions(journal_->last());
    std::iota(positions.begin(), positions.end(), 1);
    ASSERT_EQ(ReplayAll(), positions);
    ASSERT_THAT(journal_->defects(), IsEmpty()) << journal_->defects()[0].Render();
  }
};

// Of the write that fails a part may have been written, which the seed decides.
TEST_P(JournalErrors, AFailedWriteCommitsNothingAnyMore) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    AnotherDisk(seed);
    ASSERT_TRUE(Open(WithoutSpares()).ok());
    Start();
    CommitNext(5);
    ASSERT_EQ(sink_.through(), 5);
    disk_.Fail({.call = FileCall::kWrite, .status = InputOutputError()});
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(AppendNext().ok());
    const uint64_t writes = disk_.count(FileCall::kWrite);
    Commit();
    ExpectTheEnd(absl::StatusCode::kInternal, 5);
    // The fault is over, and a second write would succeed.
    EXPECT_EQ(journal_->SealThrough().status(), observer_.fatal());
    journal_->Close();
    EXPECT_EQ(disk_.count(FileCall::kWrite), writes + 1);
    EXPECT_EQ(sink_.through(), 5);
    ExpectAllAfterAStart(5);
  }
}

// A client that is refused does not send again what the next start would take.
TEST_P(JournalErrors, NobodyIsRefusedBeforeTheOwnerCanEndTheProcess) {
  AnotherDisk(1);
  int taken = 0;
  observer_.on_fatal = [&] { taken += AppendNext().ok() ? 1 : 0; };
  ASSERT_TRUE(Open(WithoutSpares()).ok());
  Start();
  CommitNext(5);
  disk_.Fail({.call = FileCall::kWrite, .status = InputOutputError()});
  CommitNext(1);
  EXPECT_EQ(taken, 1);
  ExpectTheEnd(absl::StatusCode::kInternal, 5);
  ExpectAllAfterAStart(5);
}

// The owner or the rights of the directory were changed under the daemon. Open files are written on; at the end of the
// segment a name has to be made, and the log ends there.
TEST_P(JournalErrors, ADirectoryThatMayNotBeWrittenAnyMoreEndsTheLogAtItsNextSegment) {
  AnotherDisk(1);
  ASSERT_TRUE(Open(WithoutSpares()).ok());
  Start();
  CommitNext(5);
  for (const FileCall call : {FileCall::kCreate, FileCall::kRename, FileCall::kRemove}) {
    disk_.Fail({.call = call, .status = AccessDenied(), .until_cleared = true});
  }
  uint64_t appended = 5;
  while (appended < 10'000 && AppendNext().ok()) {
    Commit();
    ++appended;
  }
  const uint64_t through = sink_.through();
  EXPECT_GT(through, 5) << "the segment had room";
  ExpectTheEnd(absl::StatusCode::kPermissionDenied, through);
  ExpectAllAfterAStart(through);
}

// Whichever call it is that makes the next segment.
TEST_P(JournalErrors, ANewSegmentThatMayNotBeMadeEndsTheLog) {
  for (const FileCall call : {FileCall::kOpen, FileCall::kCreate, FileCall::kRename, FileCall::kSyncDirectory}) {
    SCOPED_TRACE(static_cast<int>(call));
    AnotherDisk(1);
    ASSERT_TRUE(Open(call == FileCall::kOpen ? Options() : WithoutSpares()).ok());
    Start();
    CommitNext(20);
    ASSERT_TRUE(journal_->SealThrough().ok());
    disk_.Fail({.call = call, .status = AccessDenied(), .until_cleared = true});
    AppendNext().IgnoreError();
    Commit();
    ExpectTheEnd(absl::StatusCode::kPermissionDenied, 20);
    ExpectAllAfterAStart(20);
  }
}

// A full disk is no such end, in neither mode.
TEST_P(JournalErrors, AFullDiskIsWaitedForAndLosesNothing) {
  AnotherDisk(1);
  ASSERT_TRUE(Open(WithoutSpares()).ok());
  Start();
  CommitNext(1);
  disk_.SetFreeSpace(70 << 10);
  uint64_t appended = 1;
  while (appended < 10'000 && AppendNext().ok()) {
    Commit();
    ++appended;
  }
  ASSERT_LT(appended, 10'000u);
  EXPECT_EQ(sink_.through(), appended);
  const std::vector<absl::Status> waits = observer_.AwaitWaits(1);
  EXPECT_TRUE(absl::IsResourceExhausted(waits[0])) << waits[0];
  disk_.SetFreeSpace(uint64_t{1} << 30);
  CommitNext(10);
  EXPECT_EQ(sink_.through(), appended + 10);
  EXPECT_TRUE(observer_.fatal().ok()) << observer_.fatal();
  EXPECT_TRUE(observer_.AwaitWaits(2)[1].ok());
  ExpectAllAfterAStart(appended + 10);
}

INSTANTIATE_TEST_SUITE_P(Modes, JournalErrors, ::testing::Values(Durability::kFsync, Durability::kInterval),
                         [](const auto& info) { return info.param == Durability::kFsync ? "Fsync" : "Interval"; });

}  // namespace
}  // namespace engram::testing
