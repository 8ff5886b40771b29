// The measurements of engram-loadtest. Each starts what it needs, puts its figures and bars into the report, and ends
// what it started. They run one after another on the main thread.
//
// Errors: anything that broke (a child, a call, a lost observation). A missed bar is no error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "loadtest/report.h"

namespace engram {

struct BenchContext {
  std::filesystem::path daemon;
  // This program, to be started again as the sink.
  std::filesystem::path self;
  // On the disk that durable figures are of; every daemon of theirs gets a directory of its own in it.
  std::filesystem::path storage;
  uint64_t seed = 1;
  // Profile of the ingest runs' daemon, and more `--set` values for every daemon.
  std::string ingest_profile = "high_throughput";
  std::vector<std::string> settings;
};

struct IngestPlan {
  uint32_t dimension = 128;
  uint64_t observations = 200'000;
  uint32_t batch_size = 256;
  uint32_t rounds = 7;
};
absl::Status MeasureIngest(const BenchContext& context, const IngestPlan& plan, Report& report);

struct LatencyPlan {
  uint32_t dimension = 384;
  uint64_t preload = 10'000;
  double observations_per_second = 1000;
  double recalls_per_second = 50;
  uint32_t seconds = 20;
  uint32_t silence_seconds = 5;
  uint32_t silence_repeats = 3;
};
absl::Status MeasureLatency(const BenchContext& context, const LatencyPlan& plan, Report& report);

struct TracePlan {
  // Half a second of processor time, which is told in hundredths.
  uint64_t observations = 300'000;
  uint32_t batch_size = 256;
  uint32_t rounds = 36;
  // Instead: two that trace, to learn what chance does.
  bool against_itself = false;
};
absl::Status MeasureTrace(const BenchContext& context, const TracePlan& plan, Report& report);

absl::Status MeasureIdle(const BenchContext& context, uint32_t seconds, Report& report);

// The five profiles, then single settings varied on top of `balanced`; one table row each.
absl::Status SweepKnobs(const BenchContext& context, uint32_t seconds, bool profiles_only, Report& report);

}  // namespace engram
