// The knobs of the pool do what the table of settings says: batch sizes, gathering and stealing. So that every order is
// certain, the workers run on the test's own thread (InlineExecutor) and time passes when told to (FakeClock).
#include "core/stream/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/core/stream/pool_setup.h"
#include "tests/core/stream/recording_handler.h"
#include "tests/core/stream/slices.h"
#include "tests/support/fake_clock.h"
#include "tests/support/inline_executor.h"

namespace engram {
namespace {

using ::testing::ElementsAre;
using std::chrono::hours;
using std::chrono::milliseconds;
using testing::FakeClock;
using testing::InlineExecutor;
using testing::MakeSlice;
using testing::MakeSpaces;
using testing::RecordingHandler;
using testing::SpaceId;
using testing::TestSpace;
using testing::TestStream;
using testing::Tuning;

// A pool whose workers run when the test says so.
class InlinePool : public ::testing::Test {
 protected:
  void Start(size_t workers, uint64_t capacity, const WorkerTuning& tuning) {
    pool_.emplace(workers, capacity, tuning, &handler_, &executor_, &clock_);
  }

  ~InlinePool() override {
    if (!pool_) return;
    // What still gathers would wait for time that does not pass.
    pool_->Tune(Tuning(1, 1000));
    for (size_t lane = 0; lane < pool_->lanes(); ++lane) {
      if (pool_->lane(lane).Ready()) pool_->Push(lane, flush_, MakeSlice(nullptr, 1, 1, Priority::kHigh));
    }
    executor_.RunAll();
  }

  void Push(size_t lane, int space, uint64_t first, uint32_t count, Priority priority = Priority::kNormal) {
    pool_->Push(lane, spaces_[static_cast<size_t>(space)], MakeSlice(nullptr, first, count, priority));
  }

  // The gatherer counts after it woke the worker.
  void AwaitGathered(size_t worker, uint64_t count) {
    while (pool_->Read(worker).gathered < count) std::this_thread::yield();
    EXPECT_EQ(pool_->Read(worker).gathered, count);
  }

  std::vector<std::shared_ptr<TestSpace>> spaces_ = MakeSpaces(6);
  std::shared_ptr<TestSpace> flush_ = std::make_shared<TestSpace>(-1);
  FakeClock clock_;
  RecordingHandler handler_;
  InlineExecutor executor_{3};
  std::optional<WorkerPool> pool_;
};

// --- min_batch_size, max_batch_size ---

TEST_F(InlinePool, BatchesAreAsLargeAsTheDepthOfTheLaneAsksFor) {
  Start(1, 1000, Tuning(10, 500));
  Push(0, 0, 1, 1000);
  executor_.RunAll();
  // 1000 and then 500 wait: above four fifths, then 10 + 0.5 * 490; then 245: 10 + 0.245 * 490 = 130; then 115: 66; then
  // 49, less than a tenth.
  EXPECT_THAT(handler_.sizes(), ElementsAre(500, 255, 130, 66, 10, 10, 10, 10, 9));
  EXPECT_EQ(handler_.observations(), 1000u);
}

TEST_F(InlinePool, BatchesAreSmallWhileLittleWaits) {
  Start(1, 1000, Tuning(10, 500));
  Push(0, 0, 1, 99);
  executor_.RunAll();
  EXPECT_THAT(handler_.sizes(), ElementsAre(10, 10, 10, 10, 10, 10, 10, 10, 10, 9));
}

TEST_F(InlinePool, TheLanesShareTheCapacity) {
  // A lane of 250: 201 waiting are above four fifths of it.
  Start(4, 1000, Tuning(10, 500));
  Push(2, 0, 1, 201);
  executor_.RunAll();
  EXPECT_THAT(handler_.sizes(), ElementsAre(201));
}

TEST_F(InlinePool, EqualLimitsMakeEqualBatches) {
  Start(1, 1000, Tuning(25, 25));
  Push(0, 0, 1, 100);
  executor_.RunAll();
  EXPECT_THAT(handler_.sizes(), ElementsAre(25, 25, 25, 25));
}

TEST_F(InlinePool, ABatchFillsUpFromOtherSpaces) {
  Start(1, 1000, Tuning(10, 10));
  for (int space = 0; space < 5; ++space) Push(0, space, 1, 4);
  executor_.RunAll();
  EXPECT_THAT(handler_.sizes(), ElementsAre(10, 10));
  EXPECT_THAT(handler_.started()[0].spaces, ElementsAre(0, 1, 2));
}

TEST_F(InlinePool, BatchLimitsChangeAtRunTime) {
  Start(1, 1000, Tuning(10, 10));
  Push(0, 0, 1, 20);
  executor_.RunAll();
  pool_->Tune(Tuning(5, 5));
  Push(0, 0, 21, 20);
  executor_.RunAll();
  EXPECT_THAT(handler_.sizes(), ElementsAre(10, 10, 5, 5, 5, 5));
}

// --- idle_sleep_ms: gathering ---

TEST_F(InlinePool, ALoneArrivalGathersForIdleSleep) {
  Start(2, 1000, Tuning(10, 500, milliseconds(7)));
  Push(1, 0, 1, 1);
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(6));
  // The gatherer looked, and waits for the rest of the time.
  clock_.AwaitWaiters(1);
  EXPECT_EQ(executor_.queued(), 0u);
  EXPECT_EQ(handler_.observations(), 0u);
  clock_.Advance(milliseconds(1));
  executor_.AwaitQueued(1);
  executor_.RunAll();
  EXPECT_EQ(handler_.observations(), 1u);
  AwaitGathered(1, 1);
  EXPECT_EQ(pool_->Read(0).gathered, 0u);
}

TEST_F(InlinePool, WhatArrivesMeanwhileGoesWithTheFirst) {
  Start(1, 1000, Tuning(10, 500, milliseconds(4)));
  Push(0, 0, 1, 1);
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(3));
  clock_.AwaitWaiters(1);
  for (int space = 1; space < 6; ++space) Push(0, space, 1, 1);
  EXPECT_EQ(executor_.queued(), 0u);
  // Four after the first, not after the latest.
  clock_.Advance(milliseconds(1));
  executor_.AwaitQueued(1);
  executor_.RunAll();
  EXPECT_THAT(handler_.sizes(), ElementsAre(6));
}

