// The machine this process runs on, as a report of a measurement names it.
//
// Threads: any. Blocks: reads a few files under /proc and /sys. Errors: none; what cannot be read is empty, or 0.
#pragma once

#include <cstdint>
#include <string>

namespace engram {

struct Machine {
  std::string name;
  std::string system;  // Kernel, its release, the architecture.
  std::string cpu;
  // As core/base/effective_cpus.h and core/base/memory_limit.h count them.
  uint32_t cores = 0;
  uint64_t memory_bytes = 0;
};

Machine ThisMachine();

}  // namespace engram
