// One segment of the journal: its file, what it covers, and where its records begin.
//
// Threads:   Add and SetSealed from the journal's committer and keeper, one at a time; everything else from any thread.
// Ownership: shared by the journal and by whoever reads from it just now, so that a file stays open while it is read.
// Blocking:  Read does I/O; the mutex is a leaf held for a lookup.
// Errors:    Read is NOT_FOUND for what was rewritten away and DATA_LOSS for what is damaged.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/journal/files.h"
#include "core/journal/record.h"
#include "core/journal/segment_format.h"
#include "core/journal/stored_observation.h"

namespace engram {

class Segment {
 public:
  // What a record adds to the footer.
  struct Added {
    uint64_t position = 0;
    uint64_t offset = 0;
    uint64_t space_id = 0;
    uint64_t observations = 0;
    int64_t least_observed_us = 0;
    int64_t most_observed_us = 0;
  };

  // All but the offset.
  static Added Summarize(const JournalRecord& record, uint64_t position);

  // `footer` is what is known of it so far; `bytes` where its records end.
  Segment(std::string name, std::shared_ptr<File> file, const SegmentHeader& header, SegmentFooter footer,
          uint64_t bytes, bool sealed);

  const std::string& name() const { return name_; }
  File& file() const { return *file_; }
  const SegmentHeader& header() const { return header_; }
  uint64_t first() const { return header_.first_position; }
  // The last position it covers; first() - 1 while it is empty.
  uint64_t last() const ABSL_LOCKS_EXCLUDED(mu_);
  bool sealed() const { return sealed_.load(std::memory_order_acquire); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  SegmentFooter footer() const ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t observations() const ABSL_LOCKS_EXCLUDED(mu_);
  bool Names(uint64_t space_id) const ABSL_LOCKS_EXCLUDED(mu_);

  // The record has been written; `end` is where the next one goes.
  void Add(const Added& added, uint64_t end) ABSL_LOCKS_EXCLUDED(mu_);
  // It answers for positions up to `last`, also where no record of them is left.
  void SetLast(uint64_t last) ABSL_LOCKS_EXCLUDED(mu_);
  // The footer has been written, up to `bytes`.
  void SetSealed(uint64_t bytes) {
    bytes_.store(bytes, std::memory_order_relaxed);
    // Pairs with sealed(): who sees it may trust the file to be complete.
    sealed_.store(true, std::memory_order_release);
  }

  // Where the record of that position begins.
  std::optional<uint64_t> OffsetOf(uint64_t position) const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Read(RecordAddress address, StoredObservation* out) const;

 private:
  // Constant after construction.
  const std::string name_;
  const std::shared_ptr<File> file_;
  const SegmentHeader header_;

  mutable Mutex mu_;
  // Of an open segment it grows with each record.
  SegmentFooter footer_ ABSL_GUARDED_BY(mu_);
  // Of an open segment: where each space is in the footer's list.
  std::unordered_map<uint64_t, size_t> places_ ABSL_GUARDED_BY(mu_);
  // Atomic: read by whoever asks how large the journal is; a one-way flag.
  std::atomic<uint64_t> bytes_;
  std::atomic<bool> sealed_;
};

}  // namespace engram
