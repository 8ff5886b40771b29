// What every Executor promises (ExecutorContract), and what one with threads of its own does beside (ThreadsContract). A
// test program names its executors with INSTANTIATE_TYPED_TEST_SUITE_P; the type says how to make one.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "core/base/executor.h"

namespace engram::testing {

inline constexpr WorkClass kAllClasses[] = {WorkClass::kHigh, WorkClass::kNormal, WorkClass::kLow};

// Maker: `static std::unique_ptr<Executor> Make(unsigned slots)`.
template <typename Maker>
class ExecutorContract : public ::testing::Test {};
template <typename Maker>
class ThreadsContract : public ::testing::Test {};

TYPED_TEST_SUITE_P(ExecutorContract);
TYPED_TEST_SUITE_P(ThreadsContract);

TYPED_TEST_P(ExecutorContract, RunsEveryTaskExactlyOnce) {
  constexpr size_t kThreads = 4, kTasks = 3000;
  const std::unique_ptr<Executor> executor = TypeParam::Make(3);
  std::vector<std::atomic<int>> runs(kThreads * kTasks);
  {
    std::vector<std::jthread> threads;
    for (size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (size_t i = 0; i < kTasks; ++i) {
          std::atomic<int>& mine = runs[thread * kTasks + i];
          executor->Submit(kAllClasses[i % 3], [&mine] { ++mine; });
        }
      });
    }
  }
  executor->AwaitIdle();
  for (size_t i = 0; i < runs.size(); ++i) ASSERT_EQ(runs[i].load(), 1) << i;
}

TYPED_TEST_P(ExecutorContract, EachClassRunsByItself) {
  for (const WorkClass work_class : kAllClasses) {
    const std::unique_ptr<Executor> executor = TypeParam::Make(1);
    bool ran = false;
    executor->Submit(work_class, [&] { ran = true; });
    executor->AwaitIdle();
    EXPECT_TRUE(ran) << static_cast<int>(work_class);
  }
}

TYPED_TEST_P(ExecutorContract, AwaitIdleWaitsForTasksOfTasks) {
  const std::unique_ptr<Executor> executor = TypeParam::Make(2);
  executor->AwaitIdle();
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> ran{0};
    std::function<void(int)> spawn = [&](int depth) {
      ++ran;
      if (depth == 0) return;
      for (int i = 0; i < 2; ++i) executor->Submit(kAllClasses[(depth + i) % 3], [&, depth] { spawn(depth - 1); });
    };
    executor->Submit(WorkClass::kNormal, [&] { spawn(5); });
    executor->AwaitIdle();
    ASSERT_EQ(ran.load(), 63) << round;
  }
}

TYPED_TEST_P(ExecutorContract, WhatATaskHoldsIsLetGoBeforeItIsDone) {
  const std::unique_ptr<Executor> executor = TypeParam::Make(2);
  for (int round = 0; round < 200; ++round) {
    auto held = std::make_shared<int>(0);
    executor->Submit(kAllClasses[round % 3], [held] { ++*held; });
    executor->AwaitIdle();
    ASSERT_EQ(held.use_count(), 1) << round;
  }
}

TYPED_TEST_P(ExecutorContract, ItsDestructorWaits) {
  std::atomic<int> ran{0};
  {
    const std::unique_ptr<Executor> executor = TypeParam::Make(2);
    for (int i = 0; i < 300; ++i) {
      executor->Submit(kAllClasses[i % 3], [&, e = executor.get()] {
        e->Submit(WorkClass::kNormal, [&] { ++ran; });
      });
    }
  }
  EXPECT_EQ(ran.load(), 300);
}

