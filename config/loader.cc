#include "config/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "config/file_source.h"
#include "config/profiles.h"
#include "config/relations.h"
#include "config/setting_table.h"
#include "config/suggest.h"
#include "core/base/effective_cpus.h"

extern char** environ;

namespace engram {
namespace {

constexpr std::string_view kPrefix = "ENGRAM_";
constexpr std::string_view kFileVariable = "ENGRAM_CONFIG";
constexpr std::string_view kProfileVariable = "ENGRAM_PROFILE";
// Not the daemon's: where the command line finds it, and what the tests draw from. Often exported beside it.
constexpr std::string_view kClientVariable = "ENGRAM_ADDRESS";
constexpr std::string_view kTestVariable = "ENGRAM_SEED";

// A variable that is set and not empty; an empty one names no file and no profile.
std::optional<std::string> Variable(const LoadRequest& request, std::string_view name) {
  const auto found = request.environment.find(std::string(name));
  if (found == request.environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

std::string Suggestion(std::string_view path, std::span<const std::string_view> paths) {
  std::string meant = DidYouMean(path, paths);
  return meant.empty() ? "; engramd --print-config names them all" : meant;
}

class Loader {
 public:
  explicit Loader(const LoadRequest& request) : request_(request) {
    for (const SettingRow& row : SettingTable()) result_.origins[std::string(row.path)] = "default";
  }

  LoadResult Load(const FileSource& file) {
    AddFaults(file.faults);
    ApplyProfile(file);
    for (const Assignment& assignment : file.assignments) Apply(assignment);
    suspect_.insert(file.refused.begin(), file.refused.end());
    ApplyEnvironment();
    ApplyFlags();
    // With part of the file unread, a setting may be missing that would have kept the relation.
    if (!file.incomplete) CheckRelations();
    CheckCores();
    return std::move(result_);
  }

 private:
  void AddFaults(const std::vector<Fault>& faults) {
    result_.faults.insert(result_.faults.end(), faults.begin(), faults.end());
  }

  void Apply(const Assignment& assignment) {
    // Checked where it was read.
    if (!assignment.row->parse(assignment.text, result_.settings).ok()) return;
    result_.origins[std::string(assignment.row->path)] = assignment.where;
    suspect_.erase(assignment.row->path);
  }

  void ApplyProfile(const FileSource& file) {
    std::string name(kDefaultProfile);
    std::string where = "default";
    if (request_.profile) {
      name = *request_.profile;
      where = "--profile";
    } else if (const std::optional<std::string> variable = Variable(request_, kProfileVariable)) {
      name = *variable;
      where = fmt::format("environment {}", kProfileVariable);
    } else if (file.profile) {
      name = *file.profile;
      where = file.profile_where;
    }
    const Profile* profile = FindProfile(name);
    if (profile == nullptr) {
      result_.faults.push_back({where, "profile", UnknownProfile(name)});
      profile = FindProfile(kDefaultProfile);
      where = "default";
    }
    result_.settings.profile = profile->name;
    result_.origins["profile"] = where;
    const FileSource source = ReadSettings(fmt::format("profile {}", profile->name), profile->yaml);
    AddFaults(source.faults);
    for (Assignment assignment : source.assignments) {
      assignment.where = fmt::format("profile {}", profile->name);
      Apply(assignment);
    }
  }

  void ApplyEnvironment() {
    std::unordered_map<std::string_view, const SettingRow*> rows;
    std::vector<std::string_view> names{kFileVariable, kProfileVariable};
    for (const SettingRow& row : SettingTable()) {
      rows.emplace(row.environment, &row);
      names.push_back(row.environment);
    }
    for (const auto& [name, text] : request_.environment) {
      if (!name.starts_with(kPrefix) || name == kFileVariable || name == kProfileVariable) continue;
      if (name == kClientVariable || name == kTestVariable) continue;
      const std::string where = fmt::format("environment {}", Printable(name));
      const auto row = rows.find(name);
      if (row != rows.end()) {
        ParseAndApply(*row->second, text, where);
      } else {
        // Never a fault: Kubernetes sets ENGRAM_PORT and its like for a service named engram.
        result_.warnings.push_back({where, "", "names no setting and is ignored" + DidYouMean(name, names)});
      }
    }
  }

  void ApplyFlags() {
    std::vector<std::string_view> paths;
    for (const SettingRow& row : SettingTable()) paths.push_back(row.path);
    for (const std::string& flag : request_.assignments) {
      const size_t equals = flag.find('=');
      if (equals == std::string::npos || equals == 0) {
        result_.faults.push_back({"--set", "", fmt::format("{} is not KEY=VALUE", Quoted(flag))});
        continue;
      }
      const std::string_view path = std::string_view(flag).substr(0, equals);
      if (const SettingRow* row = FindSetting(path)) {
        ParseAndApply(*row, std::string_view(flag).substr(equals + 1), "--set");
      } else if (path == "profile") {
        result_.faults.push_back({"--set", "profile", "is not set like this; allowed: --profile NAME"});
      } else {
        result_.faults.push_back({"--set", Printable(path), "no such setting" + Suggestion(path, paths)});
      }
    }
  }

  void ParseAndApply(const SettingRow& row, std::string_view text, const std::string& where) {
    if (const absl::Status status = row.parse(text, result_.settings); !status.ok()) {
      result_.faults.push_back({where, std::string(row.path), std::string(MessageOf(status))});
      suspect_.insert(row.path);
      return;
    }
    result_.origins[std::string(row.path)] = where;
    suspect_.erase(row.path);
  }

  // How strongly a setting was asked for: the one that was is where a broken relation is reported.
  int Strength(std::string_view path) const {
    const std::string& origin = result_.origins.at(std::string(path));
    if (origin == "default") return 0;
    if (origin == fmt::format("profile {}", result_.settings.profile)) return 1;
    if (origin == "--set") return 4;
    return origin.starts_with("environment ") ? 3 : 2;
  }

  void CheckRelations() {
    for (const BrokenRelation& broken : BrokenRelations(result_.settings)) {
      if (suspect_.contains(broken.first) || suspect_.contains(broken.second)) continue;
      const bool at_first = Strength(broken.first) >= Strength(broken.second);
      const std::string_view at = at_first ? broken.first : broken.second;
      const std::string_view other = at_first ? broken.second : broken.first;
      Fault fault{
          result_.origins.at(std::string(at)), std::string(at),
          fmt::format("{} does not go with {} {} ({}); allowed: {}", Value(at), other, Value(other),
                      result_.origins.at(std::string(other)), at_first ? broken.first_allowed : broken.second_allowed)};
      (broken.only_warning ? result_.warnings : result_.faults).push_back(std::move(fault));
    }
  }

  std::string Value(std::string_view path) const { return FindSetting(path)->format(result_.settings); }

  void CheckCores() {
    const int cores = request_.cores > 0 ? request_.cores : EffectiveCpus();
    if (result_.settings.num_workers <= static_cast<uint64_t>(cores)) return;
    result_.warnings.push_back({result_.origins.at("num_workers"), "num_workers",
                                fmt::format("{} is above the {} core{} this process may use; workers will take turns",
                                            result_.settings.num_workers, cores, cores == 1 ? "" : "s")});
  }

  const LoadRequest& request_;
  LoadResult result_;
  // Settings whose value was refused somewhere: nothing further is said about what they would have been.
  std::set<std::string_view> suspect_;
};

}  // namespace

LoadResult LoadConfig(const LoadRequest& request) {
  const std::optional<std::string> path = request.file ? request.file : Variable(request, kFileVariable);
  if (!path) return Loader(request).Load({});
  std::vector<Fault> unreadable;
  const std::string text = ReadConfigFile(*path, unreadable);
  if (unreadable.empty()) return Loader(request).Load(ReadSettings(*path, text));
  FileSource nothing;
  nothing.faults = std::move(unreadable);
  nothing.incomplete = true;
  return Loader(request).Load(nothing);
}

LoadResult LoadConfigText(std::string_view name, std::string_view text, const LoadRequest& request) {
  return Loader(request).Load(ReadSettings(name, text));
}

std::map<std::string, std::string> ProcessEnvironment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

}  // namespace engram
