#include "core/run_liveness.h"

#include <algorithm>

#include "core/journal/record_head.h"

namespace engram {
namespace {

// Of an id that was replaced without end, the tombstone stays rather than that each version is looked for.
constexpr size_t kMostVersions = 32;
// Of a tombstone in its record, the id aside.
constexpr size_t kTombstoneBytes = 10;

}  // namespace

RunLiveness::RunLiveness(const SegmentedJournal* journal, AppliedLog* log,
                         const std::vector<std::shared_ptr<Segment>>& run)
    : journal_(journal),
      log_(log),
      first_(run.front()->first()),
      last_(run.back()->last()),
      checkpoint_floor_(log->checkpoint_floor()),
      damaged_(!journal->defects().empty()) {
  log_->VisitLive([this](uint64_t space_id, RecordAddress address) {
    if (InRun(address.position)) live_[space_id].push_back({address.position, address.place});
  });
  for (auto& [space_id, places] : live_) std::sort(places.begin(), places.end());
}

bool RunLiveness::KeepsObservation(uint64_t space_id, RecordAddress address) {
  const auto found = live_.find(space_id);
  return found != live_.end() &&
         std::binary_search(found->second.begin(), found->second.end(), Place{address.position, address.place});
}

bool RunLiveness::Holds(uint64_t position, size_t bytes) {
  if (!damaged_ && position <= checkpoint_floor_) return false;
  if (position != held_last_) bytes += kRecordFixedBytes + kTableEntryBytes;
  held_last_ = position;
  held_.bytes += bytes;
  held_.until = damaged_ ? UINT64_MAX : std::max(held_.until, position);
  return true;
}

bool RunLiveness::KeepsTombstone(uint64_t space_id, const Tombstone& tombstone, uint64_t position) {
  if (Holds(position, kTombstoneBytes + tombstone.id.size())) return true;
  bool covers = false;
  size_t seen = 0;
  log_->VisitVersions(space_id, tombstone.id, tombstone.through, [&](RecordAddress address) {
    covers = ++seen > kMostVersions ||
             (InRun(address.position) ? KeepsObservation(space_id, address) : journal_->Contains(address));
    return !covers;
  });
  return covers;
}

bool RunLiveness::KeepsDrop(uint64_t space_id, uint64_t position) {
  if (Holds(position, 0) || !log_->IsGone(space_id)) return true;
  const auto segments = journal_->segments();
  return std::any_of(segments.begin(), segments.end(), [&](const std::shared_ptr<Segment>& segment) {
    return !InRun(segment->first()) && segment->Names(space_id);
  });
}

}  // namespace engram
