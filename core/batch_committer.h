// The commit of batches: workers put their records into the log, appliers acknowledge them.
//
// Threads:  Commit and Refuse from workers, one portion of a space at a time; the acknowledgement from the space's
//           applier. Ownership: log, linker, clock, metrics and tracer outlive it, and it outlives the log's Close. Blocking:
//           Commit as the log's Append. Errors: Commit's leave nothing behind; it may throw what Append throws. Why:
//           a worker does not wait for the disk; what must not overtake (acknowledgements of one stream) goes the
//           same way.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/commit_log.h"
#include "core/linker.h"
#include "core/portion_record.h"
#include "core/stream_state.h"
#include "core/trace/portion_trace.h"

namespace engram {

class BatchCommitter {
 public:
  // With `narrow`, embeddings are recorded as binary16 where that tells them.
  BatchCommitter(CommitLog* log, Linker* linker, Clock* clock, Metrics* metrics, Tracer* tracer, bool narrow)
      : log_(log),
        linker_(linker),
        clock_(clock),
        process_(&metrics->process()),
        tracer_(tracer),
        pool_(&metrics->process(), narrow) {}

  // Appends the portion's record. What has nothing to record (refusals of an unnamed stream) is acknowledged behind
  // what its stream has under way.
  absl::Status Commit(const Portion& portion);
  // The portion's only slice, for this reason. The watermark of a named stream passes it in the journal too.
  void Refuse(const Portion& portion, const absl::Status& why) noexcept;
  void CountRefused(Space& space, RejectReason reason, uint64_t count);

  // Observations since the start.
  uint64_t committed_total() const { return committed_total_.load(std::memory_order_relaxed); }
  uint64_t refused_total() const { return refused_total_.load(std::memory_order_relaxed); }

 private:
  class PortionCommit;

  void Applied(const PortionRecord& record, uint64_t payload_bytes, uint64_t position, const CommitTimes& times) noexcept;
  void Acknowledge(const PortionRecord& record, const AppliedRecord& applied);
  void TimeStages(const PortionRecord& record, const AppliedRecord& applied);
  // Names the slice's observations to their stream.
  void Name(Space& space, const Slice& slice, const absl::Status& why);

  // Constant after construction.
  CommitLog* const log_;
  Linker* const linker_;
  Clock* const clock_;
  Series* const process_;
  Tracer* const tracer_;

  PortionRecordPool pool_;
  // Atomic: sums read by themselves.
  std::atomic<uint64_t> committed_total_{0};
  std::atomic<uint64_t> refused_total_{0};
};

}  // namespace engram
