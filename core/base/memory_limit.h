// How much memory this process may use, and how much it does.
//
// Threads: any. Blocks: reads a few files under /proc and /sys; ReturnFreeMemory holds up allocations meanwhile.
// Errors: none; what cannot be read is none. Why not the control group's own count (memory.current): it includes the
//         page cache of the files the process wrote. A daemon that writes a log would soon seem full, though the
//         kernel takes those pages back whenever it wants to. What it cannot take back is anonymous and shared
//         memory, in RAM or swapped out, and that is what is counted here.
#pragma once

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "core/base/control_groups.h"

namespace engram {

// The number that `text` begins with, after blanks; none when there is none.
inline std::optional<uint64_t> LeadingNumber(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  uint64_t value = 0;
  const std::from_chars_result parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc()) return std::nullopt;
  return value;
}

// What the "key:  123 kB" lines of a file say of these keys, summed, in bytes; none when it has none of them.
inline std::optional<uint64_t> SumOfKilobytes(const std::filesystem::path& path,
                                              std::initializer_list<std::string_view> keys) {
  std::optional<uint64_t> sum;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view key = std::string_view(line).substr(0, colon);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
    if (const auto kilobytes = LeadingNumber(std::string_view(line).substr(colon + 1))) {
      sum = sum.value_or(0) + *kilobytes * 1024;
    }
  }
  return sum;
}

// The limit that one control group sets: `memory.max` (a number or "max") or version 1's `memory.limit_in_bytes`, which
// says "none" by a number larger than any machine. A limit of 0 is none: no process lives under it.
inline std::optional<uint64_t> MemoryOfControlGroup(const std::filesystem::path& directory) {
  for (const char* name : {"memory.max", "memory.limit_in_bytes"}) {
    const std::optional<uint64_t> limit = LeadingNumber(FirstLine(directory / name));
    if (limit && *limit > 0 && *limit < uint64_t{1} << 60) return limit;
  }
  return std::nullopt;
}

// The machine's memory or the least limit of the process's control groups and all above them, whichever is less; none
// when neither can be read. `root` is "/" but in tests.
inline std::optional<uint64_t> MemoryLimit(const std::filesystem::path& root = "/") {
  std::optional<uint64_t> least = SumOfKilobytes(root / "proc/meminfo", {"MemTotal"});
  VisitControlGroups(root, "memory", [&](const std::filesystem::path& directory) {
    const std::optional<uint64_t> limit = MemoryOfControlGroup(directory);
    if (limit && (!least || *limit < *least)) least = limit;
  });
  return least;
}

// Memory of this process that the kernel cannot take back.
inline std::optional<uint64_t> MemoryInUse(const std::filesystem::path& root = "/") {
  if (const auto bytes = SumOfKilobytes(root / "proc/self/status", {"RssAnon", "RssShmem", "VmSwap"});
      bytes && *bytes > 0) {
    return bytes;
  }
  // Kernels without those lines, and sandboxes that leave them out. Pages: size, resident, of which in files.
  std::istringstream statm(FirstLine(root / "proc/self/statm"));
  uint64_t size = 0, resident = 0, in_files = 0;
  if (!(statm >> size >> resident >> in_files) || resident < in_files) return std::nullopt;
  return (resident - in_files) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Gives what the allocator holds and nobody uses back to the kernel. May take a good part of a second.
inline void ReturnFreeMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace engram
