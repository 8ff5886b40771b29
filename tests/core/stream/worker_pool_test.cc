// Each knob of the pool does what the table of settings says. Where an order must be certain, the workers run on the
// test's own thread (InlineExecutor) and time is told to pass (FakeClock).
#include "core/stream/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "core/stream/thread_executor.h"
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
using testing::RecordingHandler;
using testing::SpaceId;
using testing::TestSpace;
using testing::TestStream;

constexpr MonotonicTime kForever = MonotonicTime::max();

WorkerTuning Tuning(uint64_t min_batch, uint64_t max_batch, Duration idle_sleep = hours(1),
                    uint64_t steal_threshold = 1'000'000) {
  WorkerTuning tuning;
  tuning.min_batch = min_batch;
  tuning.max_batch = max_batch;
  tuning.idle_sleep = idle_sleep;
  tuning.steal_threshold = steal_threshold;
  return tuning;
}

std::vector<std::shared_ptr<TestSpace>> MakeSpaces(int count) {
  std::vector<std::shared_ptr<TestSpace>> spaces;
  for (int i = 0; i < count; ++i) spaces.push_back(std::make_shared<TestSpace>(i));
  return spaces;
}

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

TEST(WorkerPool, ItsDestructorFinishesWhatWasPushed) {
  RealClock clock;
  ThreadExecutor executor(2);
  for (const Duration idle_sleep : {Duration{0}, Duration{500}}) {
    RecordingHandler handler;
    {
      WorkerPool pool(2, 1000, Tuning(10, 100, idle_sleep), &handler, &executor, &clock);
      const auto spaces = MakeSpaces(4);
      for (uint64_t i = 0; i < 400; ++i) pool.Push(i % 2, spaces[i % 4], MakeSlice(nullptr, i, 3));
      pool.Push(1, spaces[1], MakeSlice(nullptr, 5000, 1));
    }
    EXPECT_EQ(handler.observations(), 1201u);
  }
}

TEST(WorkerPool, ItsDestructorWaitsForWhatStillGathers) {
  FakeClock clock;
  ThreadExecutor executor(1);
  RecordingHandler handler;
  auto pool = std::make_unique<WorkerPool>(1, 1000, Tuning(10, 100, milliseconds(5)), &handler, &executor, &clock);
  pool->Push(0, std::make_shared<TestSpace>(0), MakeSlice(nullptr, 1, 1));
  clock.AwaitWaiters(1);
  std::jthread destroyer([&] { pool.reset(); });
  clock.Advance(milliseconds(4));
  clock.AwaitWaiters(1);
  EXPECT_EQ(handler.observations(), 0u);
  clock.Advance(milliseconds(1));
  destroyer.join();
  EXPECT_EQ(handler.observations(), 1u);
}

// --- idle_sleep_ms 0: polling ---

TEST(WorkerPool, WithoutIdleSleepWorkersPollAndTimeNeedNotPass) {
  FakeClock clock;
  ThreadExecutor executor(2);
  RecordingHandler handler;
  WorkerPool pool(2, 1000, Tuning(10, 500, Duration{0}), &handler, &executor, &clock);
  const auto spaces = MakeSpaces(2);
  const auto polls = [&] { return pool.Read(0).polls + pool.Read(1).polls; };
  uint64_t before = 0;
  // Far fewer than a smallest batch, one at a time.
  for (uint64_t i = 1; i <= 200; ++i) {
    pool.Push(i % 2, spaces[i % 2], MakeSlice(nullptr, i, 1));
    handler.AwaitObservations(i);
    // Looking for work, not waiting for it.
    while (polls() == before) std::this_thread::yield();
    before = polls();
  }
  EXPECT_EQ(pool.Read(0).gathered + pool.Read(1).gathered, 0u);
}

TEST(WorkerPool, PollingEndsInTheEndAndTheNextArrivalWakesAWorker) {
  FakeClock clock;
  ThreadExecutor executor(2);
  RecordingHandler handler;
  WorkerPool pool(2, 1000, Tuning(10, 500, Duration{0}), &handler, &executor, &clock);
  const auto spaces = MakeSpaces(1);
  const auto polls = [&] { return pool.Read(0).polls + pool.Read(1).polls; };
  uint64_t before = 0;
  for (uint64_t i = 1; i <= 3; ++i) {
    pool.Push(0, spaces[0], MakeSlice(nullptr, i, 1));
    handler.AwaitObservations(i);
    // It polls, so it has read the clock.
    while (polls() == before) std::this_thread::yield();
    clock.Advance(std::chrono::seconds(1));
    executor.AwaitIdle();
    before = polls();
  }
  EXPECT_EQ(handler.observations(), 3u);
}

TEST(WorkerPool, FromPollingToParkingAtRunTime) {
  FakeClock clock;
  ThreadExecutor executor(2);
  RecordingHandler handler;
  WorkerPool pool(2, 1000, Tuning(10, 500, Duration{0}), &handler, &executor, &clock);
  const auto spaces = MakeSpaces(1);
  pool.Push(0, spaces[0], MakeSlice(nullptr, 1, 1));
  handler.AwaitObservations(1);
  while (pool.Read(0).polls + pool.Read(1).polls == 0) std::this_thread::yield();
  pool.Tune(Tuning(10, 500, milliseconds(3)));
  clock.Advance(std::chrono::seconds(1));
  executor.AwaitIdle();
  pool.Push(0, spaces[0], MakeSlice(nullptr, 2, 1));
  clock.AwaitWaiters(1);
  EXPECT_EQ(handler.observations(), 1u);
  clock.Advance(milliseconds(3));
  handler.AwaitObservations(2);
  pool.Tune(Tuning(10, 500, Duration{0}));
  pool.Push(0, spaces[0], MakeSlice(nullptr, 3, 1));
  handler.AwaitObservations(3);
}

