// What every command is given: the global options, the way to the daemon, and where to print.
#pragma once

#include <absl/status/status.h>

#include <memory>
#include <string>
#include <vector>

#include "clients/cli/connection.h"
#include "clients/cli/exit_codes.h"
#include "clients/cli/options.h"
#include "clients/cli/render.h"

namespace engram {

// Used by the command's thread, except where a method says otherwise.
class Session {
 public:
  // `daemon` may be null for the commands that work without one.
  Session(const GlobalOptions& global, std::unique_ptr<Connection> daemon);

  const GlobalOptions& global() const { return global_; }
  // REQUIRES: there is one.
  Connection& daemon() { return *daemon_; }
  const Terminal& out() const { return out_; }
  const Terminal& err() const { return err_; }

  // To standard output, at once. False when it did not arrive: commands that never end by themselves end then, with 0, and
  // `main` tells a reader that went away from a failure.
  bool Print(const std::string& text) const;
  // One line to standard error, made printable, with "engram: " before it. Any thread.
  void Warn(const std::string& text) const;
  // Warns of an error and returns its exit code.
  ExitCode Fail(const absl::Status& status) const;
  // The same, after looking what the daemon has: names near an unknown space; both dimensions where
  // `dimension` (0: none was sent) is not the space's.
  ExitCode FailIn(const std::string& space, const absl::Status& status, uint64_t dimension = 0);

  // Warns of an input that cannot be opened (NOT_FOUND) or understood.
  ExitCode FailInput(const absl::Status& status) const;

  // Asks on the terminal; false without one.
  bool Confirm(const std::string& question) const;

 private:
  const GlobalOptions global_;
  const std::unique_ptr<Connection> daemon_;
  const Terminal out_;
  const Terminal err_;
};

// Whether standard output is a pipe that nobody reads any more. Any thread.
bool ReaderGone();

// Everything a file has until its end; "-" is standard input. NOT_FOUND: cannot be opened.
absl::StatusOr<std::string> ReadWhole(const std::string& path);

// Each command, in the file of its name.
ExitCode RunObserve(Session& session, const ObserveOptions& options);
ExitCode RunRecall(Session& session, const RecallOptions& options);
ExitCode RunGet(Session& session, const GetOptions& options);
ExitCode RunForget(Session& session, const ForgetOptions& options);
ExitCode RunSpaces(Session& session, const SpacesOptions& options);
ExitCode RunStatus(Session& session, const StatusOptions& options);
ExitCode RunTrace(Session& session, const TraceOptions& options);
// Without a daemon.
ExitCode RunVerify(Session& session, const VerifyOptions& options);
ExitCode RunDump(Session& session, const DumpOptions& options);
ExitCode RunRestore(Session& session, const RestoreOptions& options);
// With connections of their own. Call them before any other thread was started.
ExitCode RunBenchCommand(Session& session, const BenchOptions& options);
ExitCode RunTuneCommand(Session& session, const TuneOptions& options);
ExitCode RunSnapshot(Session& session, const SnapshotOptions& options);
ExitCode RunCheckpoint(Session& session);
ExitCode RunFault(Session& session, const FaultOptions& options);
// With a daemon of its own, unless told otherwise. On the main thread, and before any other was started.
ExitCode RunLoad(Session& session, const LoadOptions& options);
// One recall with --follow, until it is interrupted; goes on by itself when the daemon comes back.
ExitCode FollowRecall(Session& session, const RecallOptions& options, const v1::RecallRequest& recall,
                      uint64_t dimension);
// The script of one shell.
std::string CompletionScript(const std::string& shell);

}  // namespace engram
