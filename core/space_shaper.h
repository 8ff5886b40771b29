// Makes, changes and drops spaces, by records of the log.
//
// Threads:  any. Ownership: registry, log and clock outlive it. Blocking: until the record is applied, one at a time.
// Errors:   said per method; and those of the log.
// Why:      one at a time, so that what is decided by the state of the spaces (names, limits, the settings a change
// leaves
//           alone) is still true when the record is applied.
#pragma once

#include <memory>
#include <string>

#include "core/commit_log.h"
#include "core/engine.h"

namespace engram {

class SpaceShaper {
 public:
  SpaceShaper(SpaceRegistry* registry, CommitLog* log, Clock* clock) : registry_(registry), log_(log), clock_(clock) {}

  // INVALID_ARGUMENT (name, config), RESOURCE_EXHAUSTED (limits.max_spaces), ALREADY_EXISTS (other parameters).
  absl::StatusOr<std::shared_ptr<Space>> Create(const std::string& name, const SpaceConfig& config,
                                                const Settings& settings) ABSL_LOCKS_EXCLUDED(mu_);
  // Creates it when unknown and spaces.auto_create is on.
  absl::StatusOr<std::shared_ptr<Space>> FindOrCreate(const std::string& name, const Settings& settings)
      ABSL_LOCKS_EXCLUDED(mu_);
  // NOT_FOUND, INVALID_ARGUMENT.
  absl::StatusOr<std::shared_ptr<Space>> Change(const std::string& name, const SpaceChange& change)
      ABSL_LOCKS_EXCLUDED(mu_);
  // NOT_FOUND. The space that was dropped; its users keep it until they are done.
  absl::StatusOr<std::shared_ptr<Space>> Drop(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Constant after construction.
  SpaceRegistry* const registry_;
  CommitLog* const log_;
  Clock* const clock_;

  // Orders the shaping of spaces; guards nothing else.
  Mutex mu_;
};

}  // namespace engram
