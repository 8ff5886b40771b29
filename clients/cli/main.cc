// engram: the command line of Engram. Parses, connects, runs one command, exits with a code of exit_codes.h.
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

#include "clients/cli/session.h"
#include "loadtest/measure/machine_limits.h"
#include "loadtest/sink.h"

namespace engram {
namespace {

int Run(int argc, char** argv) {
  std::variant<CommandLine, Printout> parsed = ParseCommandLine(argc, argv);
  if (const Printout* printout = std::get_if<Printout>(&parsed)) {
    std::fputs(printout->text.c_str(), printout->exit_code == kOk ? stdout : stderr);
    return printout->exit_code;
  }
  const CommandLine& line = std::get<CommandLine>(parsed);
  if (const CompletionOptions* completion = std::get_if<CompletionOptions>(&line.command)) {
    std::fputs(CompletionScript(completion->shell).c_str(), stdout);
    return kOk;
  }
  Session offline(line.global, nullptr);
  if (const auto* verify = std::get_if<VerifyOptions>(&line.command)) return RunVerify(offline, *verify);
  if (const auto* dump = std::get_if<DumpOptions>(&line.command)) return RunDump(offline, *dump);
  if (const auto* restore = std::get_if<RestoreOptions>(&line.command)) return RunRestore(offline, *restore);
  if (const auto* bench = std::get_if<BenchOptions>(&line.command)) return RunBenchCommand(offline, *bench);
  if (const auto* tune = std::get_if<TuneOptions>(&line.command)) return RunTuneCommand(offline, *tune);
  if (const auto* load = std::get_if<LoadOptions>(&line.command)) return RunLoad(offline, *load);
  absl::StatusOr<std::unique_ptr<Connection>> daemon = Connection::To(line.global.address, line.global.timeout_us);
  if (!daemon.ok()) {
    std::fputs(fmt::format("engram: {}\n", std::string(daemon.status().message())).c_str(), stderr);
    return kUsage;
  }
  Session session(line.global, *std::move(daemon));
  if (const auto* observe = std::get_if<ObserveOptions>(&line.command)) return RunObserve(session, *observe);
  if (const auto* recall = std::get_if<RecallOptions>(&line.command)) return RunRecall(session, *recall);
  if (const auto* get = std::get_if<GetOptions>(&line.command)) return RunGet(session, *get);
  if (const auto* forget = std::get_if<ForgetOptions>(&line.command)) return RunForget(session, *forget);
  if (const auto* spaces = std::get_if<SpacesOptions>(&line.command)) return RunSpaces(session, *spaces);
  if (const auto* snapshot = std::get_if<SnapshotOptions>(&line.command)) return RunSnapshot(session, *snapshot);
  if (const auto* trace = std::get_if<TraceOptions>(&line.command)) return RunTrace(session, *trace);
  if (const auto* fault = std::get_if<FaultOptions>(&line.command)) return RunFault(session, *fault);
  if (std::holds_alternative<CheckpointOptions>(line.command)) return RunCheckpoint(session);
  return RunStatus(session, std::get<StatusOptions>(line.command));
}

// Whether everything printed has arrived. A reader that went away, as `head` does, wanted no more: that is no failure.
bool OutputArrived() {
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0) return true;
  // The stream remembers that a write failed but not why; a pipe without a reader still shows.
  return ReaderGone();
}

}  // namespace
}  // namespace engram

int main(int argc, char** argv) {
  // Debian's gRPC takes its locks in orders that the library's own detector, on by default there, reports as deadlocks.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // `engram ... | head` closes the pipe early: the stream still has to be ended properly.
  std::signal(SIGPIPE, SIG_IGN);
  // What `engram bench` starts to measure a bare gRPC server with.
  if (argc == 2 && std::string_view(argv[1]) == engram::kSinkArgument) return engram::RunSink();
  const int code = engram::Run(argc, argv);
  if (engram::OutputArrived()) return code;
  std::fputs("engram: cannot write to standard output: what was printed is not whole\n", stderr);
  // An earlier error says more than that its report was lost.
  return code > engram::kPartial ? code : engram::kInputOutput;
}
