// How far the journal has been applied without a hole: what read-your-writes waits for.
//
// Threads: any. Blocking: AwaitThrough until the position is applied or the deadline passes.
#pragma once

#include <atomic>
#include <cstdint>
#include <set>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace engram {

class AppliedWatermark {
 public:
  explicit AppliedWatermark(Clock* clock) : clock_(clock) {}

  // Everything up to `position` was applied before the first Applied.
  void Restore(uint64_t position) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    through_.store(position, std::memory_order_release);
    moved_.NotifyAll();
  }
  // The record at `position` takes effect for every recall that begins from now on.
  void Applied(uint64_t position) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    uint64_t through = through_.load(std::memory_order_relaxed);
    if (position != through + 1) {
      ahead_.insert(position);
      return;
    }
    through = position;
    while (!ahead_.empty() && *ahead_.begin() == through + 1) {
      ahead_.erase(ahead_.begin());
      ++through;
    }
    // Pairs with the acquire in through(): who sees the position sees its effect.
    through_.store(through, std::memory_order_release);
    if (waiting_ > 0) moved_.NotifyAll();
  }

  uint64_t through() const { return through_.load(std::memory_order_acquire); }

  bool AwaitThrough(uint64_t position, MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(mu_) {
    if (through() >= position) return true;
    MutexLock lock(mu_);
    ++waiting_;
    bool in_time = true;
    while (through() < position && in_time) in_time = clock_->WaitUntil(moved_, mu_, deadline);
    --waiting_;
    return through() >= position;
  }

 private:
  Clock* const clock_;
  Mutex mu_;
  CondVar moved_;
  // Positions applied beyond the first hole; at most one per batch under way.
  std::set<uint64_t> ahead_ ABSL_GUARDED_BY(mu_);
  uint32_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
  // Atomic: written under mu_, read by every recall.
  std::atomic<uint64_t> through_{0};
};

}  // namespace engram
