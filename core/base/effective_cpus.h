// How many cores this process may really use: its affinity, and the processor quota of its control groups, whichever is
// less. A container with a quota of two on a machine of 64 has two.
//
// Threads: any. Blocks: reads a few files under /proc and /sys. Errors: none; what cannot be read sets no limit.
#pragma once

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

namespace engram {

// Cores that a quota of `quota` microseconds in every `period` allows, rounded up; none when there is no limit.
inline std::optional<int> CoresOfQuota(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return std::nullopt;
  const double cores = quota / period;
  if (cores >= std::numeric_limits<int>::max()) return std::nullopt;
  const int whole = static_cast<int>(cores);
  return std::max(1, whole + (cores > whole ? 1 : 0));
}

// The first line of a file; empty when it cannot be read.
inline std::string FirstLine(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
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
  const auto lower = [&](std::optional<int> limit) {
    if (limit && (!least || *limit < *least)) least = limit;
  };
  // From the group up to where the hierarchy is mounted. In a container the group's own path is often not there, and
  // the mount is the container's group.
  const auto walk = [&](const std::filesystem::path& mount, std::filesystem::path group) {
    for (group = group.relative_path(); !group.empty() && group.has_filename(); group = group.parent_path()) {
      lower(CoresOfControlGroup(mount / group));
    }
    lower(CoresOfControlGroup(mount));
  };
  std::ifstream groups(root / "proc/self/cgroup");
  const std::filesystem::path mounts = root / "sys/fs/cgroup";
  // Lines are "hierarchy:controllers:path".
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      walk(mounts, group);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      walk(mounts / controllers, group);
      walk(mounts / "cpu", group);
    }
  }
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
