#include "core/space_registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/observation_check.h"

namespace engram {
namespace {

// The daemon's settings where the config leaves a field open.
SpaceConfig Resolve(const SpaceConfig& config, const Settings& settings) {
  SpaceConfig resolved = config;
  const auto fill = [](auto& field, uint64_t value) {
    if (field == 0) field = static_cast<std::remove_reference_t<decltype(field)>>(value);
  };
  fill(resolved.max_connections, settings.hnsw_max_connections);
  fill(resolved.ef_construction, settings.hnsw_ef_construction);
  fill(resolved.ef_search, settings.hnsw_ef_search);
  fill(resolved.max_rate, settings.limits_max_rate_per_tenant);
  fill(resolved.quota_observations, settings.limits_quota_observations);
  fill(resolved.quota_bytes, settings.limits_quota_bytes);
  if (!resolved.flat_threshold) resolved.flat_threshold = settings.index_flat_threshold;
  return resolved;
}

absl::Status CheckConfig(const SpaceConfig& config, const Settings& settings) {
  if (config.dimension > settings.limits_max_dimension) {
    return absl::InvalidArgumentError(fmt::format("dimension {} exceeds limits.max_dimension {}", config.dimension,
                                                  settings.limits_max_dimension));
  }
  if (config.max_connections < 4 || config.max_connections > 64) {
    return absl::InvalidArgumentError(fmt::format("max_connections {} is not in 4..64", config.max_connections));
  }
  if (config.ef_construction < 16 || config.ef_construction > 1000) {
    return absl::InvalidArgumentError(fmt::format("ef_construction {} is not in 16..1000", config.ef_construction));
  }
  if (config.ef_search < 10 || config.ef_search > 4096) {
    return absl::InvalidArgumentError(fmt::format("ef_search {} is not in 10..4096", config.ef_search));
  }
  return absl::OkStatus();
}

// The fields that CreateSpace asks for, against those of a space that is there.
bool SameWhereAsked(const SpaceConfig& asked, const SpaceConfig& there) {
  const auto same = [](uint64_t a, uint64_t b) { return a == 0 || a == b; };
  return asked.metric == there.metric && same(asked.dimension, there.dimension) &&
         same(asked.max_connections, there.max_connections) && same(asked.ef_construction, there.ef_construction) &&
         same(asked.ef_search, there.ef_search) && same(asked.max_rate, there.max_rate) &&
         same(asked.quota_observations, there.quota_observations) && same(asked.quota_bytes, there.quota_bytes) &&
         (!asked.flat_threshold || asked.flat_threshold == there.flat_threshold);
}

absl::Status NotFound(const std::string& name) {
  return absl::NotFoundError(fmt::format("there is no space '{}'", name));
}

}  // namespace

size_t LaneOf(std::string_view space, size_t lanes) {
  uint64_t key = 14695981039346656037ull;  // FNV-1a.
  for (const char c : space) key = (key ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  int64_t bucket = -1;
  int64_t next = 0;
  while (next < static_cast<int64_t>(lanes)) {
    bucket = next;
    key = key * 2862933555777941757ull + 1;
    next = static_cast<int64_t>(static_cast<double>(bucket + 1) *
                                (static_cast<double>(1ll << 31) / static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<size_t>(bucket);
}

absl::StatusOr<std::shared_ptr<Space>> SpaceRegistry::Find(const std::string& name) const {
  MutexLock lock(mu_);
  const auto at = spaces_.find(name);
  if (at == spaces_.end()) return NotFound(name);
  return at->second;
}

absl::StatusOr<std::shared_ptr<Space>> SpaceRegistry::Create(const std::string& name, const SpaceConfig& config,
                                                             const Settings& settings) {
  ENGRAM_RETURN_IF_ERROR(CheckSpaceName(name));
  const SpaceConfig resolved = Resolve(config, settings);
  ENGRAM_RETURN_IF_ERROR(CheckConfig(resolved, settings));
  MutexLock lock(mu_);
  auto& space = spaces_[name];
  if (space != nullptr) {
    if (SameWhereAsked(config, space->Info().config)) return space;
    return absl::AlreadyExistsError(fmt::format("space '{}' exists with other parameters", name));
  }
  if (spaces_.size() > settings.limits_max_spaces) {
    spaces_.erase(name);
    return absl::ResourceExhaustedError(
        fmt::format("there are {} spaces, limits.max_spaces is {}", spaces_.size(), settings.limits_max_spaces));
  }
  space = std::make_shared<Space>(name, resolved, LaneOf(name, lanes_), metrics_->AddSpace(name), clock_->WallMicros());
  return space;
}

absl::StatusOr<std::shared_ptr<Space>> SpaceRegistry::FindOrCreate(const std::string& name, const Settings& settings) {
  ENGRAM_RETURN_IF_ERROR(CheckSpaceName(name));
  auto found = Find(name);
  if (found.ok() || !settings.spaces_auto_create) return found;
  auto created = Create(name, SpaceConfig{}, settings);
  // Somebody else made it with parameters of its own meanwhile: as good.
  if (absl::IsAlreadyExists(created.status())) return Find(name);
  return created;
}

absl::StatusOr<std::shared_ptr<Space>> SpaceRegistry::Remove(const std::string& name) {
  MutexLock lock(mu_);
  const auto at = spaces_.find(name);
  if (at == spaces_.end()) return NotFound(name);
  std::shared_ptr<Space> space = std::move(at->second);
  spaces_.erase(at);
  return space;
}

std::vector<std::shared_ptr<Space>> SpaceRegistry::List(const std::string& prefix, const std::string& after,
                                                        size_t limit) const {
  std::vector<std::shared_ptr<Space>> listed;
  MutexLock lock(mu_);
  for (auto at = after < prefix ? spaces_.lower_bound(prefix) : spaces_.upper_bound(after);
       at != spaces_.end() && listed.size() < limit; ++at) {
    if (at->first.compare(0, prefix.size(), prefix) != 0) break;
    listed.push_back(at->second);
  }
  return listed;
}

size_t SpaceRegistry::size() const {
  MutexLock lock(mu_);
  return spaces_.size();
}

}  // namespace engram
