// The recall canary: some recalls are answered once more, exactly and in the background, to know what walks miss.
//
// A recall that walked a graph is checked with the probability recall.canary_rate: every live observation of the same view
// is compared, and recall@k (the share of the true k that the answer had, before any ranking) goes to the space's
// window and metrics. What was forgotten since the walk still counts for it, and so does what is as similar as the k-th. A check
// that cannot read all it needs says nothing.
//
// Threads:  Consider and Tune from any; a check runs on the executor's low class. Ownership: executor, clock and journal outlive it;
//           a check shares its space. Blocking: the destructor until the check under way has ended; Consider never.
// Errors:   a check that runs out of memory is given up.
// Why:      at most one check at a time, and after it nine times as long none: a tenth of a core behind everything else.
#pragma once

#include <atomic>
#include <memory>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/engine.h"
#include "core/journal/journal.h"
#include "core/space.h"
#include "index/space_index.h"

namespace engram {

class RecallCanary {
 public:
  RecallCanary(Executor* executor, Clock* clock, const Journal* journal)
      : executor_(executor), clock_(clock), journal_(journal) {}
  ~RecallCanary();

  // 0: no more checks.
  void Tune(double rate) { rate_.store(rate, std::memory_order_relaxed); }
  // `found` is what `request` found in `view`; `filter` is what request.filter was made of, `due` as core/filter.h has it.
  void Consider(const std::shared_ptr<Space>& space, const FilterSpec& filter, std::optional<int64_t> due,
                const SearchRequest& request, IndexView view, const SearchResult& found) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Check;

  bool Sampled();
  void Submit(const std::shared_ptr<Space>& space, const FilterSpec& filter, std::optional<int64_t> due,
              const SearchRequest& request, IndexView view, const SearchResult& found);
  void Run(const Check& check);
  void Ended(MonotonicTime begin) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Executor* const executor_;
  Clock* const clock_;
  const Journal* const journal_;
  // Atomic: a knob, and recalls that could have been checked, which is what the choice is drawn from.
  std::atomic<double> rate_{0};
  std::atomic<uint64_t> considered_{0};

  Mutex mu_;
  CondVar ended_;
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  MonotonicTime rests_until_ ABSL_GUARDED_BY(mu_) = MonotonicTime::min();
};

}  // namespace engram
