// What a start does before it serves: the spaces from the checkpoint, and what the journal has beyond it.
//
// Threads:   Recover: one, before the engine starts. RecoveryProgress: one writes, any number read.
// Ownership: the engine has the journal; both outlive the report's graphs.
// Blocking:  Recover reads until it is done.
// Errors:    of Recover: RESOURCE_EXHAUSTED when memory is out, and what kept the journal from being read at all.
//            What is damaged is in the report, and the rest is served.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/checkpoint/checkpoint.h"
#include "core/engine.h"
#include "core/journal/journal_defect.h"
#include "core/journal/segmented_journal.h"

namespace engram {

enum class RecoveryPhase : uint8_t { kStarting, kCheckpoint, kReplay, kDone };

class RecoveryProgress {
 public:
  RecoveryPhase phase() const { return phase_.load(std::memory_order_relaxed); }
  // Of all bytes there are to read, 0 to 1.
  double fraction() const {
    const uint64_t total = total_.load(std::memory_order_relaxed);
    if (phase() == RecoveryPhase::kDone) return 1;
    const uint64_t done = done_.load(std::memory_order_relaxed);
    return total == 0 ? 0 : static_cast<double>(done < total ? done : total) / static_cast<double>(total);
  }

  void Enter(RecoveryPhase phase, uint64_t total) {
    total_.store(total, std::memory_order_relaxed);
    phase_.store(phase, std::memory_order_relaxed);
  }
  void Read(uint64_t done) { done_.store(done, std::memory_order_relaxed); }

 private:
  // Atomic: shown while they move; each is true by itself.
  std::atomic<RecoveryPhase> phase_{RecoveryPhase::kStarting};
  std::atomic<uint64_t> done_{0};
  std::atomic<uint64_t> total_{0};
};

struct RecoveryReport {
  // Empty name: none could be used. Its graphs are still to be attached (AttachGraphs), best once the engine serves.
  LoadedCheckpoint checkpoint;
  uint64_t position = 0;      // The last one of the journal.
  uint64_t records = 0;       // Replayed.
  uint64_t observations = 0;  // In them.
  uint64_t bytes = 0;         // Read, of checkpoint and journal.
  Duration took{0};
  std::vector<JournalDefect> defects;
  // What the engine lacks: positions that may have had records and could not be read, by this start or by those before
  // the checkpoint. For WriteCheckpoint.
  std::vector<PositionRange> missing;
};

// `engine` is new and has that journal.
absl::StatusOr<RecoveryReport> Recover(Engine& engine, SegmentedJournal& journal, Clock& clock,
                                       RecoveryProgress& progress);

}  // namespace engram
