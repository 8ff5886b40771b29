#include "core/base/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <fstream>

#include "core/base/effective_cpus.h"
#include "core/base/memory_limit.h"

namespace engram {
namespace {

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.compare(0, 10, "model name") == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

}  // namespace

Machine ThisMachine() {
  utsname system{};
  uname(&system);
  return {.name = system.nodename,
          .system = fmt::format("{} {} {}", system.sysname, system.release, system.machine),
          .cpu = ProcessorName(),
          .cores = static_cast<uint32_t>(EffectiveCpus()),
          .memory_bytes = MemoryLimit().value_or(0)};
}

}  // namespace engram
