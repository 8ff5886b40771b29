// engram-loadtest: measures engramd on this machine against the bars of the product.
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string_view>

#include "loadtest/bench.h"
#include "loadtest/durable_bench.h"
#include "loadtest/recall_bench.h"
#include "loadtest/sink.h"
#include "loadtest/spawn.h"

namespace {

constexpr int kBroken = 1, kMissed = 3;

struct Options {
  std::string daemon;
  std::string output = "table";
  std::string storage;
  std::vector<std::string> only;
  std::vector<std::string> durable_parts;
  bool strict = false;
  bool knobs = false;
  bool profiles = false;
  uint32_t knob_seconds = 5;
  uint32_t idle_seconds = 10;
  uint64_t observations_128 = 200'000;
  uint64_t observations_768 = 60'000;
  engram::IngestPlan ingest;
  engram::LatencyPlan latency;
  engram::TracePlan trace;
  engram::DurablePlan durable;
  engram::RunbookPlan runbook;
  engram::RecallPlan recall;
  engram::LoadPlan load;
  engram::MemoryPlan memory;
  engram::BenchContext context;
};

absl::Status Measure(Options options, engram::Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(options.context.daemon, engram::FindDaemon(options.daemon));
  options.context.self = std::filesystem::read_symlink("/proc/self/exe");
  // Beside the build: the temporary directory of many machines is kept in memory.
  options.context.storage = options.context.self.parent_path();
  if (!options.storage.empty()) options.context.storage = options.storage;
  if (options.knobs || options.profiles) {
    return engram::SweepKnobs(options.context, options.knob_seconds, !options.knobs, report);
  }
  if (!options.runbook.file.empty()) return engram::RunRunbook(options.context, options.runbook, report);
  const auto wanted = [&](std::string_view part) {
    return options.only.empty() || std::find(options.only.begin(), options.only.end(), part) != options.only.end();
  };
  if (wanted("ingest")) {
    for (const auto& [dimension, observations] :
         {std::pair(128u, options.observations_128), std::pair(768u, options.observations_768)}) {
      if (observations == 0) continue;
      options.ingest.dimension = dimension;
      options.ingest.observations = observations;
      ENGRAM_RETURN_IF_ERROR(engram::MeasureIngest(options.context, options.ingest, report));
    }
  }
  if (wanted("latency")) ENGRAM_RETURN_IF_ERROR(engram::MeasureLatency(options.context, options.latency, report));
  if (wanted("idle")) ENGRAM_RETURN_IF_ERROR(engram::MeasureIdle(options.context, options.idle_seconds, report));
  if (wanted("trace")) {
    options.trace.batch_size = options.ingest.batch_size;
    ENGRAM_RETURN_IF_ERROR(engram::MeasureTrace(options.context, options.trace, report));
  }
  if (wanted("durable")) {
    options.durable.batch_size = options.ingest.batch_size;
    ENGRAM_RETURN_IF_ERROR(engram::MeasureDurable(options.context, options.durable, options.durable_parts, report));
  }
  if (wanted("recall")) ENGRAM_RETURN_IF_ERROR(engram::MeasureRecall(options.context, options.recall, report));
  if (wanted("load")) ENGRAM_RETURN_IF_ERROR(engram::MeasureLoad(options.context, options.load, report));
  if (wanted("memory")) ENGRAM_RETURN_IF_ERROR(engram::MeasureMemory(options.context, options.memory, report));
  return absl::OkStatus();
}

void AddRunbookOptions(CLI::App& app, engram::RunbookPlan& plan) {
  app.add_option("--runbook", plan.file, "Instead: this runbook of the big-ann streaming track (YAML)")
      ->check(CLI::ExistingFile);
  app.add_option("--runbook-dataset", plan.dataset, "Which of its datasets, where it has several");
  app.add_option("--runbook-data", plan.data, "Its vectors, .fbin, .u8bin or .i8bin (default: seeded clusters)")
      ->check(CLI::ExistingFile);
  app.add_option("--runbook-cue-file", plan.cues, "What its searches ask for, beside --runbook-data")
      ->check(CLI::ExistingFile);
  app.add_option("--runbook-dimension", plan.dimension, "Of the seeded clusters")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--runbook-cues", plan.cue_count, "Recalls of each search")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--runbook-floor", plan.floor, "Bar of the mean recall@10 over its searches")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
}

