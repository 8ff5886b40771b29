#include "core/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace engram {

absl::Status CheckFilter(const FilterSpec& spec) {
  constexpr size_t kMostIds = 1000;
  if (!(spec.min_confidence >= 0 && spec.min_confidence <= 1)) {
    return absl::InvalidArgumentError(fmt::format("filter min_confidence {} is not in 0..1", spec.min_confidence));
  }
  if (spec.observed_from_us != 0 && spec.observed_to_us != 0 && spec.observed_from_us >= spec.observed_to_us) {
    return absl::InvalidArgumentError(fmt::format("filter observed_from_us {} is not before observed_to_us {}",
                                                  spec.observed_from_us, spec.observed_to_us));
  }
  if (spec.exclude_ids.size() > kMostIds) {
    return absl::InvalidArgumentError(
        fmt::format("filter has {} exclude_ids, at most {} are allowed", spec.exclude_ids.size(), kMostIds));
  }
  return absl::OkStatus();
}

Filter::Filter(const FilterSpec& spec, const RecordStore& records, const SpaceIndex& index, IndexView view,
               std::optional<int64_t> now_us)
    : spec_(spec),
      records_(records),
      visible_(view.visible),
      now_us_(now_us),
      looks_at_columns_(spec.observed_from_us != 0 || spec.observed_to_us != 0 || spec.min_confidence > 0) {
  NarrowByTags();
  NarrowByZones();
  NarrowByIds(index);
  estimate_ = Estimate();
}

void Filter::NarrowByTags() {
  const auto collect = [&](const auto& tag, OrdinalBitmap& out) {
    records_.tags().Collect(tag.first, tag.second, visible_, out);
  };
  bool narrowed = false;
  const auto narrow = [&](OrdinalBitmap& by) {
    if (narrowed) {
      may_match_.Intersect(by);
    } else {
      may_match_ = std::move(by);
      narrowed = true;
    }
  };
  for (const auto& tag : spec_.all_tags) {
    OrdinalBitmap with;
    collect(tag, with);
    narrow(with);
  }
  if (!spec_.any_tags.empty()) {
    OrdinalBitmap with;
    for (const auto& tag : spec_.any_tags) collect(tag, with);
    narrow(with);
  }
  if (!narrowed) may_match_.AddRange(0, visible_);
  if (spec_.no_tags.empty()) return;
  OrdinalBitmap without;
  for (const auto& tag : spec_.no_tags) collect(tag, without);
  may_match_.Subtract(without);
}

void Filter::NarrowByZones() {
  if (!looks_at_columns_) return;
  OrdinalBitmap zones;
  for (uint64_t begin = 0; begin < visible_; begin += RecordStore::kZoneRows) {
    const RecordStore::ZoneRange zone = records_.Zone(static_cast<Ordinal>(begin / RecordStore::kZoneRows));
    if (spec_.observed_from_us != 0 && zone.last_observed_us < spec_.observed_from_us) continue;
    if (spec_.observed_to_us != 0 && zone.first_observed_us >= spec_.observed_to_us) continue;
    if (zone.most_confidence < spec_.min_confidence) continue;
    zones.AddRange(begin, std::min<uint64_t>(begin + RecordStore::kZoneRows, visible_));
  }
  may_match_.Intersect(zones);
}

void Filter::NarrowByIds(const SpaceIndex& index) {
  if (spec_.exclude_ids.empty()) return;
  std::vector<Ordinal> excluded;
  for (const std::string& id : spec_.exclude_ids) {
    // Of all versions a view shows only the newest it has.
    Ordinal version = index.Newest(id);
    while (version != kNoOrdinal && version >= visible_) version = index.Previous(version);
    if (version != kNoOrdinal) excluded.push_back(version);
  }
  OrdinalBitmap without;
  without.Add(excluded);
  may_match_.Subtract(without);
}

bool Filter::RowMatches(Ordinal ordinal) const {
  if (looks_at_columns_) {
    const int64_t observed_at = records_.ObservedAt(ordinal);
    if (spec_.observed_from_us != 0 && observed_at < spec_.observed_from_us) return false;
    if (spec_.observed_to_us != 0 && observed_at >= spec_.observed_to_us) return false;
    if (records_.Confidence(ordinal) < spec_.min_confidence) return false;
  }
  return !now_us_ || records_.ExpiresAt(ordinal) > *now_us_;
}

uint64_t Filter::Estimate() const {
  constexpr uint64_t kSample = 128;
  const uint64_t most = may_match_.count();
  // So few are scanned whatever the answer is.
  if (!looks_at_columns_ || most <= 8 * kSample) return most;
  uint64_t passed = 0;
  for (uint64_t i = 0; i < kSample; ++i) {
    const Ordinal ordinal = may_match_.Nth(i * most / kSample);
    if (ordinal < visible_ && RowMatches(ordinal)) ++passed;
  }
  return std::max<uint64_t>(1, passed * most / kSample);
}

size_t Filter::List(Ordinal from, Ordinal end, std::span<Ordinal> out) const {
  size_t listed = 0;
  while (listed < out.size()) {
    const std::span<Ordinal> room = out.subspan(listed);
    const size_t read = may_match_.List(from, end, room);
    for (size_t i = 0; i < read; ++i) {
      const Ordinal ordinal = room[i];
      from = ordinal + 1;
      if (RowMatches(ordinal)) out[listed++] = ordinal;
    }
    if (read < room.size()) break;
  }
  return listed;
}

}  // namespace engram
