// One memory space: its index, its records, its limits and its streams.
//
// Threads:  any. Apply, ApplyTombstones and ExpireDue take the writer's mutex of the space; readers take none.
// Ownership: shared by the registry, by streams, by what waits in the queue and by answers that point into it.
// Errors:   std::bad_alloc from Apply, which then changed nothing that a reader sees.
// Why:      what is in it is a function of the journal's records up to applied_position(); only what has outlived its ttl is
//           hidden before the record that says so.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <queue>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/arrival_bell.h"
#include "core/base/mutex.h"
#include "core/base/slim_queue.h"
#include "core/canary_window.h"
#include "core/engine.h"
#include "core/metrics/metrics.h"
#include "core/record_store.h"
#include "core/space_backlog.h"
#include "core/stream/lane.h"
#include "core/stream/token_bucket.h"
#include "index/space_index.h"

namespace engram {

class StreamState;

class Space final : public SpaceQueue {
 public:
  // Constant for its life. `config` has every field in force, save a dimension of 0.
  struct Origin {
    std::string name;
    uint64_t id = 0;
    SpaceConfig config;
    int64_t created_at_us = 0;
    bool keeps_contents = true;
  };
  Space(Origin origin, size_t lane, std::shared_ptr<Series> series);
  ~Space() override;

  const std::string& name() const { return origin_.name; }
  // The position of the record that created it: another one for each space of a name.
  uint64_t id() const { return origin_.id; }
  size_t lane() const { return lane_; }
  Series& series() { return *series_; }
  Metric metric() const { return origin_.config.metric; }

  // Fixes the dimension if it is open. INVALID_ARGUMENT when it is another one.
  absl::Status FixDimension(uint32_t dimension) ABSL_LOCKS_EXCLUDED(mu_);
  // Null while the dimension is open.
  SpaceIndex* index() const { return index_view_.load(std::memory_order_acquire); }
  const RecordStore& records() const { return records_; }
  uint32_t ef_search() const { return ef_search_.load(std::memory_order_relaxed); }

  // --- writing ---

  // Stores the observations (ids and times set, dimension fixed) of the record at `position` in one step; the index's size
  // afterwards. They are recallable when it returns. Does nothing when that record was applied before.
  Ordinal Apply(std::span<const ObservationView> observations, uint64_t position, std::span<const uint32_t> places)
      ABSL_LOCKS_EXCLUDED(apply_mu_);
  // Forgets, of each id, the newest version recorded at or below `through`, if it is live; returns how many that were.
  uint64_t ApplyTombstones(std::span<const Tombstone> tombstones, uint64_t position) ABSL_LOCKS_EXCLUDED(apply_mu_);
  void ApplyChange(const SpaceConfig& config, uint64_t position) ABSL_LOCKS_EXCLUDED(apply_mu_, mu_);
  // The last record applied.
  uint64_t applied_position() const ABSL_LOCKS_EXCLUDED(apply_mu_);

  // Hides what has outlived its ttl, up to some thousands of it. False when there may be more: who looks goes by the time
  // of each, and the janitor does the rest. So it is when a writer is at it just now, or memory is out.
  bool ExpireDue(int64_t now_us) ABSL_LOCKS_EXCLUDED(apply_mu_);
  // The same, and then the view. `mortals_gone`: of what it shows nothing has outlived its ttl. REQUIRES: there is an index.
  IndexView PinAt(int64_t now_us, bool* mortals_gone) ABSL_LOCKS_EXCLUDED(apply_mu_);
  // Up to `most` of what was hidden and is not in the journal as forgotten, oldest first; and that so many of these are now.
  std::vector<Tombstone> Expired(size_t most) const ABSL_LOCKS_EXCLUDED(apply_mu_);
  void ExpiredRecorded(size_t count) ABSL_LOCKS_EXCLUDED(apply_mu_);
  bool HasExpired(int64_t now_us) const { return next_expiry_us_.load(std::memory_order_acquire) <= now_us; }

  // --- admission ---

  // How many of `want` observations the space's rate and quotas let in now; the reason and wait for the next one if fewer.
  struct Allowance {
    uint64_t granted = 0;
    absl::Status refusal;
    RejectReason reason = RejectReason::kRateLimited;
    Duration retry_after{0};
  };
  // What is granted counts as held until it is committed, refused or returned.
  Allowance Allow(uint64_t want, MonotonicTime now, int64_t now_us) ABSL_LOCKS_EXCLUDED(mu_);
  void ReturnAllowance(uint64_t units) ABSL_LOCKS_EXCLUDED(mu_);
  // `observations` that were granted have been committed or refused.
  void Unqueued(uint64_t observations) {
    queued_.fetch_sub(static_cast<int64_t>(observations));
    // Whoever waits for room in the backlog counts what is queued, too.
    if (backlog_.held() > 0) backlog_.bell().Ring();
  }

  // Granted, and neither committed nor refused.
  uint64_t queued() const { return static_cast<uint64_t>(std::max<int64_t>(queued_.load(), 0)); }

  SpaceInfo Info() const ABSL_LOCKS_EXCLUDED(mu_);

  // --- streams ---

  // The named stream, made when unknown (RESOURCE_EXHAUSTED beyond `most`).
  absl::StatusOr<std::shared_ptr<StreamState>> FindStream(const std::string& id, uint64_t most) ABSL_LOCKS_EXCLUDED(mu_);
  // The watermarks that were recorded before this process began: everything up to them is received and durable.
  void RestoreStreams(std::span<const StreamMark> marks, Token token, Ordinal end) ABSL_LOCKS_EXCLUDED(mu_);

