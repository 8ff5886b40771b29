// engram-demo: one command that shows the whole of Engram working.
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "loadtest/demo.h"
#include "loadtest/spawn.h"

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);

  engram::DemoOptions options;
  std::string daemon, sample = ENGRAM_SAMPLE_DIRECTORY, output = "table";
  CLI::App app(
      "Starts engramd, streams a real sample in, recalls it and checks it. Exit code 0 only if recall@10 is at "
      "least 0.95 and every acknowledged observation came back.",
      "engram-demo");
  app.add_option("--engramd", daemon, "The daemon to start (default: the one built beside this program)");
  app.add_option("--sample", sample, "Directory of the sample");
  app.add_flag("--all", options.all, "Show all ten hits of each query");
  app.add_option("--output", output, "table or json")->check(CLI::IsMember({"table", "json"}));
  CLI11_PARSE(app, argc, argv);
  options.sample = sample;
  options.json = output == "json";

  engram::CleanUpOnInterrupt();
  const auto run = [&]() -> absl::StatusOr<bool> {
    ENGRAM_ASSIGN_OR_RETURN(options.daemon, engram::FindDaemon(daemon));
    return engram::RunDemo(options);
  };
  const absl::StatusOr<bool> passed = run();
  if (!passed.ok()) {
    fmt::print(stderr, "engram-demo: {}\n", passed.status().ToString());
    return 1;
  }
  return *passed ? 0 : 1;
}
