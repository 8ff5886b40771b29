#include "index/phase_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

namespace engram {
namespace {

TEST(PhaseLockTest, SharedHoldersShareAndExclusiveExcludes) {
  PhaseLock lock;
  int guarded = 0;
  std::atomic<int> inside{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        if ((i + t) % 4 == 0) {
          ExclusivePhase hold(lock);
          EXPECT_EQ(inside.fetch_add(1), 0);
          ++guarded;
          inside.fetch_sub(1);
        } else {
          SharedPhase hold(lock);
          // Read under the lock: ThreadSanitizer and the compiler see a race if there is one.
          EXPECT_GE(guarded, 0);
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(guarded, 4 * 500);
}

// Shared holders overlap for ever: each lets go only when the next has come in or waits. A lock that prefers readers
// would never let the exclusive request through, and the test would not end.
TEST(PhaseLockTest, AnExclusiveRequestGetsInThoughSharedHoldersKeepComing) {
  PhaseLock lock;
  std::atomic<bool> done{false};
  std::atomic<uint64_t> came{0};
  std::latch started(2);
  const auto relay = [&] {
    bool first = true;
    while (!done.load()) {
      lock.LockShared();
      came.fetch_add(1);
      if (std::exchange(first, false)) started.arrive_and_wait();
      // Hold until the other relay came in too, or the exclusive request is through or keeps it out.
      const uint64_t seen = came.load();
      for (int spin = 0; spin < 1000 && came.load() == seen && !done.load(); ++spin) std::this_thread::yield();
      lock.UnlockShared();
    }
  };
  std::jthread a(relay);
  std::jthread b(relay);
  started.wait();
  for (int i = 0; i < 100; ++i) {
    ExclusivePhase hold(lock);
  }
  done.store(true);
}

// The turn of those who wait for a shared hold comes before the next exclusive one.
TEST(PhaseLockTest, ASharedRequestGetsInThoughExclusiveHoldersKeepComing) {
  PhaseLock lock;
  std::atomic<bool> done{false};
  std::latch started(2);
  const auto relay = [&] {
    bool first = true;
    while (!done.load()) {
      ExclusivePhase hold(lock);
      if (std::exchange(first, false)) started.count_down();
    }
  };
  std::jthread a(relay);
  std::jthread b(relay);
  started.wait();
  for (int i = 0; i < 100; ++i) {
    SharedPhase hold(lock);
  }
  done.store(true);
}

}  // namespace
}  // namespace engram
