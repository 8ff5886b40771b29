#include "config/reload.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/relations.h"
#include "config/setting_table.h"

namespace engram {

std::string SettingChange::Render() const {
  const auto shown = [](const std::string& value) { return value.empty() ? std::string("\"\"") : value; };
  return fmt::format("{}: {} -> {}", key, shown(before), shown(after));
}

ReloadPlan PlanReload(const Settings& in_force, const Settings& loaded) {
  ReloadPlan plan;
  plan.settings = in_force;
  if (in_force.profile != loaded.profile) {
    plan.applied.push_back({"profile", in_force.profile, loaded.profile});
    plan.settings.profile = loaded.profile;
  }
  for (const SettingRow& row : SettingTable()) {
    SettingChange change{std::string(row.path), row.format(in_force), row.format(loaded)};
    if (change.before == change.after) continue;
    if (row.apply == SettingApply::kLive) {
      row.copy(loaded, plan.settings);
      plan.applied.push_back(std::move(change));
    } else {
      plan.needs_restart.push_back(std::move(change));
    }
  }
  const auto waits = [&](std::string_view path) {
    return std::any_of(plan.needs_restart.begin(), plan.needs_restart.end(),
                       [&](const SettingChange& change) { return change.key == path; });
  };
  for (const BrokenRelation& broken : BrokenRelations(plan.settings)) {
    if (broken.only_warning) continue;
    const bool first_waits = waits(broken.first);
    const std::string_view live = first_waits ? broken.second : broken.first;
    const std::string_view old = first_waits ? broken.first : broken.second;
    plan.faults.push_back(
        {"reload", std::string(live),
         fmt::format("{} does not go with {} {}, which stays in force until a restart; allowed: {}",
                     FindSetting(live)->format(plan.settings), old, FindSetting(old)->format(plan.settings),
                     first_waits ? broken.second_allowed : broken.first_allowed)});
  }
  return plan;
}

}  // namespace engram
