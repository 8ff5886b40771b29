// The traces of late: which observations and recalls are traced, and the last of them, the slow ones apart.
//
// Threads:  any. Sample, SampleRecall and Promote are a few atomics; the rest takes a leaf mutex, Record and Read for the
//           copy of one trace. Ownership: copies what it is given. Blocking: no. Errors: none; a trace there is no memory
//           for is not kept.
// Bounded:  `capacity` traces, and as many slow ones beside them; the oldest goes first.
// Why:      a slow one is what one looks for, and rare: the others must not push it out. And as sampling would miss most
//           of them, what was slow is kept though it was not sampled, so many a second.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/trace/trace.h"
#include "core/trace/trace_sample.h"

namespace engram {

class Tracer {
 public:
  // Between two traces that are kept only because they are slow.
  static constexpr std::chrono::milliseconds kBetweenPromoted{1};

  Tracer(size_t capacity, uint64_t seed);

  // `rate`: the share that is sampled, one of each round(1/rate); 0 turns everything off. `slow`: what takes at least so
  // long is a slow one.
  void Tune(double rate, Duration slow);

  // For the next so many observations, which are a frame's.
  TraceSample Sample(uint64_t observations) {
    const uint64_t period = period_.load(std::memory_order_relaxed);
    if (period == 0) return {};
    return {observations_.fetch_add(observations, std::memory_order_relaxed), period, seed_};
  }
  // Whether the next recall is traced.
  bool SampleRecall() {
    const uint64_t period = period_.load(std::memory_order_relaxed);
    if (period == 0) return false;
    return TraceSample{recalls_.fetch_add(1, std::memory_order_relaxed), period, ~seed_}.Next(0, 1) == 0;
  }
  // Whether what was not sampled, and took this long until `now`, is to be recorded all the same.
  bool Promote(std::chrono::nanoseconds took, MonotonicTime now);

  // Keeps a copy.
  void Record(const Trace& trace) noexcept ABSL_LOCKS_EXCLUDED(mu_);
  // The graph of the space accounts for [from, end) by a turn from `begun` to `ended`: the traces of those that waited
  // for it are told.
  void Linked(uint64_t space_id, Ordinal from, Ordinal end, MonotonicTime begun, MonotonicTime ended)
      ABSL_LOCKS_EXCLUDED(mu_);

  struct Query {
    size_t limit = 100;
    std::string space;  // Empty: of any.
    Duration slow{0};
    bool observations = true;
    bool recalls = false;
  };
  // The newest of them, in the order they were recorded.
  std::vector<Trace> Read(const Query& query) const ABSL_LOCKS_EXCLUDED(mu_);

  struct Reading {
    uint64_t period = 0;
    Duration slow{0};
    size_t capacity = 0;
    uint64_t recorded = 0;  // Since the start.
  };
  Reading ReadState() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Ring {
    std::vector<Trace> slots;  // A number of 0: empty.
    size_t next = 0;
  };
  // A trace whose observation was not linked yet. A number of 0: none.
  struct Unlinked {
    uint64_t number = 0;
    uint64_t space_id = 0;
    Ordinal ordinal = 0;
    uint32_t slot = 0;
    bool slow = false;
  };

  // Of 2 * capacity_ slots, the slow ones' behind the others'.
  const Trace& At(size_t slot) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return slot < capacity_ ? recent_.slots[slot] : slow_.slots[slot - capacity_];
  }

  // Constant after construction.
  const size_t capacity_;
  const uint64_t seed_;

  // Atomic: read by themselves; counters and a time in nanoseconds.
  std::atomic<uint64_t> period_{0};
  std::atomic<int64_t> slow_ns_{0};
  std::atomic<uint64_t> observations_{0};
  std::atomic<uint64_t> recalls_{0};
  std::atomic<int64_t> next_promoted_ns_{INT64_MIN};

  mutable Mutex mu_;
  Ring recent_ ABSL_GUARDED_BY(mu_);
  Ring slow_ ABSL_GUARDED_BY(mu_);
  uint64_t recorded_ ABSL_GUARDED_BY(mu_) = 0;
  // A ring as well: the oldest waits in vain, it may be, for a small space has no graph.
  std::vector<Unlinked> unlinked_ ABSL_GUARDED_BY(mu_);
  size_t next_unlinked_ ABSL_GUARDED_BY(mu_) = 0;
  size_t unlinked_count_ ABSL_GUARDED_BY(mu_) = 0;  // Of those with a number.
};

}  // namespace engram
