#include "core/space_shaper.h"

#include <absl/cleanup/cleanup.h>
#include <fmt/format.h>

#include <algorithm>
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
  const SpaceConfig resolved = ResolveConfig(config, settings);
  ENGRAM_RETURN_IF_ERROR(CheckConfig(resolved, settings));
  ENGRAM_ASSIGN_OR_RETURN(Opened opened, Begin(name, resolved, settings));
  if (opened.creation != nullptr) {
    // Another creation of the name may stand before this one in the log.
    ENGRAM_ASSIGN_OR_RETURN(opened.space, Ended(name, *opened.creation));
  }
  if (SameWhereAsked(config, opened.space->Info().config)) return std::move(opened.space);
  return absl::AlreadyExistsError(fmt::format("space '{}' exists with other parameters", name));
}

absl::StatusOr<SpaceShaper::Opened> SpaceShaper::Begin(const std::string& name, const SpaceConfig& config,
                                                       const Settings& settings) {
  while (true) {
    std::shared_ptr<CommitLog::Execution> another;
    {
      MutexLock lock(mu_);
      if (auto there = registry_->Find(name); there.ok()) return Opened{*std::move(there), nullptr};
      if (const auto at = creating_.find(name); at != creating_.end()) {
        another = at->second;
      } else {
        ENGRAM_RETURN_IF_ERROR(CheckRoom(settings));
        ENGRAM_RETURN_IF_ERROR(watermarks_->Check().refusal);
        Command command;
        command.type = RecordType::kSpaceCreated;
        command.name = name;
        command.config = config;
        command.metric = config.metric;
        command.created_at_us = clock_->WallMicros();
        // What comes into the log is known here, also when memory runs out on the way: there are never two of a name.
        const auto created = creating_.emplace(name, nullptr).first;
        absl::Cleanup forget = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { creating_.erase(created); };
        ENGRAM_ASSIGN_OR_RETURN(created->second, log_->Begin(std::move(command)));
        std::move(forget).Cancel();
        return Opened{created->second->expected(), created->second};
      }
    }
    // Where it failed the next round makes one of its own.
    Ended(name, *another).IgnoreError();
  }
}

absl::StatusOr<std::shared_ptr<Space>> SpaceShaper::Ended(const std::string& name, CommitLog::Execution& creation) {
  auto executed = creation.Await();
  MutexLock lock(mu_);
  if (const auto at = creating_.find(name); at != creating_.end() && at->second.get() == &creation) {
    creating_.erase(at);
    if (creation.expected() != nullptr) registry_->ExpectNoMore(creation.expected()->id());
  }
  ENGRAM_RETURN_IF_ERROR(executed.status());
  return std::move(executed->effect.space);
}

absl::StatusOr<SpaceShaper::Opened> SpaceShaper::Open(const std::string& name, const Settings& settings) {
  ENGRAM_RETURN_IF_ERROR(CheckSpaceName(name));
  auto found = registry_->Find(name);
  if (found.ok()) return Opened{*std::move(found), nullptr};
  if (!settings.spaces_auto_create) return found.status();
  const SpaceConfig config = ResolveConfig(SpaceConfig{}, settings);
  ENGRAM_RETURN_IF_ERROR(CheckConfig(config, settings));
  ENGRAM_ASSIGN_OR_RETURN(Opened opened, Begin(name, config, settings));
  if (opened.space == nullptr) {
    ENGRAM_ASSIGN_OR_RETURN(opened.space, Ended(name, *opened.creation));
  }
  return opened;
}

absl::Status SpaceShaper::Finish(const Opened& opened) {
  return opened.creation == nullptr ? absl::OkStatus() : Ended(opened.space->name(), *opened.creation).status();
}

absl::StatusOr<std::shared_ptr<Space>> SpaceShaper::FindOrCreate(const std::string& name, const Settings& settings) {
  ENGRAM_ASSIGN_OR_RETURN(Opened opened, Open(name, settings));
  ENGRAM_RETURN_IF_ERROR(Finish(opened));
  return std::move(opened.space);
}

absl::Status SpaceShaper::CheckRoom(const Settings& settings) const {
  const uint64_t most = settings.limits_max_spaces;
  if (registry_->size() + creating_.size() < most) return absl::OkStatus();
  // One that is there already may still be among those being created, and one may come while they are counted.
  uint64_t there, spaces;
  do {
    there = registry_->size();
    spaces = there + static_cast<uint64_t>(std::count_if(creating_.begin(), creating_.end(), [&](const auto& one) {
               return !registry_->Find(one.first).ok();
             }));
  } while (registry_->size() != there);
  if (spaces < most) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format("there are {} spaces, limits.max_spaces is {}", spaces, most));
}

absl::StatusOr<std::shared_ptr<Space>> SpaceShaper::Change(const std::string& name, const SpaceChange& change) {
  ENGRAM_RETURN_IF_ERROR(registry_->Find(name).status());
  if (change.ef_search && (*change.ef_search < 10 || *change.ef_search > 4096)) {
    return absl::InvalidArgumentError(fmt::format("ef_search {} is not in 10..4096", *change.ef_search));
  }
  ENGRAM_RETURN_IF_ERROR(watermarks_->Check().refusal);
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
  // Whoever created it may not have looked yet.
  creating_.erase(name);
  return std::move(executed.effect.space);
}

}  // namespace engram
