#include "loadtest/measure/environment.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <span>

#include "core/base/crc32c.h"
#include "core/base/effective_cpus.h"
#include "loadtest/measure/commit.h"

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

// Tells two builds apart whose versions are equal.
std::string Checksum(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return "";
  std::string block(1 << 20, '\0');
  uint32_t sum = 0;
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    const auto got = static_cast<size_t>(in.gcount());
    sum = Crc32c(sum, std::as_bytes(std::span(block.data(), got)));
  }
  return fmt::format("{:08x}", sum);
}

}  // namespace

void PutEnvironment(const std::filesystem::path& daemon, BenchDocument& document) {
  utsname system{};
  uname(&system);
  document.Put("environment.machine", std::string(system.nodename));
  document.Put("environment.system", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  document.Put("environment.cpu", ProcessorName());
  document.Put("environment.cores", EffectiveCpus());
  document.Put("environment.memory_bytes", static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                               static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE)));
  document.Put("environment.commit", kCommit);
  std::string build = ENGRAM_BUILD_FLAGS;
  build.erase(build.find_last_not_of(' ') + 1);
  document.Put("environment.build", build);
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  document.Put("environment.measured_at", std::string(text));
  if (!daemon.empty()) {
    document.Put("environment.daemon", daemon.string());
    document.Put("environment.daemon_crc32c", Checksum(daemon));
  }
}

}  // namespace engram
