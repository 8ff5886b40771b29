// What the daemon knows of one stream: its watermarks, its refusals, and the connection it is attached to.
//
// A named stream outlives its connections, so a client that comes back goes on where it stopped. The newest connection
// wins: each Attach makes a new generation, and the older connection finds itself ended.
//
// Threads:  any. The listener is called under the leaf mutex. Blocking: AwaitRejectedRoom only.
// Invariant: indexed_through <= durable_through <= received_through; each only grows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/slim_queue.h"
#include "core/observe_stream.h"
#include "core/stream/lane.h"

namespace engram {

class Space;

class StreamState final : public StreamOrder {
 public:
  // `space` outlives every call but the destructor. A named stream's watermark is in the journal.
  StreamState(std::string id, bool named, const Space* space) : id_(std::move(id)), named_(named), space_(space) {}

  const std::string& id() const { return id_; }
  bool named() const { return named_; }

  // --- the connection ---

  // The generation of the new connection; the one before it ends.
  uint64_t Attach(AckLevel level, StreamListener* listener) ABSL_LOCKS_EXCLUDED(mu_);
  // The listener is not called any more when it returns. Nothing happens if a newer connection is attached.
  void Detach(uint64_t generation) ABSL_LOCKS_EXCLUDED(mu_);
  bool Current(uint64_t generation) const ABSL_LOCKS_EXCLUDED(mu_);
  // The connection is told that the stream is over.
  void End(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  // ... once everything received has reached its level.
  void EndWhenReached(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  void Reopen() ABSL_LOCKS_EXCLUDED(mu_);
  StreamProgress Take(uint64_t generation) ABSL_LOCKS_EXCLUDED(mu_);
  bool Reached(uint64_t generation) const ABSL_LOCKS_EXCLUDED(mu_);
  void NotePressure(const PressureReading& reading) ABSL_LOCKS_EXCLUDED(mu_);
  // The space's graph caught up somewhat.
  void NoteLinked() ABSL_LOCKS_EXCLUDED(mu_);

  // --- the reader ---

  uint64_t received_through() const ABSL_LOCKS_EXCLUDED(mu_);
  // Held from Claim until what was claimed is in its lane: a connection that takes the stream over meanwhile goes on behind
  // it, there as well.
  Mutex& order() ABSL_LOCK_RETURNED(order_) { return order_; }
  // Takes `from`..`through` for this connection, and names those of them that are refused for good before any
  // acknowledgement can cover them. False, with nothing done, when the connection is over or another has taken them.
  bool Claim(uint64_t generation, uint64_t from, uint64_t through, std::span<const Rejected> refused)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_) ABSL_LOCKS_EXCLUDED(mu_);
  // Refused for the moment, which is of no interest to another connection.
  void Refuse(uint64_t generation, Rejected rejected) ABSL_LOCKS_EXCLUDED(mu_);
  // The sequences were sent again and are known: worth an acknowledgement, which names those among them that were refused
  // for good.
  void Repeated(uint64_t first, uint64_t last) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until the writer has taken enough of the refusals; false when the connection is over.
  bool AwaitRejectedRoom(uint64_t generation) ABSL_LOCKS_EXCLUDED(mu_);

  // --- the workers and appliers ---

  // A record that is applied, or about to be, marks everything up to `through` as being in the journal.
  void Recorded(uint64_t through) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t recorded_through() const ABSL_LOCKS_EXCLUDED(mu_);

  // A start found it in the journal.
  void Received(uint64_t through) ABSL_LOCKS_EXCLUDED(mu_);
  // Received, and refused for good.
  void Reject(Rejected rejected) ABSL_LOCKS_EXCLUDED(mu_);
  // A slice of the stream goes to the journal. Landed or Withdrawn says what became of it.
  void Underway() ABSL_LOCKS_EXCLUDED(mu_);
  // Everything up to `through` is committed (or refused): in the journal up to `token`, in the slab below `end`.
  void Landed(uint64_t through, Token token, Ordinal end) ABSL_LOCKS_EXCLUDED(mu_);
  void Withdrawn() ABSL_LOCKS_EXCLUDED(mu_);
  // The same for what does not go through the journal; it waits for the slices that are under way before it.
  void Committed(uint64_t through, Token token, Ordinal end) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Rejections held for a client that does not read.
  static constexpr size_t kMostRejected = 8192;
  // Refusals for good that a stream remembers, for a client that comes back.
  static constexpr size_t kMostRemembered = 1024;
  // Watermarks held for a graph that lags; beyond it neighbours are merged.
  static constexpr size_t kMostUnindexed = 1024;

  struct Unindexed {
    uint64_t through = 0;
    Ordinal end = 0;
  };

  void Remember(const Rejected& rejected) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Advance() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Reach(uint64_t through, Token token, Ordinal end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Level() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::string id_;
  const bool named_;
  const Space* const space_;

  // Before mu_.
  Mutex order_;
  mutable Mutex mu_;
  CondVar room_;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  StreamListener* listener_ ABSL_GUARDED_BY(mu_) = nullptr;
  AckLevel level_ ABSL_GUARDED_BY(mu_) = AckLevel::kDurable;
  uint64_t received_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t durable_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t recorded_ ABSL_GUARDED_BY(mu_) = 0;
  // Moved by whoever looks, as far as the graph has come.
  mutable uint64_t indexed_ ABSL_GUARDED_BY(mu_) = 0;
  mutable SlimQueue<Unindexed> unindexed_ ABSL_GUARDED_BY(mu_);
  Token token_ ABSL_GUARDED_BY(mu_);
  // Slices between the worker and the applier, and what is done once they have landed.
  uint64_t underway_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t done_behind_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Rejected> rejected_ ABSL_GUARDED_BY(mu_);
  // The latest refusals that used their sequences up, told or not: an acknowledgement may be lost with its connection.
  SlimQueue<Rejected> remembered_ ABSL_GUARDED_BY(mu_);
  uint64_t told_ ABSL_GUARDED_BY(mu_) = 0;
  bool ack_due_ ABSL_GUARDED_BY(mu_) = false;
  PressureReading pressure_ ABSL_GUARDED_BY(mu_);
  bool pressure_due_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status ended_ ABSL_GUARDED_BY(mu_);
  absl::Status end_when_reached_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
