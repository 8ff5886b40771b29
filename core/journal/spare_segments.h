// Files written ahead, to become segments: overwriting what is there costs a fraction of what appending costs, because
// syncing it changes no metadata.
//
// Threads:   Prepare from one thread (the journal's keeper); Take from one other (the committer); the rest from any.
// Ownership: the directory and the clock outlive it. Blocking: Take never waits for a file to be filled; Prepare writes one
//            piece and returns.
// Errors:    Take is RESOURCE_EXHAUSTED when there is no file and the disk has no room for another; other errors are the
//            directory's.
// Why:       Take falls back to an empty file: a burst that outruns the preparing is slower, never stopped, and neither
//            is a log whose spares somebody removed.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/journal/files.h"

namespace engram {

class SpareSegments {
 public:
  struct Options {
    uint64_t segment_bytes = 0;
    // Files kept ready; 0: none is written ahead.
    uint32_t count = 0;
    // How fast zeros are written.
    uint64_t bytes_per_second = 0;
    // Not so much as to leave less than this on the disk.
    uint64_t least_free_bytes = 0;
  };

  struct Spare {
    std::string name;  // As it lies in the directory; to be renamed.
    std::unique_ptr<File> file;
    bool prepared = false;
  };

  struct Reading {
    uint64_t ready = 0;
    uint64_t taken_prepared = 0;
    uint64_t taken_empty = 0;  // Because none was ready.
    uint64_t recycled = 0;
    uint64_t zero_bytes = 0;   // Written ahead.
  };

  SpareSegments(Directory* directory, const Options& options, Clock* clock);

  // Takes over the spares that an earlier life left, and removes what it left half-written. Before anything else.
  absl::Status Adopt(const std::vector<std::string>& names);
  static bool IsSpare(std::string_view name);

  // A file to become the next segment. Its content is arbitrary, its size segment_bytes, or it is empty.
  absl::StatusOr<Spare> Take() ABSL_LOCKS_EXCLUDED(mu_);
  // A sealed segment was cut to its size, so a little of it may have to be written for the first time again.
  static uint64_t LeastRecycled(uint64_t segment_bytes) { return segment_bytes - segment_bytes / 8; }
  // Makes a spare of a file that is not needed any more, or removes it. Not yet synced. REQUIRES: nobody reads it, and it
  // has no other name.
  absl::Status Recycle(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);

  // So many bytes of the log were committed. Preparing steps back while much is: both would share the disk.
  void NoteCommitted(uint64_t bytes) { committed_.fetch_add(bytes, std::memory_order_relaxed); }

  // Writes a piece of the next spare. Until when there is nothing to do (MonotonicTime::max(): until a Take).
  absl::StatusOr<MonotonicTime> Prepare() ABSL_LOCKS_EXCLUDED(mu_);

  Reading Read() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  bool Busy(MonotonicTime now);
  std::string NextName() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The spare whose turn it is, taken from those that are ready; empty: there is none.
  std::string NextReady() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Directory* const directory_;
  const Options options_;
  Clock* const clock_;
  // Of Prepare's thread: what is being filled.
  std::unique_ptr<File> filling_;
  std::string filling_name_;
  uint64_t filled_ = 0;
  MonotonicTime next_piece_{};
  std::vector<std::byte> zeros_;
  uint64_t committed_before_ = 0;  // When Prepare last looked.
  MonotonicTime looked_{};

  // Atomic: a sum, of the committer's.
  std::atomic<uint64_t> committed_{0};

  mutable Mutex mu_;
  std::deque<std::string> ready_ ABSL_GUARDED_BY(mu_);
  uint64_t next_number_ ABSL_GUARDED_BY(mu_) = 1;
  Reading reading_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
