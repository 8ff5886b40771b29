#include "core/base/mutex.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>
#include <vector>

namespace engram {
namespace {

TEST(Mutex, OneAtATime) {
  constexpr int kThreads = 4, kRounds = 20'000;
  Mutex mu;
  int64_t sum = 0;  // Not atomic on purpose.
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          MutexLock lock(mu);
          ++sum;
        }
      });
    }
  }
  EXPECT_EQ(sum, int64_t{kThreads} * kRounds);
}

TEST(Mutex, TryLockFailsWhileAnotherHoldsIt) {
  Mutex mu;
  const auto elsewhere = [&] {
    bool got = false;
    std::jthread([&] {
      if (mu.try_lock()) {
        got = true;
        mu.unlock();
      }
    }).join();
    return got;
  };
  {
    MutexLock lock(mu);
    EXPECT_FALSE(elsewhere());
  }
  EXPECT_TRUE(elsewhere());
}

TEST(CondVar, HandsEveryItemToOneConsumer) {
  constexpr int kConsumers = 3, kItems = 10'000;
  Mutex mu;
  CondVar cv;
  std::deque<int> items;
  bool closed = false;
  std::vector<int> taken(kItems, 0);
  std::vector<std::jthread> consumers;
  for (int i = 0; i < kConsumers; ++i) {
    consumers.emplace_back([&] {
      MutexLock lock(mu);
      while (true) {
        while (items.empty() && !closed) cv.Wait(mu);
        if (items.empty()) return;
        ++taken[static_cast<size_t>(items.front())];
        items.pop_front();
      }
    });
  }
  for (int item = 0; item < kItems; ++item) {
    MutexLock lock(mu);
    items.push_back(item);
    cv.NotifyOne();
  }
  {
    MutexLock lock(mu);
    closed = true;
    cv.NotifyAll();
  }
  consumers.clear();
  EXPECT_EQ(taken, std::vector<int>(kItems, 1));
}

}  // namespace
}  // namespace engram
