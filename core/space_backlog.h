// What one space knows of its backlog, the observations that are recallable and not linked yet: what one of them costs a
// recall, how quickly they are linked, how near the bound they are, and the bell for whoever waits for room.
//
// Threads:  any. Blocking: short mutexes only; who waits, waits at the bell. Ownership: the space's.
// Why:      core/recall_budget.h decides; this is what it decides by.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "core/arrival_bell.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/types.h"
#include "core/stream/pressure.h"

namespace engram {

// What a row is taken to cost after one more recall found `sample`, in nanoseconds. A recall that lost its core for a
// while says little about rows, so none counts for more than twice what was known, nor for less than half of it.
inline double NextRowCost(double cost, double sample) {
  constexpr double kWeight = 1.0 / 8;
  if (cost <= 0) return sample;
  return cost + (std::clamp(sample, cost / 2, cost * 2) - cost) * kWeight;
}

// Threads: any. Two that note at the same time may lose one of the notes, which is as good.
class RowCost {
 public:
  explicit RowCost(double nanos = 0) : nanos_(nanos) {}
  void Note(double sample) { nanos_.store(NextRowCost(nanos(), sample), std::memory_order_relaxed); }
  // 0: not known.
  double nanos() const { return nanos_.load(std::memory_order_relaxed); }

 private:
  // Atomic: a figure by itself.
  std::atomic<double> nanos_;
};

class SpaceBacklog {
 public:
  // As this space's recalls find it.
  RowCost& row_cost() { return row_cost_; }
  const RowCost& row_cost() const { return row_cost_; }

  // Rung whenever there may be room, and whenever whoever waits should look whether it still should.
  ArrivalBell& bell() { return bell_; }

  // Lets `units` in while `backlog` and those that are on their way in are fewer than `bound`. They are on their way until
  // Entered.
  bool TryEnter(uint64_t units, uint64_t backlog, uint64_t bound) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (backlog + entering_ >= bound) return false;
    entering_ += units;
    return true;
  }
  void Entered(uint64_t units) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      entering_ -= units;
    }
    // Fewer than that may have been let in, and nothing else tells of it.
    if (held() > 0) bell_.Ring();
  }

  // How many writers wait.
  void Hold() { held_.fetch_add(1, std::memory_order_relaxed); }
  void Unhold() { held_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t held() const { return held_.load(std::memory_order_relaxed); }

  // Takes note of the backlog; the new level when it changed. A bound of 0 is none.
  std::optional<PressureLevel> UpdateLevel(uint64_t backlog, uint64_t bound) ABSL_LOCKS_EXCLUDED(mu_) {
    const auto next = [&] { return bound == 0 ? PressureLevel::kNormal : NextPressure(level(), backlog, bound); };
    if (next() == level()) return std::nullopt;
    MutexLock lock(mu_);
    const PressureLevel level = next();
    if (level == level_.load(std::memory_order_relaxed)) return std::nullopt;
    level_.store(level, std::memory_order_relaxed);
    return level;
  }
  PressureLevel level() const { return level_.load(std::memory_order_relaxed); }

  void NoteLinked(uint64_t units, MonotonicTime now) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    const double seconds = std::chrono::duration<double>(now - window_start_).count();
    // After a time without linking a new window begins.
    if (seconds > 1) {
      window_units_ = 0;
      window_start_ = now;
      return;
    }
    window_units_ += units;
    if (seconds < 0.1) return;
    const double latest = static_cast<double>(window_units_) / seconds;
    speed_ = speed_ == 0 ? latest : (speed_ + latest) / 2;
    window_units_ = 0;
    window_start_ = now;
  }
  // Linked a second, of late; 0: not known.
  double speed() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return speed_;
  }

 private:
  // Own synchronisation.
  ArrivalBell bell_;
  RowCost row_cost_;

  mutable Mutex mu_;
  uint64_t entering_ ABSL_GUARDED_BY(mu_) = 0;
  // Over windows of at least 100 ms, the last one weighing half.
  double speed_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t window_units_ ABSL_GUARDED_BY(mu_) = 0;
  MonotonicTime window_start_ ABSL_GUARDED_BY(mu_);
  // Atomic: a count; and a level read on every frame, written under mu_, so that two crossings do not undo each other.
  std::atomic<uint32_t> held_{0};
  std::atomic<PressureLevel> level_{PressureLevel::kNormal};
};

}  // namespace engram
