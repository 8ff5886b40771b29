// The spaces by name.
//
// Threads: any. Blocking: a mutex, held for a lookup or a map change. Ownership: shares the spaces with their users.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/space.h"

namespace engram {

class SpaceRegistry {
 public:
  SpaceRegistry(size_t lanes, Clock* clock, Metrics* metrics) : lanes_(lanes), clock_(clock), metrics_(metrics) {}

  // NOT_FOUND.
  absl::StatusOr<std::shared_ptr<Space>> Find(const std::string& name) const ABSL_LOCKS_EXCLUDED(mu_);
  // INVALID_ARGUMENT (name, config), RESOURCE_EXHAUSTED (limits.max_spaces), ALREADY_EXISTS (other parameters).
  absl::StatusOr<std::shared_ptr<Space>> Create(const std::string& name, const SpaceConfig& config,
                                                const Settings& settings) ABSL_LOCKS_EXCLUDED(mu_);
  // Creates it when unknown and spaces.auto_create is on.
  absl::StatusOr<std::shared_ptr<Space>> FindOrCreate(const std::string& name, const Settings& settings)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Takes it out; its users keep it until they are done.
  absl::StatusOr<std::shared_ptr<Space>> Remove(const std::string& name) ABSL_LOCKS_EXCLUDED(mu_);
  // In the order of names, those after `after`, beginning with `prefix`.
  std::vector<std::shared_ptr<Space>> List(const std::string& prefix, const std::string& after, size_t limit) const
      ABSL_LOCKS_EXCLUDED(mu_);
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Constant after construction.
  const size_t lanes_;
  Clock* const clock_;
  Metrics* const metrics_;

  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<Space>> spaces_ ABSL_GUARDED_BY(mu_);
};

// The lane of a space: jump consistent hashing (Lamping and Veach, 2014), so one lane more moves only its share of spaces.
size_t LaneOf(std::string_view space, size_t lanes);

}  // namespace engram
