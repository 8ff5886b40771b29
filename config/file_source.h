// What a configuration file, or an embedded profile, assigns: its text checked setting by setting.
//
// Threads: pure functions. Blocks: ReadConfigFile, on the file system.
// Errors:  every fault of the file, in the order of its lines.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/fault.h"
#include "config/setting_table.h"

namespace engram {

// A file above this is refused; no configuration comes near it.
inline constexpr size_t kMaxConfigFileBytes = 1 << 20;

// Far more than there are settings; what has more is no configuration, and the rest of its faults is only counted.
inline constexpr size_t kMaxFaultsOfFile = 200;

// A value that its setting accepts.
struct Assignment {
  const SettingRow* row = nullptr;
  std::string text;
  std::string where;
};

struct FileSource {
  std::vector<Assignment> assignments;
  // `profile:`, when it names one, and where it stood.
  std::optional<std::string> profile;
  std::string profile_where;
  std::vector<Fault> faults;
  // Settings that the file names with a value that was refused.
  std::vector<std::string_view> refused;
  // The YAML broke off, so settings may be missing.
  bool incomplete = false;
};

// `name` is what faults call the file. Of text that is not UTF-8, holds a NUL or is too long nothing is read.
FileSource ReadSettings(std::string_view name, std::string_view text);

// The file's text; an empty one with a fault when it cannot be read.
std::string ReadConfigFile(const std::string& path, std::vector<Fault>& faults);

}  // namespace engram
