// The way in: admission of frames, the queue, and the workers that hand batches to the log.
//
// Threads:  Submit from streams' readers; Commit and the other handler methods from workers; the rest from any.
// Ownership: executor, clock, log, watermarks, metrics and tracer outlive it; the log is closed before it goes. Finish does what
//            was admitted.
// Blocking: Submit for room in the queue and in the space's backlog. Errors: per observation, to the stream.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <map>

#include "core/batch_committer.h"
#include "core/commit_log.h"
#include "core/engine.h"
#include "core/linker.h"
#include "core/recall_budget.h"
#include "core/resource_watermarks.h"
#include "core/space.h"
#include "core/stream/batch_handler.h"
#include "core/stream/capacity_gate.h"
#include "core/stream/pressure.h"
#include "core/stream/worker_pool.h"
#include "core/stream_state.h"
#include "core/trace/tracer.h"

namespace engram {

class Ingest final : public BatchHandler {
 public:
  Ingest(const Settings& settings, CommitLog* log, ResourceWatermarks* watermarks, Executor* executor, Clock* clock,
         Metrics* metrics, Tracer* tracer);
  ~Ingest() override;

  // Lets nothing more in and waits until the workers are done; false at the deadline: the journal takes nothing.
  bool Finish(MonotonicTime deadline);

  // Takes a frame of a stream whose connection is `generation`; engram.v1.ObservationBatch says what becomes of it.
  void Submit(const std::shared_ptr<Space>& space, const std::shared_ptr<StreamState>& stream, uint64_t generation,
              uint64_t first_sequence, Priority priority, ObservationBatch batch, const Settings& settings);

  // A stream's connection, told of pressure and of linking in its space.
  void Connect(Space* space, StreamState* stream) ABSL_LOCKS_EXCLUDED(mu_);
  void Disconnect(StreamState* stream) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the connections into the space.
  void EndStreams(const Space* space, const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t connections() const ABSL_LOCKS_EXCLUDED(mu_);

  void StopAdmitting() ABSL_LOCKS_EXCLUDED(mu_);
  void ResumeAdmitting() ABSL_LOCKS_EXCLUDED(mu_);
  bool admitting() const { return admitting_.load(std::memory_order_acquire); }
  bool AwaitDrained(MonotonicTime deadline) { return pool_.AwaitIdle(deadline) && log_->AwaitIdle(deadline); }
  void Tune(const Settings& settings);

  CapacityGate& gate() { return gate_; }
  const CapacityGate& gate() const { return gate_; }
  const WorkerPool& pool() const { return pool_; }
  PressureReading ReadPressure() const;
  // What a stream of the space is told: whichever is worse, the whole's or the space's own.
  PressureReading ReadPressure(const Space& space) const;
  // Tells the streams when the level of pressure has changed; each batch calls it, and now and then somebody must while
  // there is none.
  void NotePressure() ABSL_LOCKS_EXCLUDED(mu_);
  AppliedWatermark& applied() { return log_->applied(); }
  // Observations since the start.
  uint64_t committed_total() const { return committer_.committed_total(); }
  uint64_t refused_total() const { return committer_.refused_total(); }
  uint64_t queue_bytes() const { return bytes_gate_.depth(); }
  Linker& linker() { return linker_; }
  RecallBudget& budget() { return budget_; }
  const RecallBudget& budget() const { return budget_; }

  // --- BatchHandler ---
  void Started(const Batch& batch, size_t worker, bool stolen) override;
  absl::Status Commit(const Portion& portion) override { return committer_.Commit(portion); }
  void Refuse(const Portion& portion, const absl::Status& why) override { committer_.Refuse(portion, why); }
  void Failed(size_t worker, bool threw) override;

 private:
  // What is left of a frame after checking: the valid observations, and the refusals among them.
  struct Checked {
    std::shared_ptr<Frame> frame;
    std::vector<Rejected> invalid;
  };
  // A connection, and how much of its frame has been queued.
  struct Turn {
    const std::shared_ptr<StreamState>& stream;
    uint64_t generation;
    uint64_t next;  // The first sequence that is not.
    uint64_t last;  // Of the frame.
    size_t invalid = 0;  // Of Checked::invalid, named so far.
  };
  Checked Check(Space& space, uint64_t first_sequence, uint64_t skip, ObservationBatch batch, Priority priority,
                const Settings& settings);
  // Queues the frame's observations as far as they are let in; the rest is refused for the moment.
  void Admit(const std::shared_ptr<Space>& space, Turn turn, const Checked& checked, const Settings& settings);
  // Queues all up to `through`, of which places [begin, end) are valid. False when the connection is over: nothing is done then,
  // but for counting the refusals.
  bool Queue(const std::shared_ptr<Space>& space, Turn& turn, const Checked& checked, uint32_t begin, uint32_t end,
             uint64_t through);
  // The rest of the frame.
  void RefuseForNow(Space& space, const Turn& turn, RejectReason reason, absl::Status why, Duration retry_after);
  // Takes room for up to `want` observations of the frame; answers for how many there was.
  uint32_t TakeRoom(const Frame& frame, uint32_t want, uint64_t spare);
  void ReturnRoom(const Frame& frame, uint64_t granted);
  bool AwaitRoom(const Frame& frame, uint32_t want, uint64_t spare, MonotonicTime deadline);
  // False when the frame goes no further: there is no room in the space's backlog, or nobody to go on for.
  bool EnterBacklog(const std::shared_ptr<Space>& space, const Turn& turn, const Frame& frame, MonotonicTime deadline);
  void NoteBacklog(Space& space) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteLinked(Space& space, const LinkedTurn& turn) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  CommitLog* const log_;
  ResourceWatermarks* const watermarks_;
  Clock* const clock_;
  Metrics* const metrics_;
  Tracer* const tracer_;

  CapacityGate gate_;
  // The same room in bytes. What waits is released by both, and taken from this one first.
  CapacityGate bytes_gate_;
  PressureGauge pressure_;
  // Atomic: a flag, read by itself.
  std::atomic<bool> admitting_{true};

  mutable Mutex mu_;
  struct Connection {
    Space* space;
    uint32_t count;  // Of connections to this stream; an old one may not have noticed yet that it was replaced.
  };
  std::map<StreamState*, Connection> connections_ ABSL_GUARDED_BY(mu_);

  Linker linker_;
  RecallBudget budget_;
  BatchCommitter committer_;
  // Last: its workers use all of the above.
  WorkerPool pool_;
};

}  // namespace engram
