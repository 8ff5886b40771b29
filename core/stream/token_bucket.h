// A rate limit: `rate` units a second, bursts of up to one second's worth.
//
// Threads: none of its own; guarded by its owner. A rate of 0 lets everything pass.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/clock.h"

namespace engram {

class TokenBucket {
 public:
  void SetRate(uint64_t rate, MonotonicTime now) {
    if (rate == rate_) return;
    Refill(now);  // At the old rate.
    level_ = rate_ == 0 ? static_cast<double>(rate) : std::min(level_, static_cast<double>(rate));
    rate_ = rate;
  }

  // Takes as many of `want` units as there are; returns how many.
  uint64_t TakeUpTo(uint64_t want, MonotonicTime now) {
    if (rate_ == 0) return want;
    Refill(now);
    const uint64_t granted = std::min(want, static_cast<uint64_t>(level_));
    level_ -= static_cast<double>(granted);
    return granted;
  }

  // Gives units back that were taken and not used.
  void Return(uint64_t units) {
    if (rate_ != 0) level_ = std::min(level_ + static_cast<double>(units), static_cast<double>(rate_));
  }

  // How long until `want` units (or a full burst, if that is less) are there.
  Duration Until(uint64_t want) const {
    if (rate_ == 0) return Duration{0};
    const double missing = std::min(static_cast<double>(want), static_cast<double>(rate_)) - level_;
    if (missing <= 0) return Duration{0};
    return Duration{static_cast<int64_t>(missing / static_cast<double>(rate_) * 1e6) + 1};
  }

 private:
  void Refill(MonotonicTime now) {
    // Callers read the clock before they have the lock, so a later reading may have come first.
    if (now <= refilled_) return;
    const double seconds = std::chrono::duration<double>(now - refilled_).count();
    level_ = std::min(level_ + seconds * static_cast<double>(rate_), static_cast<double>(rate_));
    refilled_ = now;
  }

  uint64_t rate_ = 0;
  double level_ = 0;
  MonotonicTime refilled_{};
};

}  // namespace engram
