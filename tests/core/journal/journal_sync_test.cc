// What a sync vouches for, and what is done when it fails or is left out: each of these needs one moment of its own that a
// random power cut hardly ever meets.
#include <deque>
#include <numeric>

#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JournalSyncTest : public JournalFixture {
 protected:
  static JournalOptions Stepped() {
    JournalOptions options = SmallJournal();
    options.stepped = true;
    return options;
  }
  // Only the log itself syncs files.
  static JournalOptions SteppedWithoutSpares() {
    JournalOptions options = Stepped();
    options.spare_segments = 0;
    return options;
  }
  void Commit() {
    while (journal_->Step()) {
    }
  }
  void ReplaceFirstByACopy() {
    const std::shared_ptr<Segment> first = journal_->segments().front();
    auto bytes = ReadWhole(*directory_, first->name(), uint64_t{1} << 20);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    auto copy = directory_->Open("copy.tmp", Directory::Mode::kCreate);
    ASSERT_TRUE(copy.ok() && (*copy)->WriteAt(0, *bytes).ok() && (*copy)->Sync().ok());
    auto segment = std::make_shared<Segment>(first->name(), *std::move(copy), first->header(), first->footer(),
                                             first->bytes(), /*sealed=*/true);
    ASSERT_TRUE(journal_->Replace({first}, "copy.tmp", std::move(segment)).ok());
  }
  static std::vector<uint64_t> Through(uint64_t last) {
    std::vector<uint64_t> positions(last);
    std::iota(positions.begin(), positions.end(), 1);
    return positions;
  }
};

// The daemon ends after a failed sync, and the next one finds in the page cache what never reached the disk. What it
// serves from there must not be gone after a power cut.
TEST_F(JournalSyncTest, WhatAFailedSyncLeftInTheCacheIsSafeOnceItIsServed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    disk_.~FaultyDisk();
    new (&disk_) FaultyDisk({.seed = seed});
    ASSERT_TRUE(Open(SteppedWithoutSpares()).ok());
    Start();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(AppendNext().ok());
    Commit();
    ASSERT_EQ(sink_.through(), 5);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(AppendNext().ok());
    disk_.Fail({.call = FileCall::kSync, .status = InputOutputError()});
    Commit();
    ASSERT_EQ(sink_.through(), 5);
    journal_->Close();
    disk_.Crash();
    ASSERT_TRUE(Open(SteppedWithoutSpares()).ok());
    const uint64_t served = journal_->last();
    ASSERT_GE(served, 5);
    ASSERT_EQ(ReplayAll(), Through(served));
    disk_.Cut(seed);
    ASSERT_TRUE(Open(SteppedWithoutSpares()).ok());
    ASSERT_EQ(journal_->last(), served);
    ASSERT_EQ(ReplayAll(), Through(served));
    ASSERT_THAT(journal_->defects(), IsEmpty());
    journal_.reset();
  }
}

// In mode interval the sync that is due comes with a later group, which is then not committed either. A full disk at that
// moment is no reason to wait: what the kernel dropped, no second sync speaks of.
TEST_F(JournalSyncTest, AFailedSyncInModeIntervalCommitsNothingAnyMore) {
  for (const absl::Status& why : {InputOutputError(), DiskIsFull()}) {
    SCOPED_TRACE(why);
    disk_.~FaultyDisk();
    new (&disk_) FaultyDisk();
    FakeClock clock;
    RememberingObserver observer;
    RememberingSink sink;
    directory_ = disk_.Open();
    JournalOptions options = SteppedWithoutSpares();
    options.durability = Durability::kInterval;
    auto opened = SegmentedJournal::Open(directory_.get(), options, &clock, &observer);
    ASSERT_TRUE(opened.ok()) << opened.status();
    journal_ = *std::move(opened);
    journal_->Start(&sink);
    ASSERT_TRUE(AppendNext().ok());
    Commit();
    disk_.Fail({.call = FileCall::kSync, .status = why, .until_cleared = true});
    ASSERT_TRUE(AppendNext().ok());
    Commit();
    EXPECT_EQ(sink.through(), 2) << "it was not due yet";
    EXPECT_TRUE(observer.fatal().ok());
    clock.Advance(options.sync_interval);
    ASSERT_TRUE(AppendNext().ok());
    Commit();
    EXPECT_EQ(sink.through(), 2);
    EXPECT_TRUE(absl::IsInternal(observer.fatal())) << observer.fatal();
    EXPECT_THAT(std::string(observer.fatal().message()), HasSubstr("injected"));
    EXPECT_FALSE(AppendNext().ok());
    EXPECT_FALSE(journal_->SealThrough().ok());
    EXPECT_EQ(sink.through(), 2);
    journal_.reset();
    // It is the process that ends here, not the power: nothing acknowledged is lost.
    disk_.ClearFaults();
    disk_.Crash();
    ASSERT_TRUE(Open(SteppedWithoutSpares()).ok());
    EXPECT_GE(journal_->last(), 2);
    EXPECT_EQ(ReplayAll(), Through(journal_->last()));
    journal_.reset();
  }
}

