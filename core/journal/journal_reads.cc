// The part of the segmented journal that only looks: observations by address, segments, figures, defects.
#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "core/journal/segmented_journal.h"

namespace engram {

std::shared_ptr<Segment> SegmentedJournal::FindSegment(uint64_t position) const {
  MutexLock lock(segments_mu_);
  auto at = segments_.upper_bound(position);
  if (at == segments_.begin()) return nullptr;
  return std::prev(at)->second;
}

absl::Status SegmentedJournal::Read(RecordAddress address, StoredObservation* out) const {
  const std::shared_ptr<Segment> segment = FindSegment(address.position);
  if (segment == nullptr) return absl::NotFoundError(fmt::format("position {} is not in the journal", address.position));
  absl::Status status = segment->Read(address, out);
  if (absl::IsDataLoss(status)) {
    JournalDefect defect;
    defect.file = segment->name();
    defect.first = defect.last = address.position;
    defect.what = std::string(status.message());
    NoteDefect(std::move(defect));
  }
  return status;
}

bool SegmentedJournal::Contains(RecordAddress address) const {
  StoredObservation ignored;
  // Damaged is there: nobody may conclude that it is gone.
  return !absl::IsNotFound(Read(address, &ignored));
}

std::vector<JournalDefect> SegmentedJournal::defects() const {
  MutexLock lock(segments_mu_);
  return defects_;
}

std::vector<std::shared_ptr<Segment>> SegmentedJournal::segments() const {
  std::vector<std::shared_ptr<Segment>> all;
  MutexLock lock(segments_mu_);
  for (const auto& [first, segment] : segments_) all.push_back(segment);
  return all;
}

SegmentedJournal::Reading SegmentedJournal::ReadFiles() const {
  Reading reading;
  for (const auto& segment : segments()) {
    ++reading.segments;
    reading.bytes += segment->bytes();
  }
  reading.waiting_for_room = waiting_for_room_.load(std::memory_order_relaxed);
  reading.spares = spares_.Read();
  return reading;
}

}  // namespace engram
