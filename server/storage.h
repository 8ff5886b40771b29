// The daemon's data directory: opens the journal, recovers the engine from it, keeps it small, and tells of it.
//
// Threads:   Open, Recover, StartUpkeep and StopUpkeep from one; the rest from any. Two of its own: one tells on the log
//            how far Recover is while it runs; the upkeep attaches graphs, writes checkpoints and rewrites segments.
// Ownership: owns the directory; the engine owns the journal, so the storage outlives the engine, and StopUpkeep comes
//            before the engine's end. Metrics and clock outlive it.
// Blocking:  Open and Recover read the disk; Checkpoint until it is written, Snapshot until it is made.
// Errors:    Open: FAILED_PRECONDITION when another process has the directory, PERMISSION_DENIED and so on naming the path.
//            A journal that cannot keep its promise ends the process with exit code 74 (EX_IOERR): what was acknowledged
//            is on the disk, and the next start finds it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/settings.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/checkpoint_floor.h"
#include "core/engine.h"
#include "core/journal/segmented_journal.h"
#include "core/metrics/metrics.h"
#include "core/recovery.h"
#include "core/rewriter.h"
#include "server/admin_service.h"
#include "server/injected_faults.h"

namespace engram {

class Storage final : public JournalObserver {
 public:
  // The settings' durability.mode is not memory. `faults` may be null.
  static absl::StatusOr<std::unique_ptr<Storage>> Open(const Settings& settings, Metrics* metrics, Clock* clock,
                                                       InjectedFaults* faults);

  // For the engine; once.
  std::unique_ptr<Journal> TakeJournal() { return std::move(opened_); }
  SegmentedJournal& journal() { return *journal_; }
  Directory* directory() { return directory_.get(); }

  // Brings the engine to where the journal ends. Before Engine::Start.
  absl::Status Recover(Engine& engine) ABSL_LOCKS_EXCLUDED(mu_);
  // 0..1 while Recover runs.
  double recovered() const { return progress_.fraction(); }

  void StartUpkeep(Engine& engine);
  // What is under way ends soon, without effect; nothing else begins.
  void RequestStop() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits for that.
  void StopUpkeep() ABSL_LOCKS_EXCLUDED(mu_);

  // UNAVAILABLE while graphs are being attached. `bytes_per_second` 0: as fast as it goes.
  absl::StatusOr<Token> Checkpoint(Engine& engine, uint64_t bytes_per_second) ABSL_LOCKS_EXCLUDED(mu_, work_mu_);

  // A copy of everything durable by now, by hard links, in the directory, which must be new or empty and on the same file
  // system. INVALID_ARGUMENT: not an absolute path. FAILED_PRECONDITION: it is not empty.
  absl::StatusOr<SnapshotOutcome> Snapshot(const std::string& path);

  // --- JournalObserver ---
  void OnCommitted(uint64_t records, uint64_t bytes, bool synced, Duration took) override;
  void OnFatal(const absl::Status& why) override;
  void OnTail(std::string_view segment, uint64_t offset, uint64_t bytes) override;
  void OnWaiting(const absl::Status& why) override;

 private:
  Storage(const Settings& settings, Metrics* metrics, Clock* clock)
      : settings_(settings), metrics_(metrics), clock_(clock) {}
  void ReadGauges(const GaugeSink& sink) const;
  void TellProgress(const std::stop_token& stop) ABSL_LOCKS_EXCLUDED(mu_);
  void RunUpkeep(Engine& engine, const std::stop_token& stop) ABSL_LOCKS_EXCLUDED(mu_, work_mu_);
  // False: the storage is being stopped.
  bool Pause(const std::stop_token& stop) ABSL_LOCKS_EXCLUDED(mu_);
  bool CheckpointDue() const;
  // RESOURCE_EXHAUSTED when a checkpoint could push the disk below storage.hard_free_bytes.
  absl::Status CheckpointFits(const Engine& engine) const;
  void RewriteSome() ABSL_LOCKS_EXCLUDED(work_mu_);

  // Constant after Open or Recover.
  const Settings settings_;
  Metrics* const metrics_;
  Clock* const clock_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<Journal> opened_;
  SegmentedJournal* journal_ = nullptr;
  std::vector<PositionRange> missing_;  // What the engine lacks of the log.
  LoadedCheckpoint loaded_;  // The upkeep's, until its graphs are attached.
  std::unique_ptr<AppliedLog> applied_;
  std::unique_ptr<Rewriter> rewriter_;

  RecoveryProgress progress_;
  CheckpointFloor checkpoint_floor_;
  // Atomic: sums and figures read by themselves.
  std::atomic<uint64_t> appended_since_checkpoint_{0};
  std::atomic<uint64_t> checkpoint_bytes_{0};
  std::atomic<uint64_t> checkpoints_{0};
  std::atomic<bool> attached_{false};
  // The upkeep's: after a checkpoint that failed not before, and after the next one that does not for so long. It may have
  // written gigabytes in vain, and a disk that is broken stays so for longer than a minute.
  static constexpr Duration kLeastDistance = std::chrono::minutes(1);
  static constexpr Duration kMostDistance = std::chrono::hours(1);
  MonotonicTime checkpoint_again_{};
  Duration checkpoint_distance_ = kLeastDistance;

  // One at a time: checkpoints and rewriting. A checkpoint's position is the floor of what rewriting may drop.
  Mutex work_mu_;

  Mutex mu_;
  CondVar stop_;
  bool recovering_ ABSL_GUARDED_BY(mu_) = false;
  std::jthread upkeep_;
};

}  // namespace engram
