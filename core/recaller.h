// The way out: recalls and reads by id.
//
// Threads: any; a recall runs on its caller's thread once a high-priority slot is free. Ownership: ingest, journal,
//          executor, clock outlive it. Blocking: Recall for `at_least` and for a slot; both while contents are read from
//          the journal.
#pragma once

#include <atomic>
#include <span>

#include "core/engine.h"
#include "core/ingest.h"
#include "core/space.h"

namespace engram {

class Recaller {
 public:
  Recaller(Ingest* ingest, Journal* journal, Executor* executor, Clock* clock)
      : ingest_(ingest), journal_(journal), executor_(executor), clock_(clock) {}

  absl::StatusOr<RecallAnswer> Recall(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                      const Settings& settings, MonotonicTime deadline);
  absl::StatusOr<GetAnswer> Get(const std::shared_ptr<Space>& space, std::span<const std::string> ids);

  uint64_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  absl::Status Check(const Space& space, const RecallQuery& query, const Settings& settings) const;
  absl::Status AwaitToken(const Token& at_least, MonotonicTime deadline);
  absl::StatusOr<RecallAnswer> Run(const std::shared_ptr<Space>& space, const RecallQuery& query);
  // `stale`: hits that died and left the journal before they were read.
  absl::StatusOr<RecallAnswer> Look(const std::shared_ptr<Space>& space, const RecallQuery& query, uint64_t* stale);

  // Constant after construction.
  Ingest* const ingest_;
  Journal* const journal_;
  Executor* const executor_;
  Clock* const clock_;
  // Atomic: recalls admitted and not yet running; a sum.
  std::atomic<uint64_t> waiting_{0};
};

}  // namespace engram
