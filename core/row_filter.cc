#include "core/row_filter.h"

#include <algorithm>

namespace engram {

bool RowFilter::Matches(const RecordStore& records, Ordinal ordinal, std::string_view id, int64_t now_us) const {
  if (records.ExpiresAt(ordinal) <= now_us) return false;
  const int64_t observed_at = records.ObservedAt(ordinal);
  if (spec_.observed_from_us != 0 && observed_at < spec_.observed_from_us) return false;
  if (spec_.observed_to_us != 0 && observed_at >= spec_.observed_to_us) return false;
  if (records.Confidence(ordinal) < spec_.min_confidence) return false;
  if (excluded_.contains(id)) return false;
  const auto has = [&](const auto& tag) {
    const auto value = records.FindTag(ordinal, tag.first);
    return value && *value == tag.second;
  };
  return std::all_of(spec_.all_tags.begin(), spec_.all_tags.end(), has) &&
         (spec_.any_tags.empty() || std::any_of(spec_.any_tags.begin(), spec_.any_tags.end(), has)) &&
         std::none_of(spec_.no_tags.begin(), spec_.no_tags.end(), has);
}

}  // namespace engram
