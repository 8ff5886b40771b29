// Every setting as a row that code can walk: what the loader, the printers and the reference are driven by.
//
// Threads:  the table is made once and never changes; any thread may read it. Ownership: static.
// Errors:   a row's parse returns InvalidArgument: what is wrong with the text, then "; allowed: ...".
// Why:      derived from settings.def, so that a setting cannot be known to one of them and not to another.
#pragma once

#include <absl/status/status.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace engram {

enum class SettingType { kCount, kRatio, kBytes, kMicros, kMillis, kFlag, kText, kChoice, kAddress, kAddresses };
// kLive: a reload puts it in force. kRestart: only a new start does.
enum class SettingApply { kLive, kRestart };

struct SettingRow {
  std::string_view path;
  SettingType type;
  SettingApply apply;
  std::string_view help;
  // What the value is, for the reference: "whole number", "size", "duration" ...
  std::string_view unit;
  // "1 to 16", "debug, info, warning or error".
  std::string range_text;
  std::string default_text;
  // "ENGRAM_QUEUE_CAPACITY".
  std::string environment;

  // Checks `text` and puts it into `settings`, which is unchanged on failure.
  absl::Status (*parse)(std::string_view text, Settings& settings);
  // The value as `parse` takes it.
  std::string (*format)(const Settings& settings);
  void (*copy)(const Settings& from, Settings& to);
};

// In the order of settings.def.
std::span<const SettingRow> SettingTable();

// Null when there is none of that path.
const SettingRow* FindSetting(std::string_view path);

// Whether settings' paths start with `path` and a dot: "queue", "limits.per_space_quotas".
bool IsSettingGroup(std::string_view path);

// "ENGRAM_" and the path in upper case, with '_' for '.'.
std::string EnvironmentName(std::string_view path);

}  // namespace engram
