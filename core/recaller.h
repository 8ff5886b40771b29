// The way out: recalls and reads by id.
//
// Threads: any; a recall runs on its caller's thread once a high-priority slot is free. Ownership: ingest, journal,
//          executor, clock, canary, metrics, tracer outlive it. Blocking: Recall for `at_least` and for a slot; both while contents are read from
//          the journal.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "core/engine.h"
#include "core/ingest.h"
#include "core/recall_canary.h"
#include "core/space.h"
#include "core/trace/recall_trace.h"

namespace engram {

class Recaller {
 public:
  Recaller(Ingest* ingest, Journal* journal, Executor* executor, Clock* clock, RecallCanary* canary, Metrics* metrics,
           Tracer* tracer)
      : ingest_(ingest),
        journal_(journal),
        executor_(executor),
        clock_(clock),
        canary_(canary),
        process_(&metrics->process()),
        tracer_(tracer) {}

  absl::StatusOr<RecallAnswer> Recall(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                      const Settings& settings, MonotonicTime deadline);
  absl::StatusOr<GetAnswer> Get(const std::shared_ptr<Space>& space, std::span<const std::string> ids);

  // What a follower's query looks for, checked as a recall's.
  absl::StatusOr<std::vector<float>> CueOf(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                           const Settings& settings) const;

  uint64_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  absl::Status Check(const Space& space, const RecallQuery& query, const Settings& settings) const;
  absl::Status AwaitToken(const Token& at_least, MonotonicTime deadline);
  absl::StatusOr<RecallAnswer> Run(const std::shared_ptr<Space>& space, const RecallQuery& query, RecallTimes& times);
  // `stale`: hits, or the cue (ABORTED), that died and left the journal before they were read.
  absl::StatusOr<RecallAnswer> Look(const std::shared_ptr<Space>& space, const RecallQuery& query, RecallTimes& times,
                                    uint64_t* stale);

  // Constant after construction.
  Ingest* const ingest_;
  Journal* const journal_;
  Executor* const executor_;
  Clock* const clock_;
  RecallCanary* const canary_;
  Series* const process_;
  Tracer* const tracer_;
  // Atomic: recalls admitted and not yet running; a sum.
  std::atomic<uint64_t> waiting_{0};
};

}  // namespace engram
