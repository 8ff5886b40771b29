#include "core/stream/tbb_executor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "core/stream/worker_pool.h"
#include "tests/core/stream/executor_contract.h"
#include "tests/core/stream/recording_handler.h"
#include "tests/core/stream/slices.h"

namespace engram::testing {

struct Tbb {
  static std::unique_ptr<Executor> Make(unsigned slots) { return MakeTbbExecutor(slots); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Tbb, ExecutorContract, ::testing::Types<Tbb>);
INSTANTIATE_TYPED_TEST_SUITE_P(Tbb, ThreadsContract, ::testing::Types<Tbb>);

// Linking that never ends must not keep batches from their slots.
TEST(TbbExecutor, LowWorkTakesNoNormalSlot) {
  const std::unique_ptr<Executor> executor = MakeTbbExecutor(2);
  std::latch release(1), together(2);
  for (int i = 0; i < 10; ++i) executor->Submit(WorkClass::kLow, [&] { release.wait(); });
  std::latch done(2);
  for (int i = 0; i < 2; ++i) {
    executor->Submit(WorkClass::kNormal, [&] {
      together.arrive_and_wait();
      done.count_down();
    });
  }
  done.wait();
  release.count_down();
  executor->AwaitIdle();
}

// A thread that waits for its next task has time for one of them only.
TEST(TbbExecutor, TwoTasksAreNotLeftToOneThreadThatWaits) {
  for (int round = 0; round < 300; ++round) {
    const std::unique_ptr<Executor> executor = MakeTbbExecutor(2);
    executor->Submit(WorkClass::kNormal, [] {});
    executor->AwaitIdle();
    // Until the thread waits, most of the time.
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(round);
    while (std::chrono::steady_clock::now() < until) {
    }
    std::latch together(2);
    for (int i = 0; i < 2; ++i) executor->Submit(WorkClass::kNormal, [&] { together.arrive_and_wait(); });
    executor->AwaitIdle();
  }
}

// num_workers and idle_sleep_ms.
class WorkerPoolOnTbb : public ::testing::TestWithParam<std::tuple<unsigned, int>> {};

TEST_P(WorkerPoolOnTbb, SoManyBatchesRunAtOneTime) {
  const auto [workers, idle_sleep_us] = GetParam();
  RealClock clock;
  const std::unique_ptr<Executor> executor = MakeTbbExecutor(workers);
  RecordingHandler handler;
  std::optional<std::latch> all;
  // With one worker less it would never end.
  handler.on_commit = [&](const Portion&) {
    all->arrive_and_wait();
    return absl::OkStatus();
  };
  WorkerTuning tuning;
  tuning.min_batch = 1;
  tuning.idle_sleep = Duration{idle_sleep_us};
  WorkerPool pool(workers, 1000, tuning, &handler, executor.get(), &clock);
  std::vector<std::shared_ptr<TestSpace>> spaces;
  for (unsigned i = 0; i < workers; ++i) spaces.push_back(std::make_shared<TestSpace>(static_cast<int>(i)));
  for (uint64_t round = 1; round <= 50; ++round) {
    all.emplace(static_cast<ptrdiff_t>(workers));
    for (size_t lane = 0; lane < workers; ++lane) pool.Push(lane, spaces[lane], MakeSlice(nullptr, round, 1));
    pool.AwaitIdle(MonotonicTime::max());
  }
  EXPECT_EQ(handler.observations(), workers * 50);
}

INSTANTIATE_TEST_SUITE_P(Sizes, WorkerPoolOnTbb,
                         ::testing::Combine(::testing::Values(1, 2, 4, 8, 16), ::testing::Values(0, 1000)));

}  // namespace engram::testing