void AddRecallOptions(CLI::App& app, Options& options) {
  constexpr uint64_t kMost = 100'000'000;
  app.add_option("--sample-dir", options.recall.sample, "Real embeddings of the recall part; empty leaves them out")
      ->capture_default_str();
  app.add_option("--recall-points", options.recall.points, "Observations of each seeded set of the recall part")
      ->check(CLI::Range(uint64_t{100}, kMost))
      ->capture_default_str();
  app.add_option("--recall-dimensions", options.recall.dimensions, "Of its seeded sets")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--recall-cues", options.recall.cues, "Recalls of each look")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--recall-observations", options.recall.observations,
                 "Observations that are each asked for by their own vector at the next call")
      ->check(CLI::Range(uint64_t{1}, kMost))
      ->capture_default_str();
  app.add_option("--load-points", options.load.points, "Observations at 768-d of the load part")
      ->check(CLI::Range(uint64_t{100}, kMost))
      ->capture_default_str();
  app.add_option("--load-seconds", options.load.seconds, "Of each load beside the recalls")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--load-recall-rate", options.load.recalls_per_second, "Recalls offered a second in the load part")
      ->check(CLI::Range(1.0, 1e5))
      ->capture_default_str();
  app.add_option("--load-ingest-seconds", options.load.ingest_seconds,
                 "Of a stream as fast as it is taken; its second half says what ingest takes at most")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  app.add_option("--tail-points", options.load.tails, "Lengths of unlinked tails (the long form: 200000,1000000)")
      ->delimiter(',')
      ->check(CLI::Range(uint64_t{100}, kMost))
      ->capture_default_str();
  app.add_option("--sustain-seconds", options.load.sustain_seconds, "Of the sustained stream; 0 leaves it out")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  app.add_option("--memory-points", options.memory.points, "Observations at 768-d that are weighed")
      ->check(CLI::Range(uint64_t{100}, kMost))
      ->capture_default_str();
  app.add_option("--memory-spaces", options.memory.spaces, "Spaces of 100 observations that are weighed")
      ->check(CLI::Range(1, 16'000))
      ->capture_default_str();
  app.add_option("--memory-settle-seconds", options.memory.settle_seconds,
                 "How long memory settles before it is read; below 12 it counts what a stream leaves behind")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  app.add_option("--growth-points", options.memory.growth_points,
                 "How far a space grows from 10 000 (the long form: 1000000)")
      ->check(CLI::Range(uint64_t{100}, kMost))
      ->capture_default_str();
}

void AddDurableOptions(CLI::App& app, Options& options) {
  engram::DurablePlan& plan = options.durable;
  app.add_option("--storage-dir", options.storage,
                 "Where the durable part keeps its data while it runs (default: the directory of this program)")
      ->check(CLI::ExistingDirectory);
  app.add_option("--durable", options.durable_parts, "Of the durable part only: disk, ingest, callers, recovery, modes")
      ->delimiter(',')
      ->check(CLI::IsMember(engram::kDurableParts));
  app.add_option("--durable-rounds", plan.rounds, "Counted rounds of the disk, the streams and the callers")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--durable-observations", plan.observations, "A round's observations at 768-d, over two streams")
      ->check(CLI::Range(2, 100'000'000))
      ->capture_default_str();
  app.add_option("--callers", plan.callers, "Unary callers at one time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--caller-seconds", plan.caller_seconds, "Of a round of theirs")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--caller-profile", plan.caller_profile, "Profile of their daemon")->capture_default_str();
  app.add_option("--recovery-observations", plan.recovery_observations, "Observations at 128-d that are recovered")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  app.add_option("--recovery-rounds", plan.recovery_rounds, "Rounds of three restarts each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--recovery-graph", plan.recovery_graph,
               "Recover a space with a graph, all linked before the checkpoint (linking takes minutes)");
  app.add_option("--mode-rounds", plan.mode_rounds, "Rounds of each durability.mode")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--mode-seconds", plan.mode_seconds, "Of steady load in a round of a mode")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (argc == 2 && std::string_view(argv[1]) == "--sink") return engram::RunSink();

  Options options;
  CLI::App app(
      "Measures engramd on this machine: ingest beside a bare gRPC sink, latency under a steady load, the first "
      "call after silence, idling, what tracing costs, what durability costs beside the disk, what recalls find, how quick they stay while "
      "the stream pours in, and memory. Exit code 0, 1 when something broke, 3 "
      "with --strict when a bar is missed.",
      "engram-loadtest");
  app.add_option("--engramd", options.daemon, "The daemon to measure (default: the one built beside this program)");
  app.add_option("--only", options.only, "Only these parts: ingest, latency, idle, trace, durable, recall, load, memory")
      ->delimiter(',')
      ->check(CLI::IsMember({"ingest", "latency", "idle", "trace", "durable", "recall", "load", "memory"}));
  app.add_option("--output", options.output, "table or json")->check(CLI::IsMember({"table", "json"}));
  app.add_flag("--strict", options.strict, "Exit with 3 when a bar is missed");
  app.add_flag("--knobs", options.knobs, "Instead: the five profiles, then single settings varied on balanced");
  app.add_flag("--profiles", options.profiles, "Instead: the five profiles");
  app.add_option("--knob-seconds", options.knob_seconds, "Seconds of steady load for each row of --knobs")
      ->capture_default_str();
  app.add_option("--seed", options.context.seed, "Of the random vectors")->capture_default_str();
  app.add_option("--set", options.context.settings, "key=value for every daemon started (may be repeated)");
  app.add_option("--ingest-profile", options.context.ingest_profile, "Profile of the ingest runs")
      ->capture_default_str();
  app.add_option("--observations-128", options.observations_128, "A round's observations at 128-d; 0 leaves it out")
      ->capture_default_str();
  app.add_option("--observations-768", options.observations_768, "A round's observations at 768-d; 0 leaves it out")
      ->capture_default_str();
  app.add_option("--batch", options.ingest.batch_size, "Observations in a frame")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--rounds", options.ingest.rounds, "Counted rounds of each side")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--rate", options.latency.observations_per_second, "Observations offered a second")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  app.add_option("--recall-rate", options.latency.recalls_per_second, "Recalls offered a second")
      ->check(CLI::Range(0.0, 1e5))
      ->capture_default_str();
  app.add_option("--seconds", options.latency.seconds, "Of the steady load")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--preload", options.latency.preload, "Observations in the space before the steady load")
      ->check(CLI::Range(10, 10'000'000))
      ->capture_default_str();
  app.add_option("--silence-repeats", options.latency.silence_repeats,
                 "First calls measured, each behind 5 s of silence")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--idle-seconds", options.idle_seconds, "Of idling")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_option("--trace-rounds", options.trace.rounds, "Pairs of rounds of what tracing costs")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--trace-against-itself", options.trace.against_itself, "Both sides trace: what chance does");
  AddDurableOptions(app, options);
  options.recall.sample = ENGRAM_SAMPLE_DIRECTORY;
  AddRunbookOptions(app, options.runbook);
  AddRecallOptions(app, options);
  CLI11_PARSE(app, argc, argv);

  engram::CleanUpOnInterrupt();
  engram::Report report(options.output == "json");
  if (const absl::Status status = Measure(options, report); !status.ok()) {
    fmt::print(stderr, "engram-loadtest: {}\n", status.ToString());
    return kBroken;
  }
  report.Finish();
  return options.strict && !report.AllPassed() ? kMissed : 0;
}
