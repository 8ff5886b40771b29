#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <vector>

#include "core/stream/thread_executor.h"
#include "tests/core/stream/executor_contract.h"
#include "tests/support/inline_executor.h"

namespace engram::testing {

struct Inline {
  static std::unique_ptr<Executor> Make(unsigned) { return std::make_unique<InlineExecutor>(11); }
};

struct Threads {
  static std::unique_ptr<Executor> Make(unsigned slots) { return std::make_unique<ThreadExecutor>(slots); }
};

using Executors = ::testing::Types<Inline, Threads>;
INSTANTIATE_TYPED_TEST_SUITE_P(Core, ExecutorContract, Executors);
INSTANTIATE_TYPED_TEST_SUITE_P(Core, ThreadsContract, ::testing::Types<Threads>);

TEST(ThreadExecutor, RunsTheHighestClassFirst) {
  ThreadExecutor executor(1);
  std::latch started(1), release(1);
  executor.Submit(WorkClass::kNormal, [&] {
    started.count_down();
    release.wait();
  });
  started.wait();
  std::vector<int> order;
  executor.Submit(WorkClass::kLow, [&] { order.push_back(3); });
  executor.Submit(WorkClass::kNormal, [&] { order.push_back(2); });
  executor.Submit(WorkClass::kHigh, [&] { order.push_back(1); });
  release.count_down();
  executor.AwaitIdle();
  EXPECT_THAT(order, ::testing::ElementsAre(1, 2, 3));
}

TEST(InlineExecutor, TheSeedDecidesTheOrder) {
  const auto order = [](uint64_t seed) {
    InlineExecutor executor(seed);
    std::vector<int> ran;
    for (int i = 0; i < 20; ++i) executor.Submit(WorkClass::kNormal, [&ran, i] { ran.push_back(i); });
    EXPECT_TRUE(ran.empty()) << "nothing runs unasked";
    EXPECT_EQ(executor.queued(), 20u);
    EXPECT_TRUE(executor.RunOne());
    EXPECT_EQ(executor.queued(), 19u);
    executor.RunAll();
    EXPECT_FALSE(executor.RunOne());
    EXPECT_EQ(executor.submitted(), 20u);
    return ran;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

}  // namespace engram::testing
