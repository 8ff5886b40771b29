// A clock that moves only when told to.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/clock.h"

namespace engram::testing {

class FakeClock final : public Clock {
 public:
  MonotonicTime Now() const override ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return now_;
  }
  int64_t WallMicros() const override ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return wall_us_;
  }

  bool WaitUntil(CondVar& cv, Mutex& mu, MonotonicTime deadline) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    uint64_t id;
    {
      MutexLock lock(mu_);
      if (now_ >= deadline) return false;
      id = ++last_id_;
      waiters_.push_back({id, &cv, &mu});
      waiting_.NotifyAll();
    }
    cv.Wait(mu);
    MutexLock lock(mu_);
    // Gone already if Advance woke it.
    std::erase_if(waiters_, [&](const Waiter& w) { return w.id == id; });
    return now_ < deadline;
  }

  // Moves both times forward and wakes every waiter, which looks at the new time and waits again if it must.
  void Advance(Duration by) ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<Waiter> waiters;
    {
      MutexLock lock(mu_);
      now_ += by;
      wall_us_ += by.count();
      // They no longer count as waiting, so AwaitWaiters after this means those that looked at the new time.
      waiters.swap(waiters_);
    }
    // Taking the waiter's mutex makes sure that it is inside its wait, not on the way there.
    for (const Waiter& w : waiters) {
      w.mu->lock();
      w.mu->unlock();
      w.cv->NotifyAll();
    }
  }

  // Blocks until `count` threads wait for time.
  void AwaitWaiters(size_t count) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    while (waiters_.size() < count) waiting_.Wait(mu_);
  }

 private:
  struct Waiter {
    uint64_t id;
    CondVar* cv;
    Mutex* mu;
  };

  mutable Mutex mu_;
  CondVar waiting_;
  MonotonicTime now_ ABSL_GUARDED_BY(mu_) = MonotonicTime(std::chrono::minutes(1));
  int64_t wall_us_ ABSL_GUARDED_BY(mu_) = 1'700'000'000'000'000;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
  uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram::testing
