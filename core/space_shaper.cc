#include "core/space_shaper.h"

#include <fmt/format.h>

#include <utility>

#include "core/observation_check.h"

namespace engram {
namespace {

absl::Status CheckConfig(const SpaceConfig& config, const Settings& settings) {
  if (config.dimension > settings.limits_max_dimension) {
    return absl::InvalidArgumentError(
        fmt::format("dimension {} exceeds limits.max_dimension {}", config.dimension, settings.limits_max_dimension));
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

}  // namespace

absl::StatusOr<std::shared_ptr<Space>> SpaceShaper::Create(const std::string& name, const SpaceConfig& config,
                                                           const Settings& settings) {
  ENGRAM_RETURN_IF_ERROR(CheckSpaceName(name));
  Command command;
  command.type = RecordType::kSpaceCreated;
  command.name = name;
  command.config = ResolveConfig(config, settings);
  command.metric = command.config.metric;
  ENGRAM_RETURN_IF_ERROR(CheckConfig(command.config, settings));
  const auto answer = [&](std::shared_ptr<Space> there) -> absl::StatusOr<std::shared_ptr<Space>> {
    if (SameWhereAsked(config, there->Info().config)) return there;
    return absl::AlreadyExistsError(fmt::format("space '{}' exists with other parameters", name));
  };
  MutexLock lock(mu_);
  if (auto there = registry_->Find(name); there.ok()) return answer(*std::move(there));
  if (const size_t spaces = registry_->size(); spaces >= settings.limits_max_spaces) {
    return absl::ResourceExhaustedError(
        fmt::format("there are {} spaces, limits.max_spaces is {}", spaces, settings.limits_max_spaces));
  }
  command.created_at_us = clock_->WallMicros();
  ENGRAM_ASSIGN_OR_RETURN(CommitLog::Executed executed, log_->Execute(std::move(command)));
  // Another creation of the name may stand before this one in the log.
  return answer(std::move(executed.effect.space));
}

absl::StatusOr<std::shared_ptr<Space>> SpaceShaper::FindOrCreate(const std::string& name, const Settings& settings) {
  ENGRAM_RETURN_IF_ERROR(CheckSpaceName(name));
  auto found = registry_->Find(name);
  if (found.ok() || !settings.spaces_auto_create) return found;
  auto created = Create(name, SpaceConfig{}, settings);
  // Somebody else made it with parameters of its own meanwhile: as good.
  if (absl::IsAlreadyExists(created.status())) return registry_->Find(name);
  return created;
}

absl::StatusOr<std::shared_ptr<Space>> SpaceShaper::Change(const std::string& name, const SpaceChange& change) {
  ENGRAM_RETURN_IF_ERROR(registry_->Find(name).status());
  if (change.ef_search && (*change.ef_search < 10 || *change.ef_search > 4096)) {
    return absl::InvalidArgumentError(fmt::format("ef_search {} is not in 10..4096", *change.ef_search));
  }
  MutexLock lock(mu_);
  ENGRAM_ASSIGN_OR_RETURN(const std::shared_ptr<Space> space, registry_->Find(name));
  Command command;
  command.type = RecordType::kSpaceChanged;
  command.space = space;
  command.config = space->Info().config;
  if (change.ef_search) command.config.ef_search = *change.ef_search;
  if (change.max_rate) command.config.max_rate = *change.max_rate;
  if (change.quota_observations) command.config.quota_observations = *change.quota_observations;
  if (change.quota_bytes) command.config.quota_bytes = *change.quota_bytes;
  ENGRAM_RETURN_IF_ERROR(log_->Execute(std::move(command)).status());
  return space;
}

absl::StatusOr<std::shared_ptr<Space>> SpaceShaper::Drop(const std::string& name) {
  MutexLock lock(mu_);
  Command command;
  command.type = RecordType::kSpaceDropped;
  ENGRAM_ASSIGN_OR_RETURN(command.space, registry_->Find(name));
  ENGRAM_ASSIGN_OR_RETURN(CommitLog::Executed executed, log_->Execute(std::move(command)));
  return std::move(executed.effect.space);
}

}  // namespace engram
