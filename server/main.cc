// engramd: reads its configuration, runs the daemon, and stops when told to.
//
// The main thread does nothing but wait for signals. SIGTERM and SIGINT stop it gracefully, within
// server.drain_timeout; a second one ends it at once with 128 + its number. SIGHUP reads the configuration again.
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/loader.h"
#include "config/print.h"
#include "config/reference.h"
#include "core/base/thread_name.h"
#include "server/daemon.h"
#include "server/log.h"

namespace engram {
namespace {

// Of sysexits.h, as --help says.
constexpr int kExitUsage = 64;
constexpr int kExitUnavailable = 69;
constexpr int kExitInternal = 70;
constexpr int kExitIoError = 74;
// The drain's bound passed before everything accepted was finished.
constexpr int kExitLeftovers = 1;

// Tells the main thread that the drain is over; never sent by anybody else.
constexpr int kDrained = SIGUSR2;
// Calls that were cancelled at the bound get this long to notice.
constexpr Duration kCancelGrace = std::chrono::seconds(1);

constexpr const char* kFooter = R"(Examples:
  engramd                              the defaults: gRPC on 127.0.0.1:50051, metrics on 127.0.0.1:9464
  engramd --profile low_latency
  engramd --config engram.yaml --set queue.capacity=50000 --set log.level=debug
  engramd --set server.address=unix:/run/engram.sock,[::1]:50051
  engramd --config engram.yaml --check-config
  ENGRAM_NUM_WORKERS=2 engramd --print-config    each value with where it comes from

Signals: SIGTERM and SIGINT end a start at once; later they finish what was accepted, within server.drain_timeout, and exit; a second one exits at once.
  SIGHUP reads the configuration again and logs what is in force now and what needs a restart.
Exit codes: 0 stopped, everything accepted was finished; 1 stopped, server.drain_timeout passed first;
  64 wrong usage; 69 an address cannot be listened on; 70 internal error; 74 the data directory cannot be used (another
  daemon has it, a newer version made it, it cannot be read) or the journal cannot be written or synced;
  78 bad configuration;
  128 + signal, ended by a second signal, or before the start was over.)";

struct Arguments {
  LoadRequest load;
  bool print_config = false;
  bool check_config = false;
  bool print_config_reference = false;
  bool print_metrics_reference = false;
  std::string output = "text";
};

// The exit code when the process is to end at once.
std::optional<int> ParseArguments(int argc, char** argv, Arguments& arguments) {
  CLI::App app("The Engram daemon: stream observations in, recall them out.", "engramd");
  std::string file, profile;
  app.add_option("--config", file, "YAML file of settings")->type_name("FILE");
  app.add_option("--profile", profile, "Settings to start from: balanced, low_latency, ...")->type_name("NAME");
  app.add_option("--set", arguments.load.assignments, "One setting, above file and environment; repeatable")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1);
  app.add_flag("--print-config", arguments.print_config, "Print the settings and where each comes from, and exit");
  app.add_option("--output", arguments.output, "Of --print-config: text (YAML) or json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--check-config", arguments.check_config, "Check the configuration and exit: 0 or 78");
  app.add_flag("--print-config-reference", arguments.print_config_reference, "Print docs/configuration.md and exit");
  app.add_flag("--print-metrics-reference", arguments.print_metrics_reference, "Print docs/metrics.md and exit");
  app.set_version_flag("--version", fmt::format("engramd {}", Version()));
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (app.count("--config") > 0) arguments.load.file = file;
  if (app.count("--profile") > 0) arguments.load.profile = profile;
  arguments.load.environment = ProcessEnvironment();
  return std::nullopt;
}

std::optional<int> Print(const Arguments& arguments, const LoadResult& loaded) {
  if (arguments.print_config) {
    const std::string text = arguments.output == "json" ? RenderJson(loaded.settings, loaded.origins)
                                                        : RenderYaml(loaded.settings, loaded.origins);
    std::fputs(text.c_str(), stdout);
    if (!text.ends_with('\n')) std::fputc('\n', stdout);
    return 0;
  }
  if (arguments.check_config) {
    std::puts("configuration is valid");
    return 0;
  }
  return std::nullopt;
}

// gRPC 1.51 stops accepting for good when it runs out of descriptors.
void RaiseDescriptorLimit() {
  constexpr rlim_t kWanted = 65536;
  constexpr rlim_t kTooFew = 8192;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWanted) return;
  rlimit raised{.rlim_cur = kWanted, .rlim_max = std::max(limit.rlim_max, kWanted)};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return;
  raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) != 0 || raised.rlim_cur < kTooFew) {
    LogWarning(fmt::format("at most {} file descriptors may be open, {} are better: raise `ulimit -n`", raised.rlim_cur,
                           kWanted));
  }
}

// Frames of a stream are of the size that malloc would otherwise give back to the kernel after each one, to have it zeroed
// for the next.
void KeepFreedMemory() {
  constexpr int kMiB = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 * kMiB);
  mallopt(M_TRIM_THRESHOLD, 256 * kMiB);
  mallopt(M_TOP_PAD, 16 * kMiB);
}

sigset_t SignalsOfInterest() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, kDrained}) sigaddset(&set, signal);
  return set;
}

int Await(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

// As Await, -1 when `bound` passes first.
int Await(const sigset_t& signals, Duration bound) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(bound);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(bound - seconds).count()};
  return sigtimedwait(&signals, nullptr, &time);
}