  // What the record at `position`, which is about to be applied, says of streams.
  void NoteMarks(std::span<const StreamMark> marks, uint64_t position) ABSL_LOCKS_EXCLUDED(mu_);

  // --- checkpoints ---

  // The space as of the last record applied. The rows of `size` and what they were marked with may be read afterwards at
  // leisure: they only die.
  struct Snapshot {
    Origin origin;  // The config in force; the dimension open while there is nothing in it.
    uint64_t applied_position = 0;
    Ordinal size = 0;
    // Hidden by time and not yet forgotten in the journal; what was due before `expired_before` is among them or forgotten.
    std::vector<Ordinal> expired;
    int64_t expired_before = RecordStore::kForEver;
    // Those of all records up to applied_position, and perhaps of the next.
    std::vector<std::pair<std::string, uint64_t>> streams;
  };
  Snapshot TakeSnapshot() const ABSL_LOCKS_EXCLUDED(apply_mu_, mu_);
  // The last record that a reader may see anything of.
  uint64_t touched_position() const ABSL_LOCKS_EXCLUDED(apply_mu_);
  // Of a new space nobody else knows: takes over what was saved with the snapshot. Without an index there is nothing in
  // it. `now_us` tells what is due by now. DATA_LOSS when these do not fit each other.
  absl::Status Restore(const Snapshot& snapshot, std::unique_ptr<SpaceIndex> index, ImageSource* records, int64_t now_us)
      ABSL_LOCKS_EXCLUDED(apply_mu_, mu_);
  IndexOptions IndexOptionsFor(uint32_t dimension) const;

  // Deleted: what still waits for it is refused.
  void Drop() {
    dropped_.store(true, std::memory_order_release);
    arrivals_.Ring();
  }
  bool dropped() const { return dropped_.load(std::memory_order_acquire); }

  // Rung after observations have become visible, and when the space is dropped.
  ArrivalBell& arrivals() { return arrivals_; }
  CanaryWindow& canary() { return canary_; }

  SpaceBacklog& backlog() { return backlog_; }
  const SpaceBacklog& backlog() const { return backlog_; }

  // True for the one caller that may change the graph; it says when it has stopped.
  enum class Linking : uint8_t { kNone, kByLinker, kElsewhere };
  bool ClaimLinking(Linking by = Linking::kElsewhere) {
    Linking none = Linking::kNone;
    return linking_.compare_exchange_strong(none, by);
  }
  void ReleaseLinking() { linking_.store(Linking::kNone); }
  // Linking could not go on for want of memory, or can again.
  void NoteLinkingStalled(bool stalled) { linking_stalled_.store(stalled, std::memory_order_relaxed); }
  // Waiting does not lower the backlog just now.
  bool linking_hindered() const {
    return linking_stalled_.load(std::memory_order_relaxed) ||
           linking_.load(std::memory_order_relaxed) == Linking::kElsewhere;
  }

 private:
  uint64_t ResidentBytes() const;
  void NoteExpiry(Ordinal ordinal) ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mu_);
  int64_t NextExpiry() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mu_) {
    return expiries_.empty() ? RecordStore::kForEver : expiries_.top().first;
  }
  // Nothing has changed when it throws.
  void HideExpired(Ordinal ordinal, int64_t now_us) ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mu_);
  // False when the record at `position` was applied before.
  bool Advance(uint64_t position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mu_);

  // Constant after construction.
  const Origin origin_;
  const size_t lane_;
  const std::shared_ptr<Series> series_;

  // Serialises writers of index and records; readers go by the index's view.
  mutable Mutex apply_mu_;
  RecordStore records_;
  using Expiry = std::pair<int64_t, Ordinal>;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>> expiries_ ABSL_GUARDED_BY(apply_mu_);
  // Hidden because their time was over, and not yet forgotten in the journal.
  SlimQueue<Ordinal> expired_ ABSL_GUARDED_BY(apply_mu_);
  uint64_t applied_position_ ABSL_GUARDED_BY(apply_mu_);

  mutable Mutex mu_;
  std::unique_ptr<SpaceIndex> index_ ABSL_GUARDED_BY(mu_);
  TokenBucket rate_ ABSL_GUARDED_BY(mu_);
  uint64_t max_rate_ ABSL_GUARDED_BY(mu_);
  uint64_t quota_observations_ ABSL_GUARDED_BY(mu_);
  uint64_t quota_bytes_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::shared_ptr<StreamState>> streams_ ABSL_GUARDED_BY(mu_);

  // Own synchronisation.
  ArrivalBell arrivals_;
  CanaryWindow canary_;
  SpaceBacklog backlog_;

  // Atomic: set once under mu_, read by everybody (release/acquire: the index behind it is complete).
  std::atomic<SpaceIndex*> index_view_{nullptr};
  // Atomic: a knob read by each recall.
  std::atomic<uint32_t> ef_search_;
  // Atomic: the earliest expiry, so that recalls need no lock while nothing is due.
  std::atomic<int64_t> next_expiry_us_{RecordStore::kForEver};
  // Atomic: the last position NoteMarks was told.
  std::atomic<uint64_t> noted_position_{0};
  // Atomic: admitted and not committed; a sum. Sequentially consistent beside linking_: the last to commit finds linking
  // unclaimed, or who links finds nothing queued.
  std::atomic<int64_t> queued_{0};
  // Atomic: one-way flag, the right to link, and a word to those who wait for it.
  std::atomic<bool> dropped_{false};
  std::atomic<Linking> linking_{Linking::kNone};
  std::atomic<bool> linking_stalled_{false};
};

}  // namespace engram
