// The knobs of the pool with real threads: polling, workers at one time, helpers. Latches say who waits for whom; where a
// promise is broken the test does not end.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

#include "core/stream/thread_executor.h"
#include "core/stream/worker_pool.h"
#include "tests/core/stream/pool_setup.h"
#include "tests/core/stream/recording_handler.h"
#include "tests/core/stream/slices.h"
#include "tests/support/fake_clock.h"

namespace engram {
namespace {

using std::chrono::milliseconds;
using testing::FakeClock;
using testing::kForever;
using testing::MakeSlice;
using testing::MakeSpaces;
using testing::RecordingHandler;
using testing::SpaceId;
using testing::TestSpace;
using testing::Tuning;

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