void Reload(Daemon& daemon) {
  const auto outcome = daemon.Reload();
  if (!outcome.ok()) {
    LogError(
        fmt::format("configuration not reloaded, nothing has changed:\n{}", std::string(outcome.status().message())));
    return;
  }
  for (const std::string& change : outcome->applied) LogInfo(fmt::format("in force: {}", change));
  for (const std::string& change : outcome->needs_restart) LogWarning(fmt::format("needs a restart: {}", change));
  LogInfo(fmt::format("configuration reloaded: {} settings changed, {} need a restart", outcome->applied.size(),
                      outcome->needs_restart.size()));
}

// Ends the process where it stands: what is still running must not run into destructors.
[[noreturn]] void ExitAtOnce(int code) {
  std::fflush(nullptr);
  _exit(code);
}

int StopGracefully(std::unique_ptr<Daemon> daemon, const sigset_t& signals, int first) {
  const Duration bound = daemon->engine().settings()->server_drain_timeout;
  LogInfo(fmt::format("{}: finishing what was accepted, for at most {} ms", strsignal(first), bound.count() / 1000));
  Daemon::Leftovers left;
  // Release/acquire: whoever sees it sees `left`.
  std::atomic<bool> stopped{false};
  std::jthread stopper([&, main = pthread_self()] {
    NameThread("drainer");
    left = daemon->Stop(bound);
    stopped.store(true, std::memory_order_release);
    // The HTTP server behind /metrics looks up only every two seconds; that is not worth waiting for beyond the bound.
    if (!left.any()) daemon.reset();
    pthread_kill(main, kDrained);
  });
  const MonotonicTime deadline = RealClock().Now() + bound + kCancelGrace;
  for (;;) {
    const Duration rest = std::chrono::duration_cast<Duration>(deadline - RealClock().Now());
    const int signal = Await(signals, std::max(rest, Duration(0)));
    if (signal == kDrained) {
      stopper.join();
      break;
    }
    if (signal == SIGTERM || signal == SIGINT) {
      LogWarning(fmt::format("{} again: exiting at once", strsignal(signal)));
      ExitAtOnce(128 + signal);
    }
    if (RealClock().Now() < deadline) continue;
    if (stopped.load(std::memory_order_acquire)) break;
    LogError("server.drain_timeout has passed and calls under way do not end: exiting");
    ExitAtOnce(kExitLeftovers);
  }
  if (left.any()) {
    LogError(fmt::format("server.drain_timeout has passed: {} observations, {} streams and {} calls were not finished{}",
                         left.observations, left.streams, left.calls, left.drained ? "" : ", nor what the journal waits for"));
    ExitAtOnce(kExitLeftovers);
  }
  LogInfo("stopped: everything accepted was finished");
  if (stopper.joinable()) ExitAtOnce(0);
  return 0;
}

int Run(int argc, char** argv) {
  Arguments arguments;
  if (const auto code = ParseArguments(argc, argv, arguments)) return *code;
  if (arguments.print_config_reference) return std::fputs(RenderReference().c_str(), stdout) < 0 ? kExitInternal : 0;
  if (arguments.print_metrics_reference) return std::fputs(MetricsReference().c_str(), stdout) < 0 ? kExitInternal : 0;

  const LoadResult loaded = LoadConfig(arguments.load);
  if (!loaded.ok()) {
    std::fputs(RenderFaults(loaded.faults).c_str(), stderr);
    return kConfigFaultExitCode;
  }
  if (const auto code = Print(arguments, loaded)) {
    std::fputs(RenderFaults(loaded.warnings).c_str(), stderr);
    return *code;
  }
  StartLog(loaded.settings.log_level, loaded.settings.log_format);
  CatchGrpcLog();
  for (const Fault& warning : loaded.warnings) LogWarning(warning.Render());
  RaiseDescriptorLimit();

  // Before there are other threads: they inherit the mask, so that only this one is told.
  const sigset_t signals = SignalsOfInterest();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  absl::StatusOr<std::unique_ptr<Daemon>> started = absl::UnknownError("not started");
  {
    // Recovery may take long and has nothing that must be finished, so a start can be ended at any time.
    std::jthread watcher([&] {
      NameThread("start watcher");
      for (int signal = Await(signals); signal != kDrained; signal = Await(signals)) {
        if (signal == SIGHUP) continue;
        LogInfo(fmt::format("{}: exiting before the start is over", strsignal(signal)));
        ExitAtOnce(128 + signal);
      }
    });
    started = Daemon::Start({.settings = loaded.settings,
                             .load = [&] { return LoadConfig(arguments.load); },
                             .build = ThisBuild()});
    pthread_kill(watcher.native_handle(), kDrained);
  }
  if (!started.ok()) {
    LogError(std::string(started.status().message()));
    return started.status().code() == absl::StatusCode::kUnavailable ? kExitUnavailable : kExitIoError;
  }
  std::unique_ptr<Daemon> daemon = *std::move(started);
  LogInfo(fmt::format("engramd {} runs, profile {}", Version(), loaded.settings.profile));
  std::printf("engramd ready grpc=%s metrics=%s\n", fmt::format("{}", fmt::join(daemon->addresses(), ",")).c_str(),
              daemon->metrics_address().c_str());
  std::fflush(stdout);

  for (;;) {
    const int signal = Await(signals);
    if (signal == SIGHUP) {
      Reload(*daemon);
    } else if (signal != kDrained) {
      return StopGracefully(std::move(daemon), signals, signal);
    }
  }
}

}  // namespace
}  // namespace engram

int main(int argc, char** argv) {
  // Debian's abseil looks for lock-order cycles in gRPC by default, at three times the price of a lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  engram::KeepFreedMemory();
  try {
    return engram::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engramd: internal error: %s\n", error.what());
    return engram::kExitInternal;
  }
}