TEST_F(InlinePool, EachLaneHasItsOwnTime) {
  Start(3, 1000, Tuning(10, 500, milliseconds(10)));
  Push(0, 0, 1, 1);
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(4));
  clock_.AwaitWaiters(1);
  Push(2, 1, 1, 1);
  clock_.Advance(milliseconds(6));
  executor_.AwaitQueued(1);
  clock_.AwaitWaiters(1);
  executor_.RunAll();
  EXPECT_EQ(handler_.commits(0).size(), 1u);
  EXPECT_EQ(handler_.commits(1).size(), 0u);
  clock_.Advance(milliseconds(4));
  executor_.AwaitQueued(1);
  executor_.RunAll();
  EXPECT_EQ(handler_.commits(1).size(), 1u);
}

TEST_F(InlinePool, AFullSmallestBatchGoesAtOnce) {
  Start(1, 1000, Tuning(10, 500));
  Push(0, 0, 1, 4);
  Push(0, 1, 1, 5);
  EXPECT_EQ(executor_.queued(), 0u) << "nine gather";
  Push(0, 0, 5, 1);
  EXPECT_EQ(executor_.queued(), 1u) << "ten go";
  executor_.RunAll();
  EXPECT_EQ(handler_.observations(), 10u);
  EXPECT_EQ(pool_->Read(0).gathered, 0u);
}

TEST_F(InlinePool, HighWorkGoesAtOnce) {
  Start(1, 1000, Tuning(10, 500));
  Push(0, 0, 1, 1);
  EXPECT_EQ(executor_.queued(), 0u);
  Push(0, 1, 1, 1, Priority::kHigh);
  EXPECT_EQ(executor_.queued(), 1u);
  executor_.RunAll();
  EXPECT_EQ(handler_.observations(), 2u) << "and takes along what gathered";
}

TEST_F(InlinePool, ALaneThatWentAlreadyIsLeftAloneWhenItsTimeComes) {
  Start(2, 1000, Tuning(10, 500, milliseconds(5)));
  Push(0, 0, 1, 1);
  clock_.AwaitWaiters(1);
  Push(0, 0, 2, 1, Priority::kHigh);
  executor_.RunAll();
  EXPECT_EQ(handler_.observations(), 2u);
  clock_.Advance(milliseconds(3));
  clock_.AwaitWaiters(1);
  // So that the gatherer shows when it has seen to lane 0: it waits for lane 1.
  Push(1, 1, 1, 1);
  clock_.Advance(milliseconds(2));
  clock_.AwaitWaiters(1);
  EXPECT_EQ(executor_.queued(), 0u);
  clock_.Advance(milliseconds(3));
  executor_.AwaitQueued(1);
  executor_.RunAll();
  // The next arrival starts a time of its own.
  Push(0, 0, 3, 1);
  clock_.AwaitWaiters(1);
  EXPECT_EQ(executor_.queued(), 0u);
  EXPECT_EQ(pool_->Read(0).gathered, 0u);
  clock_.Advance(milliseconds(5));
  executor_.AwaitQueued(1);
  executor_.RunAll();
  AwaitGathered(0, 1);
}

TEST_F(InlinePool, EmptySlicesAreFinishedToo) {
  Start(1, 1000, Tuning(10, 500, milliseconds(5)));
  pool_->Push(0, spaces_[0], MakeSlice(std::make_shared<TestStream>(4), 77, 0));
  EXPECT_EQ(pool_->unfinished(), 1u);
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(5));
  executor_.AwaitQueued(1);
  executor_.RunAll();
  EXPECT_EQ(pool_->unfinished(), 0u);
  EXPECT_EQ(handler_.through(4), 77u);
}

TEST_F(InlinePool, IdleSleepChangesAtRunTime) {
  Start(1, 1000, Tuning(10, 500, hours(1)));
  pool_->Tune(Tuning(10, 500, milliseconds(2)));
  Push(0, 0, 1, 1);
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(2));
  executor_.AwaitQueued(1);
  executor_.RunAll();
  EXPECT_EQ(handler_.observations(), 1u);
}

