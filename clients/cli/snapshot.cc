// engram snapshot and engram checkpoint: what the daemon puts on disk when it is told to.
#include <fmt/format.h>

#include <filesystem>

#include "clients/cli/json_output.h"
#include "clients/cli/session.h"

namespace engram {

ExitCode RunSnapshot(Session& session, const SnapshotOptions& options) {
  // The daemon has a working directory of its own.
  const std::string directory = std::filesystem::absolute(options.directory).lexically_normal().string();
  const absl::StatusOr<v1::SnapshotResponse> response = session.daemon().Snapshot(directory);
  if (!response.ok()) return session.Fail(response.status());
  session.Print(session.global().json ? ToJson(*response, directory) + "\n"
                                      : fmt::format("{} holds everything through {}: {} segments, {}\n",
                                                    Printable(directory), TokenText(response->token()),
                                                    Grouped(response->segments()), FormatBytes(response->bytes())));
  return kOk;
}

ExitCode RunCheckpoint(Session& session) {
  const absl::StatusOr<v1::CheckpointResponse> response = session.daemon().Checkpoint();
  if (!response.ok()) return session.Fail(response.status());
  session.Print(session.global().json ? ToJson(*response) + "\n"
                                      : fmt::format("the next start goes on from {}\n", TokenText(response->token())));
  return kOk;
}

}  // namespace engram
