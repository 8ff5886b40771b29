// What a recall finds, how soon, and what keeping it costs: the runbooks and the parts `recall`, `load` and `memory` of
// engram-loadtest. All of it over the wire, against a daemon that keeps a journal unless `--set` says otherwise.
//
// Errors: anything that broke. A missed bar is no error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "loadtest/bench.h"
#include "loadtest/report.h"

namespace engram {

struct RunbookPlan {
  std::filesystem::path file;
  std::string dataset;  // May be empty where the file holds one.
  // Vectors and cues, as vector_file.h reads them; empty: seeded clusters of `dimension`.
  std::filesystem::path data, cues;
  uint32_t dimension = 128;
  uint32_t cue_count = 100;
  double floor = 0.97;
};
// Each step through the daemon; each search against the exact answer over what is live then.
absl::Status RunRunbook(const BenchContext& context, const RunbookPlan& plan, Report& report);

struct RecallPlan {
  std::filesystem::path sample;
  uint64_t points = 20'000;
  uint32_t cues = 200;
  std::vector<uint32_t> dimensions = {128, 384, 768};
  // Observed one by one, each asked for by its own vector at once.
  uint64_t observations = 20'000;
  uint32_t callers = 4;
};
absl::Status MeasureRecall(const BenchContext& context, const RecallPlan& plan, Report& report);

struct LoadPlan {
  uint32_t dimension = 768;
  uint64_t points = 100'000;
  double recalls_per_second = 100;
  uint32_t seconds = 10;
  // Of a stream as fast as it is taken: its second half says what ingest takes at most. A burst of a second is let in more
  // quickly, as long as what waits to be linked may become more.
  double ingest_seconds = 6;
  std::vector<uint64_t> tails = {200'000};
  uint32_t tail_cues = 100;
  // 0: no sustained stream.
  uint32_t sustain_seconds = 180;
};
absl::Status MeasureLoad(const BenchContext& context, const LoadPlan& plan, Report& report);
// The sustained stream, as MeasureLoad ends with it.
absl::Status MeasureSustained(const BenchContext& context, const LoadPlan& plan, Report& report);

struct MemoryPlan {
  uint32_t dimension = 768;
  uint64_t points = 50'000;
  uint32_t spaces = 10'000;
  uint32_t space_points = 100;
  uint64_t growth_points = 200'000;
  // Before memory is read. Ten seconds after the last of a stream the daemon gives back what its buffers took.
  uint32_t settle_seconds = 12;
};
absl::Status MeasureMemory(const BenchContext& context, const MemoryPlan& plan, Report& report);

}  // namespace engram
