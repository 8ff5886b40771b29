#include "core/metrics/process_gauges.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>

namespace engram {
namespace {

std::string ReadProcFile(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Field `number` of /proc/self/stat as proc(5) counts them, from 3 on: the second, a name, may hold anything.
std::optional<uint64_t> StatField(std::string_view stat, int number) {
  size_t at = stat.rfind(')');
  if (at == std::string_view::npos) return std::nullopt;
  for (int field = 2; field < number; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string_view::npos) return std::nullopt;
  }
  uint64_t value = 0;
  const std::from_chars_result parsed = std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), value);
  if (parsed.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> BootTime() {
  const std::string stat = ReadProcFile("/proc/stat");
  constexpr std::string_view kKey = "\nbtime ";
  const size_t at = stat.find(kKey);
  if (at == std::string::npos) return std::nullopt;
  uint64_t seconds = 0;
  const char* first = stat.data() + at + kKey.size();
  if (std::from_chars(first, stat.data() + stat.size(), seconds).ec != std::errc()) return std::nullopt;
  return static_cast<double>(seconds);
}

std::optional<size_t> OpenFds() {
  std::error_code error;
  size_t entries = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end; it.increment(error)) {
    ++entries;
  }
  if (error || entries == 0) return std::nullopt;
  return entries - 1;  // The directory itself was open meanwhile.
}

}  // namespace

GaugeSource ProcessGauges() {
  // The start time is fixed once: a clock set later must not move it.
  std::optional<double> start;
  const std::optional<double> boot = BootTime();
  const std::optional<uint64_t> ticks = StatField(ReadProcFile("/proc/self/stat"), 22);
  if (boot && ticks) start = *boot + static_cast<double>(*ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));

  return [start](const GaugeSink& sink) {
    const auto tell = [&](MetricId id, double value) { sink(id, {}, 0, value); };
    timespec cpu{};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
      tell(MetricId::kProcessCpu, static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9);
    }
    const std::string stat = ReadProcFile("/proc/self/stat");
    if (const auto pages = StatField(stat, 24)) {
      tell(MetricId::kProcessResident, static_cast<double>(*pages) * static_cast<double>(sysconf(_SC_PAGESIZE)));
    }
    if (const auto bytes = StatField(stat, 23)) tell(MetricId::kProcessVirtual, static_cast<double>(*bytes));
    if (const auto threads = StatField(stat, 20)) tell(MetricId::kProcessThreads, static_cast<double>(*threads));
    if (const auto fds = OpenFds()) tell(MetricId::kProcessFds, static_cast<double>(*fds));
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) tell(MetricId::kProcessMaxFds, static_cast<double>(limit.rlim_cur));
    if (start) tell(MetricId::kProcessStart, *start);
  };
}

}  // namespace engram
