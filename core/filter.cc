#include "core/filter.h"

#include <fmt/format.h>

#include <algorithm>

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

bool Filter::HasTag(Ordinal ordinal, const std::pair<std::string, std::string>& tag) const {
  return records_.FindTag(ordinal, tag.first) == tag.second;
}

bool Filter::Matches(Ordinal ordinal) const {
  if (records_.ExpiresAt(ordinal) <= now_us_) return false;
  const int64_t observed_at = records_.ObservedAt(ordinal);
  if (spec_.observed_from_us != 0 && observed_at < spec_.observed_from_us) return false;
  if (spec_.observed_to_us != 0 && observed_at >= spec_.observed_to_us) return false;
  if (records_.Confidence(ordinal) < spec_.min_confidence) return false;
  const auto has = [&](const auto& tag) { return HasTag(ordinal, tag); };
  if (!std::all_of(spec_.all_tags.begin(), spec_.all_tags.end(), has)) return false;
  if (!spec_.any_tags.empty() && std::none_of(spec_.any_tags.begin(), spec_.any_tags.end(), has)) return false;
  if (std::any_of(spec_.no_tags.begin(), spec_.no_tags.end(), has)) return false;
  const std::string_view id = spec_.exclude_ids.empty() ? std::string_view() : index_.IdOf(ordinal);
  return std::none_of(spec_.exclude_ids.begin(), spec_.exclude_ids.end(), [&](const auto& e) { return e == id; });
}

}  // namespace engram
