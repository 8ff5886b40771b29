// A clock that moves only when told to.
#pragma once

#include <algorithm>
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
    {
      MutexLock lock(mu_);
      if (now_ >= deadline) return false;
      waiters_.push_back({&cv, &mu});
      waiting_.NotifyAll();
    }
    cv.Wait(mu);
    MutexLock lock(mu_);
    auto it = std::find_if(waiters_.begin(), waiters_.end(), [&](const Waiter& w) { return w.cv == &cv; });
    if (it != waiters_.end()) waiters_.erase(it);
    return now_ < deadline;
  }

  // Moves both times forward and wakes every waiter, which looks at the new time and waits again if it must.
  void Advance(Duration by) ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<Waiter> waiters;
    {
      MutexLock lock(mu_);
      now_ += by;
      wall_us_ += by.count();
      waiters = waiters_;
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
    CondVar* cv;
    Mutex* mu;
  };

  mutable Mutex mu_;
  CondVar waiting_;
  MonotonicTime now_ ABSL_GUARDED_BY(mu_) = MonotonicTime(std::chrono::hours(1));
  int64_t wall_us_ ABSL_GUARDED_BY(mu_) = 1'700'000'000'000'000;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram::testing
