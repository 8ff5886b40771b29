#include "core/base/clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"

namespace engram {
namespace {

using testing::FakeClock;
using std::chrono::milliseconds;

TEST(RealClock, DoesNotGoBackAndKnowsTheDate) {
  RealClock clock;
  MonotonicTime before = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const MonotonicTime now = clock.Now();
    ASSERT_GE(now, before);
    before = now;
  }
  EXPECT_GT(clock.WallMicros(), 1'600'000'000'000'000);  // 2020.
}

TEST(RealClock, WaitEndsAtItsDeadline) {
  RealClock clock;
  Mutex mu;
  CondVar cv;
  MutexLock lock(mu);
  const MonotonicTime deadline = clock.Now() + milliseconds(2);
  while (clock.WaitUntil(cv, mu, deadline)) {
  }
  EXPECT_GE(clock.Now(), deadline);
  EXPECT_FALSE(clock.WaitUntil(cv, mu, clock.Now() - milliseconds(1))) << "a deadline in the past has passed";
}

TEST(RealClock, WaitEndsAtANotice) {
  RealClock clock;
  Mutex mu;
  CondVar cv;
  bool told = false;
  std::jthread teller([&] {
    MutexLock lock(mu);
    told = true;
    cv.NotifyAll();
  });
  MutexLock lock(mu);
  bool in_time = true;
  while (!told && in_time) in_time = clock.WaitUntil(cv, mu, clock.Now() + std::chrono::hours(1));
  EXPECT_TRUE(told);
  EXPECT_TRUE(in_time);
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock;
  const MonotonicTime start = clock.Now();
  const int64_t wall = clock.WallMicros();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(milliseconds(3));
  EXPECT_EQ(clock.Now() - start, milliseconds(3));
  EXPECT_EQ(clock.WallMicros() - wall, 3000);
}

// Waits for `deadline` in the way code does: until the clock says it has passed.
struct Sleeper {
  Sleeper(FakeClock* clock, MonotonicTime deadline)
      : thread([this, clock, deadline] {
          MutexLock lock(mu);
          while (clock->WaitUntil(cv, mu, deadline)) ++rounds;
          woken_at = clock->Now();
        }) {}

  Mutex mu;
  CondVar cv;
  int rounds = 0;
  MonotonicTime woken_at{};
  std::jthread thread;
};

TEST(FakeClock, WaitersWakeAtTheirDeadlineAndNotBefore) {
  FakeClock clock;
  const MonotonicTime start = clock.Now();
  Sleeper early(&clock, start + milliseconds(5)), late(&clock, start + milliseconds(10));
  clock.AwaitWaiters(2);
  clock.Advance(milliseconds(4));
  // Both looked and wait again.
  clock.AwaitWaiters(2);
  clock.Advance(milliseconds(1));
  early.thread.join();
  EXPECT_EQ(early.woken_at, start + milliseconds(5));
  EXPECT_EQ(early.rounds, 1);
  clock.AwaitWaiters(1);
  clock.Advance(milliseconds(5));
  late.thread.join();
  EXPECT_EQ(late.woken_at, start + milliseconds(10));
  EXPECT_EQ(late.rounds, 2);
}

TEST(FakeClock, ANoticeEndsAWaitBeforeItsTime) {
  FakeClock clock;
  Mutex mu;
  CondVar cv;
  bool told = false, in_time = false;
  std::jthread waiter([&] {
    MutexLock lock(mu);
    in_time = true;
    while (!told && in_time) in_time = clock.WaitUntil(cv, mu, clock.Now() + milliseconds(1));
  });
  clock.AwaitWaiters(1);
  {
    MutexLock lock(mu);
    told = true;
    cv.NotifyAll();
  }
  waiter.join();
  EXPECT_TRUE(in_time);
  // Nobody waits any more: this wakes nobody and touches nothing that is gone.
  clock.Advance(milliseconds(5));
}

TEST(FakeClock, ManyWaitersOfOneConditionAllWake) {
  FakeClock clock;
  Mutex mu;
  CondVar cv;
  std::atomic<int> woken{0};
  const MonotonicTime deadline = clock.Now() + milliseconds(2);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      MutexLock lock(mu);
      while (clock.WaitUntil(cv, mu, deadline)) {
      }
      ++woken;
    });
  }
  for (int round = 0; round < 2; ++round) {
    clock.AwaitWaiters(8);
    clock.Advance(milliseconds(1));
  }
  threads.clear();
  EXPECT_EQ(woken.load(), 8);
}

}  // namespace
}  // namespace engram
