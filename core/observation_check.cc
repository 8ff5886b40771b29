#include "core/observation_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>

#include "index/space_index.h"

namespace engram {
namespace {

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

absl::Status CheckEmbedding(const EmbeddingView& embedding, Metric metric, uint64_t max_dimension) {
  if (embedding.dimension == 0) return Invalid("there is no embedding");
  if (embedding.dimension > max_dimension) {
    return Invalid("embedding has {} dimensions, limits.max_dimension is {}", embedding.dimension, max_dimension);
  }
  const VectorCheck check = CheckVector(embedding);
  if (!check.finite) return Invalid("embedding has an element that is not finite");
  if (check.zero && metric == Metric::kCosine) return Invalid("embedding is zero, which has no cosine");
  return absl::OkStatus();
}

absl::Status CheckObservation(const ObservationView& o, Metric metric, const Settings& settings) {
  if (!o.defect.empty()) return absl::InvalidArgumentError(std::string(o.defect));
  if (o.id.size() > settings.limits_max_id_bytes) {
    return Invalid("id has {} bytes, limits.max_id_bytes is {}", o.id.size(), settings.limits_max_id_bytes);
  }
  if (std::any_of(o.id.begin(), o.id.end(), IsControl)) return Invalid("id has a control character");
  if (o.content.size() > settings.limits_max_content_bytes) {
    return Invalid("content has {} bytes, limits.max_content_bytes is {}", o.content.size(),
                   settings.limits_max_content_bytes);
  }
  if (o.tags.size() > settings.limits_max_tags) {
    return Invalid("observation has {} tags, limits.max_tags is {}", o.tags.size(), settings.limits_max_tags);
  }
  for (const TagView& tag : o.tags) {
    if (tag.key.empty()) return Invalid("a tag has an empty key");
    if (tag.key.size() > settings.limits_max_tag_key_bytes) {
      return Invalid("tag key has {} bytes, limits.max_tag_key_bytes is {}", tag.key.size(),
                     settings.limits_max_tag_key_bytes);
    }
    if (tag.value.size() > settings.limits_max_tag_value_bytes) {
      return Invalid("value of tag '{}' has {} bytes, limits.max_tag_value_bytes is {}", tag.key, tag.value.size(),
                     settings.limits_max_tag_value_bytes);
    }
  }
  if (!(o.confidence >= 0 && o.confidence <= 1)) return Invalid("confidence {} is not in 0..1", o.confidence);
  if (o.ttl_us < 0) return Invalid("ttl_us {} is negative", o.ttl_us);
  return CheckEmbedding(o.embedding, metric, settings.limits_max_dimension);
}

absl::Status CheckSpaceName(const std::string& name) {
  constexpr size_t kLongest = 64;
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty()) return Invalid("space name is empty");
  if (name.size() > kLongest) return Invalid("space name has {} characters, at most {} are allowed", name.size(), kLongest);
  if (!plain(name[0]) ||
      !std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; })) {
    return Invalid("space name '{}' is not made of a-z, 0-9, '.', '_' and '-' beginning with a letter or digit", name);
  }
  return absl::OkStatus();
}

absl::Status CheckIds(size_t count) {
  constexpr size_t kMost = 1000;
  if (count >= 1 && count <= kMost) return absl::OkStatus();
  return Invalid("{} ids given, 1..{} are allowed", count, kMost);
}

absl::Status CheckStreamId(const std::string& id) {
  constexpr size_t kLongest = 128;
  if (id.size() > kLongest) return Invalid("stream_id has {} characters, at most {} are allowed", id.size(), kLongest);
  if (!std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    return Invalid("stream_id has a character that is not printable ASCII");
  }
  return absl::OkStatus();
}

void DuplicateFinder::Begin(size_t observations) {
  slots_.assign(std::bit_ceil(2 * std::max<size_t>(observations, 1)), 0);
}

int64_t DuplicateFinder::Add(const std::vector<ObservationView>& observations, size_t place) {
  const std::string_view id = observations[place].id;
  if (id.empty()) return -1;
  const size_t mask = slots_.size() - 1;
  for (size_t slot = std::hash<std::string_view>()(id) & mask;; slot = (slot + 1) & mask) {
    if (slots_[slot] == 0) {
      slots_[slot] = static_cast<uint32_t>(place + 1);
      return -1;
    }
    if (observations[slots_[slot] - 1].id == id) return slots_[slot] - 1;
  }
}

}  // namespace engram
