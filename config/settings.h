// The settings in force: one plain struct, generated from settings.def.
//
// Threads: a value; the engine hands out immutable shared copies. Errors: none here; config/loader.h makes and checks
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace engram {

struct Settings {
  using Count = uint64_t;
  using Ratio = double;
  using Bytes = uint64_t;
  using Micros = std::chrono::microseconds;
  using Millis = std::chrono::milliseconds;
  using Flag = bool;
  using Text = std::string;
  using Choice = std::string;
  using Address = std::string;
  using Addresses = std::string;

#define SETTING(member, path, type, value, least, most, apply, help) type member{value};
#include "config/settings.def"
#undef SETTING

  // The profile the values started from.
  std::string profile = "balanced";

  friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace engram
