// The control groups of this process: which directories hold the limits of one controller.
//
// Threads: any. Blocks: reads /proc/self/cgroup; whoever is called with a directory reads its files. Errors: none;
//          what cannot be read names no directory.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

namespace engram {

// The first line of a file; empty when it cannot be read.
inline std::string FirstLine(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// Calls `visit` with the directory of the process's group and of all above it, in version 2 and in version 1's
// hierarchy of `controller`. Some of them may not be there, others may come twice. `root` is "/" but in tests.
inline void VisitControlGroups(const std::filesystem::path& root, std::string_view controller,
                               const std::function<void(const std::filesystem::path& directory)>& visit) {
  // From the group up to where the hierarchy is mounted. In a container the group's own path is often not there, and
  // the mount is the container's group.
  const auto walk = [&](const std::filesystem::path& mount, std::filesystem::path group) {
    for (group = group.relative_path(); !group.empty() && group.has_filename(); group = group.parent_path()) {
      visit(mount / group);
    }
    visit(mount);
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
    } else if (("," + controllers + ",").find("," + std::string(controller) + ",") != std::string::npos) {
      walk(mounts / controllers, group);
      if (controllers != controller) walk(mounts / controller, group);
    }
  }
}

}  // namespace engram