// --- steal_threshold ---

// Worker 0 commits a batch of space 0; what the test pushes then to lane 0 can only be stolen.
class Stealing : public InlinePool {
 protected:
  static constexpr uint64_t kThreshold = 100;

  void StartWith(size_t workers, const std::function<void()>& meanwhile) {
    handler_.on_commit = [this, meanwhile](const Portion& portion) {
      if (SpaceId(portion) == 0 && !std::exchange(begun_, true)) {
        meanwhile();
        executor_.RunAll();
      }
      return absl::OkStatus();
    };
    Start(workers, 100'000, Tuning(10, 10, hours(1), kThreshold));
    Push(0, 0, 1, 10);
    executor_.RunAll();
    ASSERT_TRUE(begun_);
    stolen_ = 0;
    for (size_t i = 0; i < workers; ++i) stolen_ += pool_->Read(i).stolen;
    EXPECT_EQ(stolen_, handler_.stolen());
    EXPECT_EQ(pool_->unfinished(), 0u);
    for (const auto& batch : handler_.started()) EXPECT_EQ(batch.stolen, batch.worker != 0);
  }

  bool begun_ = false;
  uint64_t stolen_ = 0;
};

TEST_F(Stealing, UpToTheThresholdNoneIsStolen) {
  uint64_t woken = 0;
  StartWith(3, [&] {
    const uint64_t before = executor_.submitted();
    Push(0, 1, 1, kThreshold);
    woken = executor_.submitted() - before;
  });
  EXPECT_EQ(woken, 0u);
  EXPECT_EQ(stolen_, 0u);
  EXPECT_EQ(handler_.observations(), kThreshold + 10);
}

TEST_F(Stealing, AboveItWholeBatchesAreStolenUntilTheLaneIsDownToIt) {
  StartWith(2, [&] {
    Push(0, 1, 1, 65);
    Push(0, 2, 1, 65);
  });
  // 130, 120, 110.
  EXPECT_EQ(stolen_, 3u);
  EXPECT_EQ(pool_->Read(1).stolen, 3u);
  EXPECT_EQ(handler_.observations(), 140u);
  for (const auto& batch : handler_.started()) {
    EXPECT_EQ(batch.observations, 10u);
  }
}

TEST_F(Stealing, OneMoreThanTheThresholdIsStolenOnce) {
  StartWith(4, [&] { Push(0, 1, 1, kThreshold + 1); });
  EXPECT_EQ(stolen_, 1u);
}

TEST_F(Stealing, ASpaceThatIsOutIsNotStolen) {
  StartWith(4, [&] { Push(0, 0, 11, 500); });
  EXPECT_EQ(stolen_, 0u);
  RecordingHandler::Commits expected;
  for (uint64_t i = 1; i <= 510; ++i) expected.emplace_back(-1, i);
  EXPECT_EQ(handler_.commits(0), expected);
}

// Nobody is woken for what nobody can take.
TEST_F(Stealing, ASpaceThatIsOutWakesNobody) {
  uint64_t before = 0, after = 0;
  StartWith(4, [&] {
    before = executor_.submitted();
    for (uint64_t i = 0; i < 50; ++i) Push(0, 0, 11 + i * 10, 10);
    after = executor_.submitted();
  });
  EXPECT_EQ(after - before, 0u);
}

TEST_F(Stealing, TheThresholdChangesAtRunTime) {
  StartWith(2, [&] {
    pool_->Tune(Tuning(10, 10, hours(1), 50));
    Push(0, 1, 1, 80);
  });
  EXPECT_EQ(stolen_, 3u);
}

// --- AwaitIdle and the end ---

TEST_F(InlinePool, AwaitIdleEndsAtItsDeadline) {
  Start(1, 1000, Tuning(10, 500));
  EXPECT_TRUE(pool_->AwaitIdle(clock_.Now())) << "nothing was pushed";
  Push(0, 0, 1, 10);
  EXPECT_EQ(pool_->unfinished(), 1u);
  EXPECT_FALSE(pool_->AwaitIdle(clock_.Now()));
  bool idle = true;
  std::jthread waiter([&, deadline = clock_.Now() + milliseconds(5)] { idle = pool_->AwaitIdle(deadline); });
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(4));
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(1));
  waiter.join();
  EXPECT_FALSE(idle);
}

TEST_F(InlinePool, AwaitIdleReturnsWhenTheLastIsDone) {
  Start(1, 1000, Tuning(10, 10));
  Push(0, 0, 1, 10);
  Push(0, 1, 1, 10);
  bool idle = false;
  uint64_t seen = 0;
  std::jthread waiter([&, deadline = clock_.Now() + milliseconds(5)] {
    idle = pool_->AwaitIdle(deadline);
    seen = handler_.observations();
  });
  clock_.AwaitWaiters(1);
  executor_.RunAll();
  waiter.join();
  EXPECT_TRUE(idle);
  EXPECT_EQ(seen, 20u);
}

}  // namespace
}  // namespace engram
