// engram load: runs a scenario and says whether everything it asks for holds.
#include "loadtest/load_command.h"

#include "clients/cli/connection.h"
#include "clients/cli/session.h"

namespace engram {

ExitCode RunLoad(Session& session, const LoadOptions& options) {
  LoadCommand command{.scenario = options.scenario,
                      .brief = options.brief,
                      .json = session.global().json,
                      .engramd = options.engramd,
                      .storage = options.storage,
                      .settings = options.set,
                      .seed = options.seed,
                      .warn = [&session](const std::string& what) { session.Warn(what); }};
  if (options.running) {
    absl::StatusOr<std::string> target = TargetOf(session.global().address);
    if (!target.ok()) return session.Fail(target.status());
    command.address = *std::move(target);
  }
  const absl::StatusOr<bool> passed = RunLoadCommand(command);
  if (!passed.ok()) return absl::IsNotFound(passed.status()) ? session.FailInput(passed.status()) : session.Fail(passed.status());
  return *passed ? kOk : kPartial;
}

}  // namespace engram
