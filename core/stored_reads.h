// What one recall or read by id reads of a space's observations in the journal: each of them once, while it is kept.
//
// Threads:   one at a time. Ownership: the journal and the space outlive it; what it returns lives as long as it does, or
//            until KeepOnly.
// Blocking:  while the journal reads.
// Errors:    Get has those of Journal::Read. std::bad_alloc.
// Why:       ranking reads a vector, and then the answer wants the text beside it, which the same read has brought.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "core/base/status.h"
#include "core/journal/journal.h"
#include "core/record_store.h"
#include "index/vector_source.h"

namespace engram {

class StoredReads final : public VectorSource {
 public:
  StoredReads(const Journal* journal, const RecordStore* records, uint32_t dimension)
      : journal_(journal), records_(records), dimension_(dimension) {}

  absl::StatusOr<const StoredObservation*> Get(Ordinal ordinal) const;
  void Read(std::span<const Ordinal> ordinals, float* rows) const override;
  // What Get has returned of the others is gone. What could not be read stays, so that it is counted once.
  void KeepOnly(std::span<const Ordinal> ordinals) const override;

  // How many of what was asked for is not in the journal any more.
  uint64_t gone() const { return gone_; }

 private:
  struct Entry {
    absl::Status status;
    StoredObservation observation;
  };

  // Constant after construction.
  const Journal* const journal_;
  const RecordStore* const records_;
  const uint32_t dimension_;

  // A map of nodes: they stay where they are.
  mutable std::unordered_map<Ordinal, Entry> read_;
  mutable uint64_t gone_ = 0;
};

}  // namespace engram
