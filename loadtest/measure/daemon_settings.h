// The settings a daemon would start with: asked of the program itself, which is told to print and not to serve.
//
// Threads: any. Blocks: until the program has ended. Errors: INVALID_ARGUMENT with what it said of a wrong profile or
//          setting.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "loadtest/measure/bench_document.h"

namespace engram {

// Nested as in its configuration file.
absl::StatusOr<Json> SettingsInForce(const std::filesystem::path& program, const std::string& profile,
                                     const std::vector<std::string>& settings);
// `key` with dots, written as after --set: counts and bytes as numbers, durations without "ms". Empty: not there.
std::string SettingText(const Json& in_force, const std::string& key);

}  // namespace engram
