// A task that finds no memory is its submitter's again, and nobody waits for it.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <new>

#include "core/stream/tbb_executor.h"
#include "tests/support/scarce_memory.h"

namespace engram::testing {
namespace {

class TbbExecutorMemory : public ::testing::TestWithParam<WorkClass> {};

TEST_P(TbbExecutorMemory, NobodyWaitsForATaskThatWasNotTaken) {
  const std::unique_ptr<Executor> executor = MakeTbbExecutor(1);
  // oneTBB takes memory for a thread that it begins, and undoes nothing when there is none: so it has begun it before.
  executor->Submit(GetParam(), [] {});
  executor->AwaitIdle();
  // Longer than what a function holds in itself.
  const std::array<uint64_t, 8> weight{};
  std::atomic<uint64_t> ran{0};
  uint64_t taken = 0;
  RunOutEverywhere([&](uint64_t left) {
    Executor::Task task = [&ran, weight] { ran.fetch_add(weight[0] + 1); };
    bool failed = false, refused = false;
    {
      const MemoryRunsOut scarce(left);
      try {
        executor->Submit(GetParam(), std::move(task));
      } catch (const std::bad_alloc&) {
        refused = true;
      }
      failed = scarce.failed();
    }
    if (!refused) ++taken;
    executor->AwaitIdle();
    EXPECT_EQ(ran.load(), taken);
    return failed;
  });
}

INSTANTIATE_TEST_SUITE_P(Classes, TbbExecutorMemory,
                         ::testing::Values(WorkClass::kHigh, WorkClass::kNormal, WorkClass::kLow));

}  // namespace
}  // namespace engram::testing
