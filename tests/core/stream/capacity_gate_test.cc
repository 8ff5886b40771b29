#include "core/stream/capacity_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"

namespace engram {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeClock;

constexpr Priority kNormal = Priority::kNormal;
constexpr Priority kHigh = Priority::kHigh;

class CapacityGateTest : public ::testing::Test {
 protected:
  FakeClock clock_;
};

TEST_F(CapacityGateTest, SplitsTheCapacityInShares) {
  CapacityGate gate(10'000, 0.1, &clock_);
  EXPECT_EQ(gate.capacity(), 10'000u);
  EXPECT_EQ(gate.share(kHigh), 1000u);
  EXPECT_EQ(gate.share(kNormal), 9000u);
  EXPECT_EQ(gate.TakeUpTo(kNormal, 20'000), 9000u) << "normal work cannot take the high share";
  EXPECT_EQ(gate.TakeUpTo(kNormal, 1), 0u);
  EXPECT_EQ(gate.TakeUpTo(kHigh, 600), 600u);
  EXPECT_EQ(gate.TakeUpTo(kHigh, 600), 400u);
  EXPECT_EQ(gate.TakeUpTo(kHigh, 1), 0u);
  EXPECT_EQ(gate.depth(), 10'000u);
  EXPECT_EQ(gate.peak(), 10'000u);
}

TEST_F(CapacityGateTest, HighWorkCannotTakeTheNormalShare) {
  CapacityGate gate(10'000, 0.5, &clock_);
  EXPECT_EQ(gate.TakeUpTo(kHigh, 10'000), 5000u);
  EXPECT_EQ(gate.TakeUpTo(kNormal, 10'000), 5000u);
}

TEST_F(CapacityGateTest, WithoutAHighShareThereIsOneRoom) {
  CapacityGate gate(1000, 0, &clock_);
  EXPECT_EQ(gate.share(kHigh), 1000u);
  EXPECT_EQ(gate.share(kNormal), 1000u);
  EXPECT_EQ(gate.TakeUpTo(kHigh, 700), 700u);
  EXPECT_EQ(gate.TakeUpTo(kNormal, 700), 300u);
  EXPECT_EQ(gate.TakeUpTo(kHigh, 1), 0u);
  gate.Release(kHigh, 700);
  gate.Release(kNormal, 300);
  EXPECT_EQ(gate.depth(), 0u);
}

TEST_F(CapacityGateTest, WhatIsReleasedCanBeTakenAndThePeakStays) {
  CapacityGate gate(1000, 0.1, &clock_);
  gate.TakeUpTo(kNormal, 900);
  gate.Release(kNormal, 0);
  gate.Release(kNormal, 50);
  EXPECT_EQ(gate.depth(), 850u);
  EXPECT_EQ(gate.TakeUpTo(kNormal, 60), 50u);
  gate.Release(kNormal, 900);
  EXPECT_EQ(gate.depth(), 0u);
  EXPECT_EQ(gate.peak(), 900u);
}

TEST_F(CapacityGateTest, TheSumIsNeverExceededUnderConcurrentTakers) {
  constexpr int kThreads = 8, kRounds = 5000;
  CapacityGate gate(1000, 0.1, &clock_);
  std::atomic<uint64_t> held[2] = {0, 0};
  std::atomic<uint64_t> over{0}, refused{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(static_cast<uint64_t>(i));
      const Priority priority = i % 2 == 0 ? kNormal : kHigh;
      std::atomic<uint64_t>& mine = held[i % 2];
      uint64_t have = 0;
      for (int round = 0; round < kRounds; ++round) {
        const uint64_t want = 1 + random() % 400;
        const uint64_t got = gate.TakeUpTo(priority, want);
        refused += got < want;
        have += got;
        // Counted after it was taken and before it is given back, so never more than the gate's own count.
        over += mine.fetch_add(got) + got > gate.share(priority);
        over += gate.depth() > 1000;
        if (random() % 2 == 0) {
          mine -= have;
          gate.Release(priority, std::exchange(have, 0));
        }
      }
      mine -= have;
      gate.Release(priority, have);
    });
  }
  threads.clear();
  EXPECT_EQ(over.load(), 0u);
  EXPECT_EQ(gate.depth(), 0u);
  EXPECT_LE(gate.peak(), 1000u);
  EXPECT_GT(refused.load(), 0u) << "the test must have pressed against the limit";
}

// A thread in AwaitRoom, and what it got.
struct Waiter {
  Waiter(CapacityGate* gate, FakeClock* clock, Priority share, uint64_t units, MonotonicTime deadline)
      : thread([=, this] {
          room = gate->AwaitRoom(share, units, deadline);
          at = clock->Now();
        }) {}
  bool room = false;
  MonotonicTime at{};
  std::jthread thread;
};

TEST_F(CapacityGateTest, AwaitRoomReturnsAtOnceWhenThereIsRoom) {
  CapacityGate gate(1000, 0.1, &clock_);
  EXPECT_TRUE(gate.AwaitRoom(kNormal, 900, clock_.Now()));
  EXPECT_TRUE(gate.AwaitRoom(kHigh, 1, clock_.Now() + seconds(1)));
}

TEST_F(CapacityGateTest, AwaitRoomWakesWhenThereIsRoom) {
  CapacityGate gate(1000, 0.1, &clock_);
  gate.TakeUpTo(kNormal, 900);
  gate.TakeUpTo(kHigh, 100);
  Waiter waiter(&gate, &clock_, kNormal, 10, clock_.Now() + seconds(1));
  clock_.AwaitWaiters(1);
  // Room of the other share, or too little of its own, is no reason to return.
  gate.Release(kHigh, 100);
  gate.Release(kNormal, 9);
  clock_.Advance(milliseconds(5));
  clock_.AwaitWaiters(1);
  const MonotonicTime released = clock_.Now();
  gate.Release(kNormal, 1);
  waiter.thread.join();
  EXPECT_TRUE(waiter.room);
  EXPECT_EQ(waiter.at, released);
}

TEST_F(CapacityGateTest, LargeWishesWaitForAnEighthOfTheShare) {
  CapacityGate gate(1000, 0.2, &clock_);
  gate.TakeUpTo(kNormal, 800);
  Waiter waiter(&gate, &clock_, kNormal, 700, clock_.Now() + seconds(1));
  clock_.AwaitWaiters(1);
  gate.Release(kNormal, 99);
  clock_.Advance(milliseconds(5));
  clock_.AwaitWaiters(1);
  const MonotonicTime released = clock_.Now();
  gate.Release(kNormal, 1);
  waiter.thread.join();
  EXPECT_TRUE(waiter.room);
  EXPECT_EQ(waiter.at, released);
}

TEST_F(CapacityGateTest, RoomForLessThanTheLeastIsNotWaitedFor) {
  CapacityGate gate(1000, 0.2, &clock_);
  gate.TakeUpTo(kNormal, 800);
  std::atomic<bool> room = false;
  std::jthread waiter([&] { room = gate.AwaitRoom(kNormal, 300, clock_.Now() + seconds(1), 0, 300); });
  clock_.AwaitWaiters(1);
  gate.Release(kNormal, 299);
  clock_.Advance(milliseconds(5));
  clock_.AwaitWaiters(1);
  EXPECT_FALSE(room);
  gate.Release(kNormal, 1);
  waiter.join();
  EXPECT_TRUE(room);
}

TEST_F(CapacityGateTest, AwaitRoomEndsAtItsDeadline) {
  CapacityGate gate(1000, 0.1, &clock_);
  gate.TakeUpTo(kNormal, 900);
  const MonotonicTime start = clock_.Now();
  Waiter waiter(&gate, &clock_, kNormal, 10, start + milliseconds(10));
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(9));
  clock_.AwaitWaiters(1);
  clock_.Advance(milliseconds(1));
  waiter.thread.join();
  EXPECT_FALSE(waiter.room);
  EXPECT_EQ(waiter.at, start + milliseconds(10));
  EXPECT_FALSE(gate.AwaitRoom(kNormal, 10, clock_.Now())) << "a deadline that has passed";
}

TEST_F(CapacityGateTest, AtTheDeadlineAnyRoomWillDo) {
  CapacityGate gate(1000, 0.1, &clock_);
  gate.TakeUpTo(kNormal, 900);
  gate.Release(kNormal, 3);
  EXPECT_TRUE(gate.AwaitRoom(kNormal, 10, clock_.Now()));
}

TEST_F(CapacityGateTest, ShutWakesEverybodyUntilReopened) {
  CapacityGate gate(1000, 0.1, &clock_);
  gate.TakeUpTo(kNormal, 900);
  {
    std::vector<std::unique_ptr<Waiter>> waiters;
    for (int i = 0; i < 4; ++i) {
      waiters.push_back(std::make_unique<Waiter>(&gate, &clock_, kNormal, 10, clock_.Now() + seconds(1)));
    }
    clock_.AwaitWaiters(4);
    gate.Shut();
    for (auto& waiter : waiters) {
      waiter->thread.join();
      EXPECT_FALSE(waiter->room);
    }
  }
  EXPECT_FALSE(gate.AwaitRoom(kHigh, 1, clock_.Now() + seconds(1))) << "shut, though there is room";
  gate.Reopen();
  EXPECT_TRUE(gate.AwaitRoom(kHigh, 1, clock_.Now() + seconds(1)));
}

// Everybody who waits gets their room in the end, whoever is woken first.
TEST_F(CapacityGateTest, NoWaiterIsForgotten) {
  constexpr int kThreads = 6, kRounds = 400;
  CapacityGate gate(64, 0, &clock_);
  std::atomic<uint64_t> taken{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        for (uint64_t need = 40; need > 0;) {
          const uint64_t got = gate.TakeUpTo(kNormal, need);
          need -= got;
          taken += got;
          gate.Release(kNormal, got);
          if (need > 0 && got == 0) gate.AwaitRoom(kNormal, need, clock_.Now() + seconds(1));
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(taken.load(), uint64_t{kThreads} * kRounds * 40);
  EXPECT_EQ(gate.depth(), 0u);
}

TEST_F(CapacityGateTest, RetryAfterFollowsTheSpeed) {
  CapacityGate gate(10'000, 0, &clock_);
  gate.TakeUpTo(kNormal, 10'000);
  EXPECT_EQ(gate.RetryAfter(), milliseconds(100)) << "no speed known yet";
  clock_.Advance(milliseconds(100));
  gate.Release(kNormal, 1000);
  // 1000 in 100 ms; 5000 to go until 40 %.
  EXPECT_EQ(gate.RetryAfter(), milliseconds(500));
  clock_.Advance(milliseconds(100));
  gate.Release(kNormal, 3000);
  // The latest window, 30 000 a second, weighs half: 20 000; 2000 to go.
  EXPECT_EQ(gate.RetryAfter(), milliseconds(100));
  gate.Release(kNormal, 3000);
  EXPECT_EQ(gate.RetryAfter(), milliseconds(1)) << "already below";
}

TEST_F(CapacityGateTest, RetryAfterIsAMinuteAtMost) {
  CapacityGate gate(10'000, 0, &clock_);
  gate.TakeUpTo(kNormal, 10'000);
  clock_.Advance(seconds(1));
  gate.Release(kNormal, 1);
  EXPECT_EQ(gate.RetryAfter(), seconds(60));
}

// A burst after a quiet night is not told to wait a minute.
TEST_F(CapacityGateTest, TimeWithoutWorkDoesNotCountAsSlowness) {
  CapacityGate gate(10'000, 0, &clock_);
  for (int round = 0; round < 3; ++round) {
    clock_.Advance(seconds(3600));
    gate.TakeUpTo(kNormal, 10'000);
    clock_.Advance(milliseconds(100));
    gate.Release(kNormal, 1000);
    EXPECT_EQ(gate.RetryAfter(), milliseconds(500)) << round;
    clock_.Advance(milliseconds(900));
    gate.Release(kNormal, 9000);
  }
}

}  // namespace
}  // namespace engram
