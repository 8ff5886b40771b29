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

  // --- for followers ---

  // What the query looks for, checked as a recall's.
  absl::StatusOr<std::vector<float>> CueOf(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                           const Settings& settings) const;
  struct WindowAnswer {
    std::vector<ObservationHit> hits;
    uint64_t unreadable = 0;
    // So many of the ordinals have been dealt with.
    size_t done = 0;
    std::shared_ptr<const void> pin;
  };
  // Those of `ordinals` (ascending, live in `view`) that pass the query's min_similarity, in their order: at most `most`,
  // and not much more than a mebibyte of contents. RESOURCE_EXHAUSTED: memory is out.
  absl::StatusOr<WindowAnswer> LookAt(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                      std::span<const float> cue, std::span<const Ordinal> ordinals, IndexView view,
                                      size_t most);

  uint64_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  WindowAnswer Compare(const std::shared_ptr<Space>& space, const RecallQuery& query, std::span<const float> cue,
                       std::span<const Ordinal> ordinals, IndexView view, size_t most) const;
  absl::Status Check(const Space& space, const RecallQuery& query, const Settings& settings) const;
  absl::Status AwaitToken(const Token& at_least, MonotonicTime deadline);
  absl::StatusOr<RecallAnswer> Run(const std::shared_ptr<Space>& space, const RecallQuery& query, RecallTimes& times);
  // `stale`: hits that died and left the journal before they were read.
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
