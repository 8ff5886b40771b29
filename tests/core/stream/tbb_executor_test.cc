#include "core/stream/tbb_executor.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/core/stream/executor_contract.h"

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

}  // namespace engram::testing
