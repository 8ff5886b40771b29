// Rung whenever something came into a space: what its followers wait for.
//
// Threads:  any. Blocking: AwaitBeyond until the next ring or the deadline; Ring never, but for a short mutex.
// Ownership: outlives those who wait.
// Why:      whoever rings keeps nothing for anybody: a follower looks itself what is new, so a slow one costs the writer
//           no more than this.
#pragma once

#include <cstdint>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace engram {

class ArrivalBell {
 public:
  void Ring() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ++rung_;
    if (waiting_ > 0) rang_.NotifyAll();
  }
  // How often so far. Asked before one looks, so that AwaitBeyond misses nothing that comes after the look.
  uint64_t rung() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return rung_;
  }
  // Returns once it has rung more often than `rung`, or at the deadline.
  void AwaitBeyond(uint64_t rung, Clock& clock, MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ++waiting_;
    bool in_time = true;
    while (rung_ <= rung && in_time) in_time = clock.WaitUntil(rang_, mu_, deadline);
    --waiting_;
  }

 private:
  mutable Mutex mu_;
  CondVar rang_;
  uint64_t rung_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram
