// Time as a dependency: what it is now, and waiting for it.
//
// Threads:  any. Ownership: outlives whatever it was passed to.
// Why:      tests pass a fake and advance it; nothing sleeps.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/base/mutex.h"

namespace engram {

using MonotonicTime = std::chrono::steady_clock::time_point;
using Duration = std::chrono::microseconds;

class Clock {
 public:
  virtual ~Clock() = default;

  virtual MonotonicTime Now() const = 0;
  // Microseconds since the Unix epoch.
  virtual int64_t WallMicros() const = 0;
  // Waits on `cv` until it is notified or `deadline` passes; false in the latter case. May wake for no reason.
  virtual bool WaitUntil(CondVar& cv, Mutex& mu, MonotonicTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) = 0;
};

class RealClock final : public Clock {
 public:
  MonotonicTime Now() const override { return std::chrono::steady_clock::now(); }
  int64_t WallMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  bool WaitUntil(CondVar& cv, Mutex& mu, MonotonicTime deadline) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return cv.WaitUntil(mu, deadline);
  }
};

}  // namespace engram
