#include "core/replica.h"

#include <fmt/format.h>

#include <new>
#include <string>
#include <utility>

namespace engram {

SpaceConfig ResolveConfig(const SpaceConfig& config, const Settings& settings) {
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
  if (!resolved.flat_threshold && settings.index_flat_threshold != 0) {
    resolved.flat_threshold = settings.index_flat_threshold;
  }
  return resolved;
}

SpaceConfig Replica::ConfigOf(const JournalRecord& record) const {
  if (record.config == nullptr) {
    SpaceConfig config;
    config.metric = record.metric;
    return ResolveConfig(config, *settings_);
  }
  // In force as it stands: a rate or quota of 0 is no gap but no limit, and no threshold the machine's own, whatever the
  // daemon's settings are by now.
  SpaceConfig config = ResolveConfig(*record.config, *settings_);
  config.flat_threshold = record.config->flat_threshold;
  config.max_rate = record.config->max_rate;
  config.quota_observations = record.config->quota_observations;
  config.quota_bytes = record.config->quota_bytes;
  return config;
}

std::shared_ptr<Space> Replica::Expect(const JournalRecord& creation, uint64_t position) {
  return registry_->Expect(std::string(creation.space), position, ConfigOf(creation), creation.created_at_us);
}

absl::StatusOr<Replica::Effect> Replica::Apply(const JournalRecord& record, uint64_t position) {
  Effect effect;
  switch (record.type) {
    case RecordType::kObservations:
      return ApplyObservations(record, position);
    case RecordType::kTombstones:
      effect.space = SpaceOf(record);
      if (effect.space != nullptr) effect.killed = effect.space->ApplyTombstones(record.tombstones, position);
      return effect;
    case RecordType::kSpaceCreated:
      return ApplyCreated(record, position);
    case RecordType::kSpaceChanged:
      effect.space = SpaceOf(record);
      if (effect.space != nullptr) effect.space->ApplyChange(ConfigOf(record), position);
      return effect;
    case RecordType::kSpaceDropped:
      effect.space = registry_->Remove(record.space_id);
      if (effect.space != nullptr) effect.space->Drop();
      return effect;
  }
  return absl::DataLossError(
      fmt::format("record {} has the unknown type {}", position, static_cast<unsigned>(record.type)));
}

absl::StatusOr<Replica::Effect> Replica::ApplyObservations(const JournalRecord& record, uint64_t position) {
  Effect effect;
  effect.space = SpaceOf(record);
  if (effect.space == nullptr) return effect;
  for (const ObservationView& observation : record.observations) {
    const absl::Status fits = effect.space->FixDimension(observation.embedding.dimension);
    if (!fits.ok()) return absl::DataLossError(fmt::format("record {}: {}", position, std::string(fits.message())));
  }
  // First: a checkpoint that has the record has its marks.
  effect.space->NoteMarks(record.marks, position);
  effect.end = effect.space->Apply(record.observations, position, record.places);
  effect.space->arrivals().Ring();
  return effect;
}

Replica::Effect Replica::ApplyCreated(const JournalRecord& record, uint64_t position) {
  Effect effect;
  const uint64_t id = record.space_id == 0 ? position : record.space_id;
  if (registry_->Removed(id)) return effect;
  const std::string name(record.space);
  // Of several creations of a name the first one counts.
  if (const auto there = registry_->Find(name); there.ok()) {
    effect.space = *there;
    return effect;
  }
  effect.space = registry_->Add(name, id, ConfigOf(record), record.created_at_us);
  return effect;
}

std::shared_ptr<Space> Replica::SpaceOf(const JournalRecord& record) {
  if (std::shared_ptr<Space> space = registry_->FindById(record.space_id)) return space;
  if (registry_->Removed(record.space_id)) return nullptr;
  const std::string name(record.space);
  if (const auto there = registry_->Find(name); there.ok()) {
    // An older space of that name: dropped, or this one would not be.
    if ((*there)->id() > record.space_id) return nullptr;
    // The record that dropped it is lost.
    registry_->Remove((*there)->id());
    (*there)->Drop();
  }
  return registry_->Add(name, record.space_id, ConfigOf(record), record.created_at_us);
}

absl::Status Replica::Replay(const JournalRecord& record, uint64_t position, uint64_t journal) {
  try {
    ENGRAM_ASSIGN_OR_RETURN(const Effect effect, Apply(record, position));
    if (effect.space != nullptr) effect.space->RestoreStreams(record.marks, {journal, position}, effect.end);
    return absl::OkStatus();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        fmt::format("memory is out at record {} of space '{}'", position, record.space));
  }
}

}  // namespace engram
