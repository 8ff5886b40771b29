// How full the queue is, in four levels with hysteresis: up at 50, 80, 95 % of the capacity, down at 40, 70, 90 %.
//
// Threads: any. Blocking: a leaf mutex, taken only when a threshold is crossed.
// Why:     without hysteresis a queue that hovers at a threshold would tell every client twice a millisecond.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/base/mutex.h"
#include "core/base/types.h"

namespace engram {

// The level after `level` when `depth` of `capacity` waits.
inline PressureLevel NextPressure(PressureLevel level, uint64_t depth, uint64_t capacity) {
  constexpr uint64_t kUp[] = {50, 80, 95};    // To leave normal, warning, critical upward.
  constexpr uint64_t kDown[] = {40, 70, 90};  // To leave warning, critical, overloaded downward.
  int step = static_cast<int>(level) - static_cast<int>(PressureLevel::kNormal);
  while (step < 3 && depth * 100 >= kUp[step] * capacity) ++step;
  while (step > 0 && depth * 100 < kDown[step - 1] * capacity) --step;
  return static_cast<PressureLevel>(step + static_cast<int>(PressureLevel::kNormal));
}

class PressureGauge {
 public:
  explicit PressureGauge(uint64_t capacity) : capacity_(capacity) {}

  // Takes note of the depth; the new level when it changed.
  std::optional<PressureLevel> Update(uint64_t depth) ABSL_LOCKS_EXCLUDED(mu_) {
    const PressureLevel seen = level();
    if (NextPressure(seen, depth, capacity_) == seen) return std::nullopt;
    MutexLock lock(mu_);
    const PressureLevel now = level();
    const PressureLevel next = NextPressure(now, depth, capacity_);
    if (next == now) return std::nullopt;
    level_.store(next, std::memory_order_relaxed);
    return next;
  }

  PressureLevel level() const { return level_.load(std::memory_order_relaxed); }

 private:
  // Constant after construction.
  const uint64_t capacity_;
  Mutex mu_;
  // Atomic: read on every push; written under mu_, so that two crossings do not undo each other.
  std::atomic<PressureLevel> level_{PressureLevel::kNormal};
};

}  // namespace engram
