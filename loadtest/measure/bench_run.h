// Runs a benchmark: of one daemon, or of two whose rounds take turns.
//
// Threads:   the main thread, before which CleanUpOnInterrupt was called (see spawn.h).
// Blocking:  for the plan's warm-up and seconds (of two daemons: for each), and for what preparing and settling take.
// Errors:    anything that broke; a slow daemon is none.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "core/base/status.h"
#include "loadtest/measure/bench_document.h"
#include "loadtest/measure/bench_plan.h"

namespace engram {

struct BenchRequest {
  BenchPlan plan;
  TargetSpec target;
  // Another daemon, measured alternately: what `target` is compared with.
  std::optional<TargetSpec> base;
  // Let each side finish also what a burst left to be done before the other one's, ten seconds at most, as after each steady
  // part.
  bool settle_between = false;
  // A program that is a sink when started with kSinkArgument.
  std::filesystem::path self;
  // On the disk that synced writes are measured on.
  std::filesystem::path storage;
  // Told what is being done. May be empty.
  std::function<void(const std::string&)> progress;
};

struct BenchResult {
  BenchDocument document;
  std::optional<BenchDocument> base;
};

absl::StatusOr<BenchResult> RunBench(const BenchRequest& request);

}  // namespace engram
