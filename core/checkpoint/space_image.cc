#include "core/checkpoint/space_image.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/journal/little_endian.h"
#include "core/observation_check.h"

namespace engram {
namespace {

constexpr size_t kFixedBytes = 4 * 8 + 6 * 4 + 4 * 8 + 3 * 4;
constexpr size_t kStreamBytes = 12;
// As far as any setting lets it go.
constexpr uint32_t kMostDimension = 16384;
// Stands for a flat_threshold that is not set.
constexpr uint64_t kTuned = UINT64_MAX;

bool Sound(const SpaceConfig& config, uint32_t metric) {
  return metric >= 1 && metric <= 3 && config.dimension <= kMostDimension && config.max_connections >= 4 &&
         config.max_connections <= 64 && config.ef_construction >= 16 && config.ef_construction <= 1000;
}

}  // namespace

std::vector<std::byte> EncodeSpace(const Space::Snapshot& snapshot) {
  const Space::Origin& origin = snapshot.origin;
  const SpaceConfig& config = origin.config;
  size_t size = kFixedBytes + origin.name.size() + snapshot.expired.size() * sizeof(Ordinal);
  for (const auto& [stream, through] : snapshot.streams) size += kStreamBytes + stream.size();
  std::vector<std::byte> bytes(size);
  ByteWriter out(bytes.data());
  out.Put(origin.id);
  out.Put(snapshot.applied_position);
  out.Put(origin.created_at_us);
  out.Put(snapshot.expired_before);
  out.Put(snapshot.size);
  out.Put(config.dimension);
  out.Put(static_cast<uint32_t>(config.metric));
  out.Put(config.max_connections);
  out.Put(config.ef_construction);
  out.Put(config.ef_search);
  out.Put(config.flat_threshold ? std::min(*config.flat_threshold, kTuned - 1) : kTuned);
  out.Put(config.max_rate);
  out.Put(config.quota_observations);
  out.Put(config.quota_bytes);
  out.Put(static_cast<uint32_t>(origin.name.size()));
  out.Put(static_cast<uint32_t>(snapshot.streams.size()));
  out.Put(static_cast<uint32_t>(snapshot.expired.size()));
  out.PutText(origin.name);
  for (const auto& [stream, through] : snapshot.streams) {
    out.Put(static_cast<uint32_t>(stream.size()));
    out.Put(through);
    out.PutText(stream);
  }
  for (const Ordinal ordinal : snapshot.expired) out.Put(ordinal);
  return bytes;
}

absl::StatusOr<Space::Snapshot> DecodeSpace(std::span<const std::byte> bytes) {
  Space::Snapshot snapshot;
  Space::Origin& origin = snapshot.origin;
  SpaceConfig& config = origin.config;
  ByteCursor in(bytes);
  origin.id = in.Take<uint64_t>();
  snapshot.applied_position = in.Take<uint64_t>();
  origin.created_at_us = in.Take<int64_t>();
  snapshot.expired_before = in.Take<int64_t>();
  snapshot.size = in.Take<uint32_t>();
  config.dimension = in.Take<uint32_t>();
  const auto metric = in.Take<uint32_t>();
  config.max_connections = in.Take<uint32_t>();
  config.ef_construction = in.Take<uint32_t>();
  config.ef_search = in.Take<uint32_t>();
  const auto threshold = in.Take<uint64_t>();
  if (threshold != kTuned) config.flat_threshold = threshold;
  config.max_rate = in.Take<uint64_t>();
  config.quota_observations = in.Take<uint64_t>();
  config.quota_bytes = in.Take<uint64_t>();
  const auto name = in.Take<uint32_t>();
  const auto streams = in.Take<uint32_t>();
  const auto expired = in.Take<uint32_t>();
  origin.name = std::string(in.TakeText(name));
  if (!in.ok() || !Sound(config, metric) || origin.id == 0 || !CheckSpaceName(origin.name).ok() ||
      (snapshot.size != 0 && config.dimension == 0)) {
    return absl::DataLossError("the section says nothing sensible of its space");
  }
  config.metric = static_cast<Metric>(metric);
  for (uint32_t i = 0; i < streams && in.ok(); ++i) {
    const auto length = in.Take<uint32_t>();
    const auto through = in.Take<uint64_t>();
    snapshot.streams.emplace_back(in.TakeText(length), through);
  }
  if (!in.ok() || in.left() != uint64_t{expired} * sizeof(Ordinal)) {
    return absl::DataLossError(fmt::format("the section of space '{}' ends too soon or too late", origin.name));
  }
  for (uint32_t i = 0; i < expired; ++i) snapshot.expired.push_back(in.Take<Ordinal>());
  return snapshot;
}

}  // namespace engram
