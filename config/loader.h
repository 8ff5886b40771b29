// Makes the settings in force from everything that may name one. This is the front door of the configuration.
//
// Precedence, strongest first: --set, environment, file, profile, default. The profile is named by --profile, else
// ENGRAM_PROFILE, else `profile:` in the file, else it is `balanced`. The file is named by --config, else
// ENGRAM_CONFIG.
//
// Threads: any; a pure function of the request and the file. Ownership: values. Blocks: reading the file.
// Errors:  every fault found in one run, in LoadResult::faults; the settings are to be used only when there is none.
// Why:     somebody who mends a file wants all of its faults at once, and each at its line.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/fault.h"
#include "config/settings.h"

namespace engram {

// What a daemon exits with when its configuration has faults (EX_CONFIG of sysexits).
inline constexpr int kConfigFaultExitCode = 78;

struct LoadRequest {
  // --config FILE.
  std::optional<std::string> file;
  // --profile NAME.
  std::optional<std::string> profile;
  // Each --set KEY=VALUE, in order; of two for one key the later wins.
  std::vector<std::string> assignments;
  // The environment; only names that start with ENGRAM_ are looked at. See ProcessEnvironment().
  std::map<std::string, std::string> environment;
  // Cores to warn against when num_workers is above them; 0 asks the machine.
  int cores = 0;
};

struct LoadResult {
  Settings settings;
  // By path (and "profile"): "default", "profile balanced", "FILE:3:5", "environment ENGRAM_X", "--set" or "--profile".
  std::map<std::string, std::string> origins;
  std::vector<Fault> faults;
  std::vector<Fault> warnings;

  bool ok() const { return faults.empty(); }
};

LoadResult LoadConfig(const LoadRequest& request);

// As LoadConfig with `text` for what the file holds and `name` for what it is called; reads no file.
LoadResult LoadConfigText(std::string_view name, std::string_view text, const LoadRequest& request);

// The environment of this process, as LoadRequest takes it: the variables that start with ENGRAM_.
std::map<std::string, std::string> ProcessEnvironment();

}  // namespace engram
