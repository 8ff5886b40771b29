// Lets background work move so many bytes a second, so that it takes the disk from nobody.
//
// Threads:  Pass from one, Stop from any. Ownership: the clock outlives it. Blocking: Pass, until it is time or Stop.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace engram {

class Pace {
 public:
  // 0: no limit.
  Pace(Clock* clock, uint64_t bytes_per_second) : clock_(clock), bytes_per_second_(bytes_per_second) {}

  // `bytes` have been moved; returns when the next may be. False from Stop on.
  bool Pass(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (bytes_per_second_ != 0) {
      // What was not used before does not add up to a burst.
      next_ = std::max(next_, clock_->Now()) + Duration(bytes * 1'000'000 / bytes_per_second_);
      while (!stopped_ && clock_->Now() < next_) clock_->WaitUntil(stop_, mu_, next_);
    }
    return !stopped_;
  }
  void Stop() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    stopped_ = true;
    stop_.NotifyAll();
  }

 private:
  // Constant after construction.
  Clock* const clock_;
  const uint64_t bytes_per_second_;

  Mutex mu_;
  CondVar stop_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  MonotonicTime next_ ABSL_GUARDED_BY(mu_){};
};

}  // namespace engram
