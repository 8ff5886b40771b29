// How many observations of a space may wait to be linked: as many as a recall may compare one by one within
// recall.budget_ms. Beyond that the space's writers wait until linking has caught up; shortly before, they are told.
//
// The bound is the budget over what a row costs, as the space's recalls measure it while everything else goes on; until
// one has, by what rows cost in other spaces, per byte. What waits in the queue counts as well, for it will be there next.
// There is no bound while nothing would lower the backlog: below flat_threshold, where no graph is built; while linking is
// out of memory; and while a graph is being read from a checkpoint.
//
// Threads:  any. Ownership: linker, clock and metrics outlive it. Blocking: AwaitEntry, until its deadline.
// Errors:   none.
// Why:      a recall scans what is not linked, so without a bound its latency is the writers' to choose: observations come
//           in several times as quickly as they can be linked.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/linker.h"
#include "core/metrics/metrics.h"
#include "core/observe_stream.h"
#include "core/space.h"

namespace engram {

// However slow recalls are, so many may wait: a few batches, without which linking would run dry between two of them.
inline constexpr uint64_t kLeastBacklogBound = 4096;

// 0: no bound. `row_nanos` is more than 0.
uint64_t BacklogBound(std::chrono::milliseconds budget, double row_nanos);

class RecallBudget {
 public:
  RecallBudget(std::chrono::milliseconds budget, Linker* linker, Clock* clock, Metrics* metrics)
      : linker_(linker), clock_(clock), metrics_(metrics), budget_ms_(budget.count()) {}

  // Whoever waits has to be woken to see it: Wake of its space.
  void Tune(std::chrono::milliseconds budget) { budget_ms_.store(budget.count(), std::memory_order_relaxed); }

  // A recall compared so many rows of the space by their codes, and that took so long.
  void NoteScan(Space& space, uint64_t rows, std::chrono::nanoseconds took);

  struct Reading {
    uint64_t backlog = 0;  // With what is in the queue.
    uint64_t bound = 0;    // 0: there is none.
  };
  Reading Read(const Space& space) const;
  // What the space's streams are told because of its backlog; the level is normal without a bound.
  PressureReading ReadPressure(const Space& space) const;
  // True when the level has changed: the space's streams are to be told.
  bool NoteBacklog(Space& space);

  // False without room for more of the space. `units` count as being on their way until Entered.
  bool TryEnter(Space& space, uint64_t units);
  enum class Entry : uint8_t { kOpen, kFull, kOver };
  // Waits until TryEnter succeeds. kFull: there was no room until the deadline. kOver: `over` is true, which is asked again
  // at each ring of the space's bell.
  Entry AwaitEntry(const std::shared_ptr<Space>& space, uint64_t units, MonotonicTime deadline,
                   const std::function<bool()>& over);
  void Entered(Space& space, uint64_t units) { space.backlog().Entered(units); }
  // kFull's, to the client.
  struct Refused {
    absl::Status status;
    Duration retry_after{0};
  };
  Refused Refusal(const Space& space) const;

  // The graph came further by `units`, or stopped.
  void Linked(Space& space, uint64_t units);

 private:
  std::chrono::milliseconds budget() const {
    return std::chrono::milliseconds(budget_ms_.load(std::memory_order_relaxed));
  }

  // Constant after construction.
  Linker* const linker_;
  Clock* const clock_;
  Metrics* const metrics_;
  // Atomic: a knob.
  std::atomic<int64_t> budget_ms_;
  // Own synchronisation. What a byte costs, over all spaces. It begins with what a quiet core of 2022 takes by bits.
  RowCost byte_cost_{0.0125};
};

}  // namespace engram