TYPED_TEST_P(ExecutorContract, RunHighRunsOnTheCallersThreadAndReturnsAfter) {
  // Many more callers than slots.
  constexpr int kCallers = 12, kRounds = 200;
  const std::unique_ptr<Executor> executor = TypeParam::Make(2);
  std::atomic<int> elsewhere{0}, unfinished{0};
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          bool ran = false;  // Not atomic on purpose: it is this thread's.
          executor->RunHigh([&, self = std::this_thread::get_id()] {
            if (std::this_thread::get_id() != self) ++elsewhere;
            std::this_thread::yield();
            ran = true;
          });
          if (!ran) ++unfinished;
        }
      });
    }
  }
  EXPECT_EQ(elsewhere.load(), 0);
  EXPECT_EQ(unfinished.load(), 0);
}

TYPED_TEST_P(ExecutorContract, RunHighMaySubmit) {
  const std::unique_ptr<Executor> executor = TypeParam::Make(1);
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) {
    executor->RunHigh([&] { executor->Submit(kAllClasses[i % 3], [&] { ++ran; }); });
  }
  executor->AwaitIdle();
  EXPECT_EQ(ran.load(), 100);
}

TYPED_TEST_P(ThreadsContract, AsManyTasksAsSlotsRunAtOneTime) {
  // Also many more than this machine has cores. Each waits for all, so fewer at a time would never end.
  for (const unsigned slots : {1u, 2u, 4u, 8u, 16u}) {
    const std::unique_ptr<Executor> executor = TypeParam::Make(slots);
    for (int round = 0; round < 5; ++round) {
      std::latch all(slots);
      for (unsigned i = 0; i < slots; ++i) executor->Submit(WorkClass::kNormal, [&] { all.arrive_and_wait(); });
      executor->AwaitIdle();
    }
  }
}

TYPED_TEST_P(ExecutorContract, NoMoreNormalTasksThanSlotsRunAtOneTime) {
  constexpr int kSlots = 3;
  const std::unique_ptr<Executor> executor = TypeParam::Make(kSlots);
  std::atomic<int> running{0}, most{0};
  for (int i = 0; i < 2000; ++i) {
    executor->Submit(WorkClass::kNormal, [&] {
      const int now = ++running;
      int seen = most.load();
      while (seen < now && !most.compare_exchange_weak(seen, now)) {
      }
      std::this_thread::yield();
      --running;
    });
  }
  executor->AwaitIdle();
  EXPECT_LE(most.load(), kSlots);
}

TYPED_TEST_P(ThreadsContract, HighWorkGetsInWhileAllSlotsAreOccupied) {
  constexpr unsigned kSlots = 4;
  const std::unique_ptr<Executor> executor = TypeParam::Make(kSlots);
  std::latch occupied(kSlots), release(1);
  for (unsigned i = 0; i < kSlots; ++i) {
    executor->Submit(WorkClass::kNormal, [&] {
      occupied.count_down();
      release.wait();
    });
  }
  // More normal work behind them.
  for (int i = 0; i < 100; ++i) executor->Submit(WorkClass::kNormal, [] {});
  occupied.wait();
  // Four at one time, each waiting for the others.
  std::latch together(kSlots);
  {
    std::vector<std::jthread> callers;
    for (unsigned i = 0; i < kSlots; ++i) {
      callers.emplace_back([&] { executor->RunHigh([&] { together.arrive_and_wait(); }); });
    }
  }
  release.count_down();
  executor->AwaitIdle();
}

REGISTER_TYPED_TEST_SUITE_P(ExecutorContract, RunsEveryTaskExactlyOnce, EachClassRunsByItself,
                            AwaitIdleWaitsForTasksOfTasks, WhatATaskHoldsIsLetGoBeforeItIsDone, ItsDestructorWaits,
                            RunHighRunsOnTheCallersThreadAndReturnsAfter, RunHighMaySubmit,
                            NoMoreNormalTasksThanSlotsRunAtOneTime);
REGISTER_TYPED_TEST_SUITE_P(ThreadsContract, AsManyTasksAsSlotsRunAtOneTime, HighWorkGetsInWhileAllSlotsAreOccupied);

}  // namespace engram::testing