// With nobody writing, the sync that is due comes by itself.
TEST_F(JournalSyncTest, AFailedSyncOfAnIdleJournalInModeIntervalIsFatalToo) {
  FakeClock clock;
  directory_ = disk_.Open();
  JournalOptions options = SteppedWithoutSpares();
  options.durability = Durability::kInterval;
  auto opened = SegmentedJournal::Open(directory_.get(), options, &clock, &observer_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  journal_ = *std::move(opened);
  Start();
  ASSERT_TRUE(AppendNext().ok());
  Commit();
  disk_.Fail({.call = FileCall::kSync, .status = InputOutputError()});
  clock.Advance(options.sync_interval);
  Commit();
  EXPECT_FALSE(observer_.fatal().ok());
  EXPECT_FALSE(AppendNext().ok());
  journal_.reset();
}

// In mode interval, on a disk that filled up behind the first record, with the second one waiting for room.
class FullDiskInModeInterval : public JournalSyncTest {
 protected:
  void CommitOneAndHaveOneWait(uint64_t seed) {
    journal_.reset();
    disk_.~FaultyDisk();
    new (&disk_) FaultyDisk({.seed = seed});
    directory_ = disk_.Open();
    auto opened = SegmentedJournal::Open(directory_.get(), options_, &fake_clock_, &observers_.emplace_back());
    ASSERT_TRUE(opened.ok()) << opened.status();
    journal_ = *std::move(opened);
    Start();
    ASSERT_TRUE(AppendNext().ok());
    sink_.Await(1);
    disk_.Fail({.call = FileCall::kWrite, .status = DiskIsFull(), .until_cleared = true});
    ASSERT_TRUE(AppendNext().ok());
    observers_.back().AwaitWaits(1);
    fake_clock_.AwaitWaiters(1);
  }
  void ExpectTheFirstAfterAPowerCut(uint64_t seed) {
    EXPECT_EQ(sink_.through(), 1);
    EXPECT_TRUE(observers_.back().fatal().ok()) << observers_.back().fatal();
    disk_.ClearFaults();
    disk_.Cut(seed);
    ASSERT_TRUE(Open(options_).ok());
    EXPECT_GE(journal_->last(), 1u);
    EXPECT_EQ(ReplayAll(), Through(journal_->last()));
  }
  static JournalOptions WithoutSpares() {
    JournalOptions options = SmallJournal();
    options.spare_segments = 0;
    options.durability = Durability::kInterval;
    // Sooner than the disk is looked at again.
    options.sync_interval = std::chrono::milliseconds(20);
    return options;
  }

  const JournalOptions options_ = WithoutSpares();
  FakeClock fake_clock_;
  std::deque<RememberingObserver> observers_;
};

TEST_F(FullDiskInModeInterval, WhatIsAcknowledgedIsSyncedWhenItIsDue) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    CommitOneAndHaveOneWait(seed);
    fake_clock_.Advance(options_.sync_interval);
    // It has done what was due, and waits on.
    fake_clock_.AwaitWaiters(1);
    ExpectTheFirstAfterAPowerCut(seed);
  }
}

TEST_F(FullDiskInModeInterval, ClosingSyncsWhatIsAcknowledgedAndGivesUpTheRest) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    CommitOneAndHaveOneWait(seed);
    journal_->Close();
    ExpectTheFirstAfterAPowerCut(seed);
  }
}

// The old file of a rewritten segment becomes the next one: its bytes go while a power cut could still bring back its
// old name, unless the new name was made safe before.
TEST_F(JournalSyncTest, AReplacedSegmentIsNotWrittenOverBeforeTheNewOneHasItsName) {
  bool done = false;
  for (uint64_t cut = 1; !done; ++cut) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      SCOPED_TRACE(::testing::Message() << "cut at operation " << cut << ", seed " << seed);
      disk_.~FaultyDisk();
      new (&disk_) FaultyDisk({.seed = seed});
      // None written ahead, so that it is the replaced one that is taken.
      disk_.Fail({.call = FileCall::kCreate, .status = DiskIsFull(), .suffix = ".filling", .until_cleared = true});
      ASSERT_TRUE(Open(Stepped()).ok());
      Start();
      while (journal_->segments().size() < 2) {
        ASSERT_TRUE(AppendNext().ok());
        Commit();
      }
      journal_->Close();
      ASSERT_TRUE(Open(Stepped()).ok());
      Start();
      const uint64_t last = journal_->last();
      ReplaceFirstByACopy();
      disk_.CutAt(disk_.operations() + cut);
      // Gives it back, and takes it for what comes next.
      while (journal_->Step()) {
      }
      AppendNext().IgnoreError();
      done = disk_.powered();
      EXPECT_TRUE(!done || journal_->ReadFiles().spares.recycled == 1);
      journal_.reset();
      disk_.Cut(seed);
      ASSERT_TRUE(Open(Stepped()).ok());
      ASSERT_THAT(journal_->defects(), IsEmpty()) << journal_->defects()[0].Render();
      ASSERT_GE(journal_->last(), last);
      ASSERT_EQ(ReplayAll(), Through(journal_->last()));
      journal_.reset();
    }
  }
}

// It may be what there is to be had on a full disk.
TEST_F(JournalSyncTest, AReplacedSegmentIsGivenBackWhileSealingWaitsForRoom) {
  disk_.Fail({.call = FileCall::kCreate, .status = DiskIsFull(), .suffix = ".filling", .until_cleared = true});
  ASSERT_TRUE(Open(Stepped()).ok());
  Start();
  while (journal_->segments().size() < 2) {
    ASSERT_TRUE(AppendNext().ok());
    Commit();
  }
  const Fault no_footer{.call = FileCall::kWrite, .status = DiskIsFull(), .until_cleared = true};
  disk_.Fail(no_footer);
  EXPECT_TRUE(absl::IsUnavailable(journal_->SealThrough().status()));
  disk_.ClearFaults();
  ReplaceFirstByACopy();
  disk_.Fail(no_footer);
  EXPECT_TRUE(absl::IsUnavailable(journal_->SealThrough().status()));
  EXPECT_EQ(journal_->ReadFiles().spares.recycled, 1u);
  disk_.ClearFaults();
  EXPECT_TRUE(journal_->SealThrough().ok());
  EXPECT_TRUE(observer_.fatal().ok()) << observer_.fatal();
}

}  // namespace
}  // namespace engram::testing
