// The queue's room, counted in observations and split in a high and a normal share.
//
// A share of capacity (queue.high_priority_ratio) is kept for high work: recalls waiting for a worker, one unit each, and
// observations sent as high. Normal work has the rest to itself, so neither can take the other's room and the sum never
// exceeds the capacity. Without a high share, all work uses the one room.
//
// Threads:  any. Blocking: AwaitRoom, until its deadline or Shut. Ownership: none.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/types.h"

namespace engram {

class CapacityGate {
 public:
  CapacityGate(uint64_t capacity, double high_ratio, Clock* clock);

  // Takes up to `want` units of that share; returns how many.
  // The last `spare` units of the share are left alone.
  uint64_t TakeUpTo(Priority share, uint64_t want, uint64_t spare = 0) ABSL_LOCKS_EXCLUDED(mu_);
  void Release(Priority share, uint64_t units) ABSL_LOCKS_EXCLUDED(mu_);
  // The same for what was not used, which says nothing about how quickly work is done.
  void Return(Priority share, uint64_t units) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until `units` (or an eighth of the share, if that is less: large pieces keep batches large; but no less than
  // `least`) are free. At the deadline any room will do; false without, or once shut.
  bool AwaitRoom(Priority share, uint64_t units, MonotonicTime deadline, uint64_t spare = 0, uint64_t least = 1)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Wakes everybody; from now on AwaitRoom answers false at once.
  void Shut() ABSL_LOCKS_EXCLUDED(mu_);
  void Reopen() ABSL_LOCKS_EXCLUDED(mu_);

  uint64_t capacity() const { return capacity_; }
  uint64_t share(Priority share) const { return shares_[Place(share)]; }
  uint64_t depth() const ABSL_LOCKS_EXCLUDED(mu_);
  // The depth at which the whole would be as full as its fuller share is: what pressure goes by, since a share that is
  // full refuses however much room the other has.
  uint64_t fill() const ABSL_LOCKS_EXCLUDED(mu_);
  // The most that was ever taken at one time.
  uint64_t peak() const ABSL_LOCKS_EXCLUDED(mu_);
  // How long the queue needs to fall to 40 % at its present speed: at least a millisecond, at most a minute.
  Duration RetryAfter() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  size_t Place(Priority share) const { return share == Priority::kHigh && high_share_ > 0 ? 1 : 0; }
  uint64_t Free(size_t place, uint64_t spare) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const uint64_t most = shares_[place] - std::min(shares_[place], spare);
    return most - std::min(most, taken_[place]);
  }
  uint64_t Taken() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return taken_[0] + taken_[1]; }

  // Constant after construction.
  const uint64_t capacity_;
  const uint64_t high_share_;
  const std::array<uint64_t, 2> shares_;
  Clock* const clock_;

  mutable Mutex mu_;
  CondVar room_;
  std::array<uint64_t, 2> taken_ ABSL_GUARDED_BY(mu_){};
  uint64_t peak_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
  bool shut_ ABSL_GUARDED_BY(mu_) = false;
  // Units released a second, over windows of at least 100 ms with work, the last one weighing half.
  double speed_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t window_units_ ABSL_GUARDED_BY(mu_) = 0;
  MonotonicTime window_start_ ABSL_GUARDED_BY(mu_);
  // When nothing was left.
  MonotonicTime emptied_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
