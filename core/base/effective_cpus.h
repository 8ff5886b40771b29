// How many cores this process may really use: its affinity, and the processor quota of its control groups, whichever is
// less. A container with a quota of two on a machine of 64 has two.
//
// Threads: any. Blocks: reads a few files under /proc and /sys. Errors: none; what cannot be read sets no limit.
#pragma once

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <sstream>

#include "core/base/control_groups.h"

namespace engram {

// Cores that a quota of `quota` microseconds in every `period` allows, rounded up; none when there is no limit.
inline std::optional<int> CoresOfQuota(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return std::nullopt;
  const double cores = quota / period;
  if (cores >= std::numeric_limits<int>::max()) return std::nullopt;
  const int whole = static_cast<int>(cores);
  return std::max(1, whole + (cores > whole ? 1 : 0));
}

// The limit that one control group sets: `cpu.max` ("200000 100000" or "max 100000") or the quota files of version 1.
inline std::optional<int> CoresOfControlGroup(const std::filesystem::path& directory) {
  std::istringstream v2(FirstLine(directory / "cpu.max"));
  double quota = 0, period = 0;
  if (v2 >> quota >> period) return CoresOfQuota(quota, period);
  std::istringstream v1(FirstLine(directory / "cpu.cfs_quota_us") + " " + FirstLine(directory / "cpu.cfs_period_us"));
  // -1 is no quota, which CoresOfQuota takes for none.
  if (v1 >> quota >> period) return CoresOfQuota(quota, period);
  return std::nullopt;
}

// The least limit of the process's control groups and all above them. `root` is "/" but in tests.
inline std::optional<int> CoresOfControlGroups(const std::filesystem::path& root) {
  std::optional<int> least;
  VisitControlGroups(root, "cpu", [&](const std::filesystem::path& directory) {
    const std::optional<int> limit = CoresOfControlGroup(directory);
    if (limit && (!least || *limit < *least)) least = limit;
  });
  return least;
}

// At least 1.
inline int EffectiveCpus(const std::filesystem::path& root = "/") {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  int cores = 1;
  // On a machine of more than 1024 cores the call fails, and then no affinity is set that matters here.
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    cores = std::max(1, CPU_COUNT(&allowed));
  } else {
    cores = CPU_SETSIZE;
  }
  return std::min(cores, CoresOfControlGroups(root).value_or(cores));
}

}  // namespace engram
