// The daemon's data directory: opens the journal, recovers the engine from it, and tells of both.
//
// Threads:   Open and Recover from one; ReadGauges, Read and the observer's methods from any.
// Ownership: owns the directory; the engine owns the journal, so the storage outlives the engine. Metrics and clock
//            outlive it.
// Blocking:  Open and Recover read the disk.
// Errors:    Open: FAILED_PRECONDITION when another process has the directory, PERMISSION_DENIED and so on naming the path.
//            A journal that cannot keep its promise ends the process with exit code 74 (EX_IOERR): what was acknowledged
//            is on the disk, and the next start finds it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "config/settings.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/engine.h"
#include "core/journal/segmented_journal.h"
#include "core/metrics/metrics.h"
#include "server/admin_service.h"

namespace engram {

class Storage final : public JournalObserver {
 public:
  // The settings' durability.mode is not memory.
  static absl::StatusOr<std::unique_ptr<Storage>> Open(const Settings& settings, Metrics* metrics, Clock* clock);

  // For the engine; once.
  std::unique_ptr<Journal> TakeJournal() { return std::move(opened_); }
  SegmentedJournal& journal() { return *journal_; }
  Directory* directory() { return directory_.get(); }

  // Brings the engine to where the journal ends. Before Engine::Start.
  absl::Status Recover(Engine& engine);
  // 0..1 while Recover runs.
  double recovered() const { return recovered_.load(std::memory_order_relaxed); }

  // A copy of everything durable by now, by hard links, in the directory, which must be new or empty and on the same file
  // system. INVALID_ARGUMENT: not an absolute path. ALREADY_EXISTS: it is not empty.
  absl::StatusOr<SnapshotOutcome> Snapshot(const std::string& path);

  // --- JournalObserver ---
  void OnCommitted(uint64_t records, uint64_t bytes, bool synced, Duration took) override;
  void OnFatal(const absl::Status& why) override;
  void OnWaiting(const absl::Status& why) override;

 private:
  Storage(Metrics* metrics, Clock* clock) : metrics_(metrics), clock_(clock) {}
  void ReadGauges(const GaugeSink& sink) const;

  // Constant after Open.
  Metrics* const metrics_;
  Clock* const clock_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<Journal> opened_;
  SegmentedJournal* journal_ = nullptr;
  // Atomic: told while it grows.
  std::atomic<double> recovered_{0};
};

}  // namespace engram
