#include "core/journal/segment.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/journal/observation_reader.h"

namespace engram {
Segment::Added Segment::Summarize(const JournalRecord& record, uint64_t position) {
  Added added;
  added.position = position;
  added.space_id = record.space_id == 0 ? position : record.space_id;
  added.observations = record.observations.size();
  if (record.observations.empty()) return added;
  const auto [least, most] = std::minmax_element(
      record.observations.begin(), record.observations.end(),
      [](const ObservationView& a, const ObservationView& b) { return a.observed_at_us < b.observed_at_us; });
  added.least_observed_us = least->observed_at_us;
  added.most_observed_us = most->observed_at_us;
  return added;
}

Segment::Segment(std::string name, std::shared_ptr<File> file, const SegmentHeader& header, SegmentFooter footer,
                 uint64_t bytes, bool sealed)
    : name_(std::move(name)),
      file_(std::move(file)),
      header_(header),
      footer_(std::move(footer)),
      bytes_(bytes),
      sealed_(sealed) {
  if (sealed) return;
  for (size_t i = 0; i < footer_.spaces.size(); ++i) places_[footer_.spaces[i].space_id] = i;
}

uint64_t Segment::last() const {
  MutexLock lock(mu_);
  return footer_.last_position;
}

SegmentFooter Segment::footer() const {
  MutexLock lock(mu_);
  return footer_;
}

uint64_t Segment::observations() const {
  MutexLock lock(mu_);
  return footer_.observations;
}

bool Segment::Names(uint64_t space_id) const {
  MutexLock lock(mu_);
  return std::any_of(footer_.spaces.begin(), footer_.spaces.end(),
                     [&](const auto& space) { return space.space_id == space_id; });
}

void Segment::SetLast(uint64_t last) {
  MutexLock lock(mu_);
  footer_.last_position = last;
}

void Segment::Add(const Added& added, uint64_t end) {
  MutexLock lock(mu_);
  footer_.records.push_back({added.position, added.offset});
  footer_.last_position = added.position;
  if (added.observations > 0) {
    const bool first = footer_.observations == 0;
    footer_.min_observed_at_us =
        first ? added.least_observed_us : std::min(footer_.min_observed_at_us, added.least_observed_us);
    footer_.max_observed_at_us =
        first ? added.most_observed_us : std::max(footer_.max_observed_at_us, added.most_observed_us);
    footer_.observations += added.observations;
  }
  const auto [place, made] = places_.try_emplace(added.space_id, footer_.spaces.size());
  if (made) footer_.spaces.push_back({added.space_id, 0});
  footer_.spaces[place->second].observations += added.observations;
  bytes_.store(end, std::memory_order_relaxed);
}

std::optional<uint64_t> Segment::OffsetOf(uint64_t position) const {
  MutexLock lock(mu_);
  const uint64_t offset = footer_.OffsetOf(position);
  if (offset == 0) return std::nullopt;
  return offset;
}

absl::Status Segment::Read(RecordAddress address, StoredObservation* out) const {
  const std::optional<uint64_t> offset = OffsetOf(address.position);
  if (!offset) return absl::NotFoundError(fmt::format("position {} is not in {}", address.position, name_));
  absl::Status status = ReadObservationAt(*file_, *offset, header_.seed, address, out);
  if (status.ok() || absl::IsNotFound(status)) return status;
  // An I/O error and a CRC that does not hold are the same to the reader: what was written cannot be had.
  return absl::DataLossError(fmt::format("{} at byte {}, position {} place {}: {}", name_, *offset, address.position,
                                         address.place, std::string(status.message())));
}

}  // namespace engram