// --- num_workers ---

class NumWorkers : public ::testing::TestWithParam<std::tuple<size_t, int>> {};

// Each commit waits until all lanes are committing: with one worker less it would never end.
TEST_P(NumWorkers, SoManyBatchesRunAtOneTime) {
  const auto [workers, idle_sleep_us] = GetParam();
  RealClock clock;
  ThreadExecutor executor(static_cast<unsigned>(workers));
  RecordingHandler handler;
  std::optional<std::latch> all;
  std::atomic<size_t> running{0}, most{0};
  handler.on_commit = [&](const Portion&) {
    const size_t now = ++running;
    for (size_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    all->arrive_and_wait();
    --running;
    return absl::OkStatus();
  };
  WorkerPool pool(workers, 1000, Tuning(1, 10, Duration{idle_sleep_us}), &handler, &executor, &clock);
  const auto spaces = MakeSpaces(static_cast<int>(workers));
  for (int round = 0; round < 20; ++round) {
    all.emplace(static_cast<ptrdiff_t>(workers));
    for (size_t lane = 0; lane < workers; ++lane) {
      pool.Push(lane, spaces[lane], MakeSlice(nullptr, static_cast<uint64_t>(round) + 1, 1));
    }
    pool.AwaitIdle(kForever);
  }
  EXPECT_EQ(most.load(), workers);
  EXPECT_EQ(handler.observations(), workers * 20);
  for (size_t i = 0; i < workers; ++i) EXPECT_EQ(pool.Read(i).batches, 20u) << i;
}

INSTANTIATE_TEST_SUITE_P(Sizes, NumWorkers,
                         ::testing::Combine(::testing::Values(1, 2, 4, 8, 16), ::testing::Values(0, 1000)));

// The other workers help with one deep lane, without time passing and whether they poll or park.
class Helpers : public ::testing::TestWithParam<int> {};

TEST_P(Helpers, AllWorkersHelpWithADeepLane) {
  constexpr size_t kWorkers = 4;
  FakeClock clock;
  ThreadExecutor executor(kWorkers);
  RecordingHandler handler;
  std::latch all(kWorkers);
  std::atomic<int> arrived{0};
  handler.on_commit = [&](const Portion&) {
    if (arrived++ < static_cast<int>(kWorkers)) all.arrive_and_wait();
    return absl::OkStatus();
  };
  WorkerPool pool(kWorkers, 100'000, Tuning(10, 10, milliseconds(GetParam()), 100), &handler, &executor, &clock);
  const auto spaces = MakeSpaces(8);
  for (int i = 0; i < 8; ++i) pool.Push(0, spaces[static_cast<size_t>(i)], MakeSlice(nullptr, 1, 100));
  pool.AwaitIdle(kForever);
  EXPECT_EQ(handler.observations(), 800u);
  EXPECT_GE(handler.stolen(), kWorkers - 1);
}

// One push is over the threshold and wakes one worker; that one wakes the next.
TEST_P(Helpers, AHelperCallsFurtherHelpers) {
  constexpr size_t kWorkers = 4;
  FakeClock clock;
  ThreadExecutor executor(kWorkers);
  RecordingHandler handler;
  std::latch pushed(1), all(kWorkers);
  std::atomic<int> arrived{0};
  handler.on_commit = [&](const Portion&) {
    pushed.wait();
    if (arrived++ < static_cast<int>(kWorkers)) all.arrive_and_wait();
    return absl::OkStatus();
  };
  WorkerPool pool(kWorkers, 100'000, Tuning(10, 10, milliseconds(GetParam()), 700), &handler, &executor, &clock);
  const auto spaces = MakeSpaces(8);
  // The home worker has a batch of the first in its hands.
  pool.Push(0, spaces[0], MakeSlice(nullptr, 1, 10));
  while (handler.started().empty()) std::this_thread::yield();
  for (uint64_t i = 1; i < 8; ++i) pool.Push(0, spaces[i], MakeSlice(nullptr, 1, 100));
  pool.Push(0, spaces[0], MakeSlice(nullptr, 11, 90));
  pushed.count_down();
  pool.AwaitIdle(kForever);
  EXPECT_EQ(handler.observations(), 800u);
}

// A worker that is asked to help while it polls stops polling: its task has no other slot to run in.
TEST(WorkerPool, APollerMakesRoomForItsOwnTask) {
  FakeClock clock;
  ThreadExecutor executor(2);
  RecordingHandler handler;
  std::latch helped(1);
  std::atomic<bool> first{true};
  handler.on_commit = [&](const Portion& portion) {
    if (SpaceId(portion) == 0 && first.exchange(false)) helped.wait();
    if (SpaceId(portion) == 2) helped.count_down();
    return absl::OkStatus();
  };
  WorkerPool pool(2, 100'000, Tuning(200, 200, Duration{0}, 100), &handler, &executor, &clock);
  const auto spaces = MakeSpaces(3);
  // Worker 0 is busy until it is helped, and worker 1 polls.
  pool.Push(0, spaces[0], MakeSlice(nullptr, 1, 1));
  while (handler.started().empty()) std::this_thread::yield();
  pool.Push(1, spaces[1], MakeSlice(nullptr, 1, 1));
  while (pool.Read(1).polls == 0) std::this_thread::yield();
  pool.Push(0, spaces[2], MakeSlice(nullptr, 1, 101));
  helped.wait();
  EXPECT_EQ(handler.stolen(), 1u);
  EXPECT_LT(pool.Read(1).polls, 900'000u) << "it polled until it gave up";
}

INSTANTIATE_TEST_SUITE_P(PollOrPark, Helpers, ::testing::Values(0, 1));

}  // namespace
}  // namespace engram
