#include "loadtest/load_command.h"

#include <fmt/format.h>

#include "loadtest/load_origin.h"
#include "loadtest/load_run.h"
#include "loadtest/measure/bench_store.h"
#include "loadtest/measure/daemon_settings.h"
#include "loadtest/report.h"
#include "loadtest/scenario.h"
#include "loadtest/spawn.h"

namespace engram {

absl::StatusOr<bool> RunLoadCommand(const LoadCommand& command) {
  ENGRAM_ASSIGN_OR_RETURN(const Scenario scenario, ReadScenario(command.scenario, command.brief));
  LoadRunOptions options{.address = command.address, .settings = command.settings, .seed = command.seed,
                         .warn = command.warn};
  // A short form is over before segments of the usual size are written ahead; a setting of the caller's is stronger.
  if (command.brief) options.settings.insert(options.settings.begin(), "storage.segment_bytes=16MiB");
  LoadOrigin origin{.seed = command.seed, .brief = command.brief};
  CleanUpOnInterrupt();
  if (command.address.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(options.daemon, FindDaemon(command.engramd));
    ENGRAM_ASSIGN_OR_RETURN(options.storage, StorageDirectory(command.storage));
    origin.program = options.daemon;
    origin.storage = options.storage;
    origin.settings = scenario.daemon.set;
    origin.settings.insert(origin.settings.end(), options.settings.begin(), options.settings.end());
    ENGRAM_ASSIGN_OR_RETURN(origin.in_force,
                            SettingsInForce(options.daemon, scenario.daemon.profile, origin.settings));
  }
  Report report(command.json);
  report.Heading(fmt::format("{}: {}", scenario.name, scenario.about));
  ENGRAM_ASSIGN_OR_RETURN(const LoadOutcome outcome, RunScenario(scenario, options, report));
  ReportOrigin(origin, outcome.daemon, report);
  ReportOutcome(scenario, outcome, report);
  report.Finish();
  return report.AllPassed();
}

}  // namespace engram
