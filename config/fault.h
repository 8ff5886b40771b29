// One thing wrong with the configuration, and where: the same shape whether it came from a file, the environment or a
// flag.
//
// Threads: a value. Errors: none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {

struct Fault {
  // "engram.yaml:3:5", "environment ENGRAM_NUM_WORKERS", "--set", "profile low_latency" or "default".
  std::string where;
  // The setting's path, or the unknown key as it was written; empty when the fault is the whole file's.
  std::string key;
  // What is wrong, what is allowed, and what may have been meant.
  std::string message;

  // "where: key: message", one line without a newline.
  std::string Render() const;

  friend bool operator==(const Fault&, const Fault&) = default;
};

// One line each, every line ended by a newline.
std::string RenderFaults(const std::vector<Fault>& faults);

// `text` in double quotes on one line: control characters and bytes that are not UTF-8 escaped, long text cut short.
std::string Quoted(std::string_view text);

// `text` likewise made fit for one line, without quotes: for file names and keys.
std::string Printable(std::string_view text);

// Whether `text` is UTF-8 without NUL, surrogates or overlong forms; when it is not, `*at` is the first bad byte.
bool IsUtf8(std::string_view text, size_t* at = nullptr);

}  // namespace engram
