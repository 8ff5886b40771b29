// What a reload changes: which settings go into force at once and which wait for a restart.
//
// Threads: a pure function. Ownership: values.
// Errors:  ReloadPlan::faults, when what would be in force contradicts itself; then nothing is to be applied.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/fault.h"
#include "config/settings.h"

namespace engram {

struct SettingChange {
  std::string key;
  std::string before;
  std::string after;

  // "queue.capacity: 10000 -> 20000".
  std::string Render() const;

  friend bool operator==(const SettingChange&, const SettingChange&) = default;
};

struct ReloadPlan {
  // In the order of settings.def; `profile` first.
  std::vector<SettingChange> applied;
  std::vector<SettingChange> needs_restart;
  // What to put in force: `in_force` with the applied changes.
  Settings settings;
  // A new live value against an old one that only a restart changes.
  std::vector<Fault> faults;
};

// `loaded` must come from a LoadResult without faults.
ReloadPlan PlanReload(const Settings& in_force, const Settings& loaded);

}  // namespace engram
