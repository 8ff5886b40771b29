#include "loadtest/measure/environment.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <span>

#include "core/base/build.h"
#include "core/base/crc32c.h"
#include "core/base/machine.h"

namespace engram {
namespace {

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

void PutText(const std::string& path, const std::string& text, BenchDocument& document) {
  document.Put(path, text.empty() ? std::string(kUnknown) : text);
}

void PutNumber(const std::string& path, uint64_t number, BenchDocument& document) {
  document.Put(path, number == 0 ? Json(nullptr) : Json(number));
}

void PutMachine(const std::string& of, const Machine& machine, BenchDocument& document) {
  PutText(of + ".machine", machine.name, document);
  PutText(of + ".system", machine.system, document);
  PutText(of + ".cpu", machine.cpu, document);
  PutNumber(of + ".cores", machine.cores, document);
  PutNumber(of + ".memory_bytes", machine.memory_bytes, document);
}

void PutBuild(const std::string& of, const std::string& commit, const std::string& flags, BenchDocument& document) {
  PutText(of + ".commit", commit, document);
  PutText(of + ".build", flags, document);
}

Machine MachineOf(const v1::MachineStatus& status) {
  return {.name = status.name(),
          .system = status.system(),
          .cpu = status.cpu(),
          .cores = status.cores(),
          .memory_bytes = status.memory_bytes()};
}

}  // namespace

bool OnThisMachine(const v1::GetStatusResponse& status) { return status.machine().name() == ThisMachine().name; }

void PutEnvironment(const v1::GetStatusResponse& status, const std::filesystem::path& started,
                    BenchDocument& document) {
  const Machine here = ThisMachine();
  const Build build = ThisBuild();
  PutMachine("environment.client", here, document);
  PutBuild("environment.client", build.commit, build.flags, document);
  // A daemon of before it could say so was, if it was started here, here.
  const bool told = status.has_machine() || started.empty();
  PutMachine("environment.daemon", told ? MachineOf(status.machine()) : here, document);
  PutBuild("environment.daemon", status.build().commit(), status.build().flags(), document);
  PutText("environment.daemon.version", status.version(), document);
  if (!started.empty()) {
    document.Put("environment.daemon.program", started.string());
    document.Put("environment.daemon.crc32c", Checksum(started));
  }
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  document.Put("environment.measured_at", std::string(text));
}

void PutDaemonConfig(const v1::GetStatusResponse& status, BenchDocument& document) {
  document.Put("config.profile", status.profile());
  document.Put("config.durability", status.durability() == v1::DURABILITY_FSYNC      ? "fsync"
                                    : status.durability() == v1::DURABILITY_INTERVAL ? "interval"
                                                                                     : "memory");
  document.Put("config.workers", status.lanes_size());
}

}  // namespace engram
