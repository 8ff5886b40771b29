// What a snapshot holds, and what one that fails leaves of the directory it was for.
#include <pthread.h>

#include <array>
#include <future>
#include <string_view>
#include <thread>

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

// Until it is released the keeper gets no further than to ask for the time, which it does when there is nothing to seal.
class HeldKeeper final : public Clock {
 public:
  MonotonicTime Now() const override {
    std::array<char, 16> name{};
    if (pthread_getname_np(pthread_self(), name.data(), name.size()) == 0 && std::string_view(name.data()) == "keeper") {
      MutexLock lock(mu_);
      held_ = true;
      changed_.NotifyAll();
      while (!released_) changed_.Wait(mu_);
    }
    return clock_.Now();
  }
  int64_t WallMicros() const override { return clock_.WallMicros(); }
  bool WaitUntil(CondVar& cv, Mutex& mu, MonotonicTime deadline) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return clock_.WaitUntil(cv, mu, deadline);
  }
  void AwaitHeld() {
    MutexLock lock(mu_);
    while (!held_) changed_.Wait(mu_);
  }
  void Release() {
    MutexLock lock(mu_);
    released_ = true;
    changed_.NotifyAll();
  }

 private:
  RealClock clock_;
  mutable Mutex mu_;
  mutable CondVar changed_;
  mutable bool held_ ABSL_GUARDED_BY(mu_) = false;
  bool released_ ABSL_GUARDED_BY(mu_) = false;
};

class LateKeeperTest : public JournalSnapshotTest {
 protected:
  void TearDown() override {
    keeper_.Release();
    journal_.reset();
  }

  HeldKeeper keeper_;
};

// Segments fill up behind the one it waits for, and the disk with them.
TEST_F(LateKeeperTest, SealingWaitsForNoSegmentThatCameLater) {
  JournalOptions options = Stepped();
  options.stepped = false;
  options.durability = Durability::kInterval;
  options.sync_interval = std::chrono::hours(1);
  directory_ = disk_.Open();
  auto opened = SegmentedJournal::Open(directory_.get(), options, &keeper_, &observer_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  journal_ = *std::move(opened);
  Start();
  keeper_.AwaitHeld();
  ASSERT_TRUE(AppendNext().ok());
  sink_.Await(1);
  const uint64_t syncs = disk_.count(FileCall::kSync);
  auto sealed = std::async(std::launch::async, [&] { return journal_->SealThrough(); });
  // Nothing else syncs: the segment is on its way to the keeper.
  while (disk_.count(FileCall::kSync) == syncs) std::this_thread::yield();
  while (journal_->segments().size() < 3) ASSERT_TRUE(AppendNext().ok());
  disk_.Fail({.call = FileCall::kTruncate, .status = DiskIsFull(), .nth = 2, .until_cleared = true});
  keeper_.Release();
  const auto through = sealed.get();
  ASSERT_TRUE(through.ok()) << through.status();
  EXPECT_EQ(*through, 1u);
  EXPECT_TRUE(journal_->segments()[0]->sealed());
}

}  // namespace
}  // namespace engram::testing
