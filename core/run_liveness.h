// What of a run of segments is still needed: the rules of core/rewriter.h.
//
// Threads:   one. Ownership: journal and log outlive it. Blocking: the construction walks all live observations; a
//            tombstone may cost a read for each version that it covers.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/journal/segment_rewrite.h"
#include "core/rewriter.h"

namespace engram {

class RunLiveness final : public Liveness {
 public:
  RunLiveness(const SegmentedJournal* journal, AppliedLog* log, const std::vector<std::shared_ptr<Segment>>& run);

  bool KeepsSpace(uint64_t space_id) override { return log_->HasSpace(space_id); }
  bool KeepsObservation(uint64_t space_id, RecordAddress address) override;
  bool KeepsTombstone(uint64_t space_id, const Tombstone& tombstone, uint64_t position) override;
  bool KeepsDrop(uint64_t space_id, uint64_t position) override;

  // Of what was asked about.
  const HeldRecords& held() const { return held_; }

 private:
  // A RecordAddress that sorts.
  struct Place {
    uint64_t position;
    uint32_t place;
    auto operator<=>(const Place&) const = default;
  };

  // The record at that position, with so many bytes in it, is kept unseen.
  bool Holds(uint64_t position, size_t bytes);
  bool InRun(uint64_t position) const { return first_ <= position && position <= last_; }

  const SegmentedJournal* const journal_;
  AppliedLog* const log_;
  const uint64_t first_;
  const uint64_t last_;
  // Read before anything else is looked at.
  const uint64_t checkpoint_floor_;
  const bool damaged_;
  HeldRecords held_;
  uint64_t held_last_ = 0;  // Its record.
  // Of the run, sorted.
  std::unordered_map<uint64_t, std::vector<Place>> live_;
};

}  // namespace engram
