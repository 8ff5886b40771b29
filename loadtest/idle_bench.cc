// What a daemon costs that nobody talks to.
#include <fmt/format.h>

#include "loadtest/bench.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr double kCpuBar = 2, kResidentBar = 60;  // Percent of a core; megabytes of 10^6 bytes.

}  // namespace

absl::Status MeasureIdle(const BenchContext& context, uint32_t seconds, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "balanced"}));
  Child& child = daemon->child();

  // Starting up is not idling, and neither is writing spare segments ahead.
  SleepUntilNanos(NowNanos() + kNanosPerSecond);
  const int64_t began = NowNanos();
  const double cpu_before = child.CpuSeconds();
  SleepUntilNanos(began + int64_t{seconds} * kNanosPerSecond);
  const double percent = (child.CpuSeconds() - cpu_before) / Seconds(NowNanos() - began) * 100;
  const double resident = static_cast<double>(child.ResidentBytes()) / 1e6;

  report.Heading(fmt::format("Idle, balanced, {} s", seconds));
  report.Line(fmt::format("  {:.2f} % of a core, {:.1f} MB resident", percent, resident));
  report.Put("idle", {{"seconds", seconds}, {"cpu_percent", percent}, {"resident_mb", resident}});
  report.AddBar({"idle processor share", percent, kCpuBar, false, "%"});
  report.AddBar({"idle resident memory", resident, kResidentBar, false, "MB"});
  return daemon->Stop();
}

}  // namespace engram
