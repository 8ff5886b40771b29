// What `make demo` shows: the real sample streamed into a real daemon, recalled, and checked.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/status.h"

namespace engram {

struct DemoOptions {
  std::filesystem::path daemon;
  std::filesystem::path sample;
  // Show all ten hits of each query instead of three.
  bool all = false;
  bool json = false;
};

// True when recall@10 reached its bar and every acknowledged observation came back. An error when something broke
// before that could be said. Main thread only (it starts the daemon).
absl::StatusOr<bool> RunDemo(const DemoOptions& options);

}  // namespace engram
