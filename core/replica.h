// What the log makes of the spaces: applies its records, the committed ones of now and those of earlier lives alike.
//
// Threads:  records of one space in the order of the log, from one thread at a time; those of several from several.
// Ownership: the registry outlives it. Blocking: a space's writer mutex.
// Errors:   std::bad_alloc from Apply, and then nothing of the record shows. DATA_LOSS: the record contradicts the log.
// Why:      one path for recovery, replicas and normal running, so they cannot come to differ.
#pragma once

#include <cstdint>
#include <memory>

#include "config/settings.h"
#include "core/base/status.h"
#include "core/journal/record.h"
#include "core/space_registry.h"

namespace engram {

class Replica {
 public:
  // `settings` stand where a space's own creation is lost.
  Replica(SpaceRegistry* registry, std::shared_ptr<const Settings> settings)
      : registry_(registry), settings_(std::move(settings)) {}

  struct Effect {
    // Null: the space had been dropped before, and nothing happened.
    std::shared_ptr<Space> space;
    // The size of its index afterwards, and how many observations a kTombstones record killed.
    Ordinal end = 0;
    uint64_t killed = 0;
  };
  // Everything but the record's marks: those are the acknowledgement of whoever waits for it. A record that was applied
  // before changes nothing.
  absl::StatusOr<Effect> Apply(const JournalRecord& record, uint64_t position);
  // The space that a creation makes, which is in the log at `position` and will be applied, or has been. Null when it
  // makes none, for there is or was another one.
  std::shared_ptr<Space> Expect(const JournalRecord& creation, uint64_t position);
  // Nobody waits: the marks are restored too. `journal` names the log in tokens. RESOURCE_EXHAUSTED: memory is out.
  absl::Status Replay(const JournalRecord& record, uint64_t position, uint64_t journal);

 private:
  absl::StatusOr<Effect> ApplyObservations(const JournalRecord& record, uint64_t position);
  SpaceConfig ConfigOf(const JournalRecord& record) const;
  Effect ApplyCreated(const JournalRecord& record, uint64_t position);
  // The record's space, made from what the record says of it when its creation is lost. Null when it was dropped.
  std::shared_ptr<Space> SpaceOf(const JournalRecord& record);

  SpaceRegistry* const registry_;
  const std::shared_ptr<const Settings> settings_;
};

// The daemon's settings where the config leaves a field open.
SpaceConfig ResolveConfig(const SpaceConfig& config, const Settings& settings);

}  // namespace engram
