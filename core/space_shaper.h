// Makes, changes and drops spaces, by records of the log.
//
// Threads:  any. Ownership: registry, log, watermarks and clock outlive it. Blocking: Open and Begin as the journal does, or
//           for another creation of the name; the rest until the record is applied, changes and drops one at a time.
// Errors:   said per method; and those of the log. RESOURCE_EXHAUSTED from what creates and from Change while disk or memory
//           is full; Drop makes room and is always let in.
// Why:      one at a time, so that what is decided by the state of the spaces (names, the settings a change leaves alone)
//           is still true when the record is applied. Creations decide nothing about each other but how many there may
//           be, so those of several names are on their way together, and what is observed need not wait for one either:
//           it stands behind it in the log.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/commit_log.h"
#include "core/engine.h"
#include "core/resource_watermarks.h"

namespace engram {

class SpaceShaper {
 public:
  SpaceShaper(SpaceRegistry* registry, CommitLog* log, ResourceWatermarks* watermarks, Clock* clock)
      : registry_(registry), log_(log), watermarks_(watermarks), clock_(clock) {}

  // INVALID_ARGUMENT (name, config), RESOURCE_EXHAUSTED (limits.max_spaces), ALREADY_EXISTS (other parameters).
  absl::StatusOr<std::shared_ptr<Space>> Create(const std::string& name, const SpaceConfig& config,
                                                const Settings& settings) ABSL_LOCKS_EXCLUDED(mu_);
  // Creates it when unknown and spaces.auto_create is on.
  absl::StatusOr<std::shared_ptr<Space>> FindOrCreate(const std::string& name, const Settings& settings)
      ABSL_LOCKS_EXCLUDED(mu_);

  // A space, and its creation if that may still be on its way. Nobody else finds the space before that is applied.
  struct Opened {
    std::shared_ptr<Space> space;
    std::shared_ptr<CommitLog::Execution> creation;
  };
  // As FindOrCreate, but does not wait for the creation. Every Opened must be finished.
  absl::StatusOr<Opened> Open(const std::string& name, const Settings& settings) ABSL_LOCKS_EXCLUDED(mu_);
  // Waits for the creation. Any number of times.
  absl::Status Finish(const Opened& opened) ABSL_LOCKS_EXCLUDED(mu_);
  // NOT_FOUND, INVALID_ARGUMENT.
  absl::StatusOr<std::shared_ptr<Space>> Change(const std::string& name, const SpaceChange& change)
      ABSL_LOCKS_EXCLUDED(mu_);
  // NOT_FOUND. The space that was dropped; its users keep it until they are done.
  absl::StatusOr<std::shared_ptr<Space>> Drop(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // The space of that name, or its creation with a config in force, which is to be finished.
  absl::StatusOr<Opened> Begin(const std::string& name, const SpaceConfig& config, const Settings& settings)
      ABSL_LOCKS_EXCLUDED(mu_);
  // What the creation came to.
  absl::StatusOr<std::shared_ptr<Space>> Ended(const std::string& name, CommitLog::Execution& creation)
      ABSL_LOCKS_EXCLUDED(mu_);
  // RESOURCE_EXHAUSTED: no room for one more beside those there are and those being created.
  absl::Status CheckRoom(const Settings& settings) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  SpaceRegistry* const registry_;
  CommitLog* const log_;
  ResourceWatermarks* const watermarks_;
  Clock* const clock_;

  // Orders the shaping of spaces.
  Mutex mu_;
  // By name, those that may still be on their way: never two of a name.
  std::map<std::string, std::shared_ptr<CommitLog::Execution>> creating_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
