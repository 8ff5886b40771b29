// The settings in force, written out: as YAML that loads back to the same settings, and as JSON.
//
// Threads: pure functions. Errors: none.
#pragma once

#include <map>
#include <string>

#include "config/settings.h"

namespace engram {

// Every setting, in the order of settings.def, with its origin as a comment where `origins` has one.
std::string RenderYaml(const Settings& settings, const std::map<std::string, std::string>& origins);

// {"profile": ..., "settings": {nested}, "origins": {"queue.capacity": "default", ...}}. Counts, ratios and flags are
// JSON's own, sizes are numbers of bytes, durations are text with a unit.
std::string RenderJson(const Settings& settings, const std::map<std::string, std::string>& origins);

}  // namespace engram
