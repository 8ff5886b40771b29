// What durability costs: the parts of `engram-loadtest --only durable`. Each is a ratio of figures taken in one run,
// the sides taking turns round by round; what counts is the median over the rounds.
//
// Errors: anything that broke, an acknowledged observation that is not there among it. A missed bar is no error, and
//         a figure whose metric the daemon does not have is NaN and misses its bar.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "loadtest/bench.h"
#include "loadtest/report.h"

namespace engram {

struct DurablePlan {
  uint32_t rounds = 5;

  // Of the streams: a round's observations, over both.
  uint32_t dimension = 768;
  uint64_t observations = 60'000;
  uint32_t batch_size = 256;

  // Of the single callers.
  uint32_t callers = 64;
  uint32_t caller_dimension = 384;
  uint32_t caller_seconds = 3;
  std::string caller_profile = "balanced";

  // Of the recovery.
  uint64_t recovery_observations = 1'000'000;
  uint32_t recovery_dimension = 128;
  uint32_t recovery_rounds = 3;
  // Its space has a graph, and all is linked before the checkpoint.
  bool recovery_graph = false;

  // Of the comparison of modes.
  uint32_t mode_rounds = 3;
  uint32_t mode_seconds = 3;
};

// Synced writes into a prepared file and onto the end of a growing one.
absl::Status MeasureDisk(const BenchContext& context, const DurablePlan& plan, Report& report);
// Two streams beside a bare gRPC sink and synced 1 MiB writes of the same bytes; f32 and f16; bytes of the journal.
absl::Status MeasureDurableIngest(const BenchContext& context, const DurablePlan& plan, Report& report);
// Many unary callers beside the disk's own fdatasync.
absl::Status MeasureCallers(const BenchContext& context, const DurablePlan& plan, Report& report);
// From SIGKILL to serving: with a checkpoint, from the journal in the page cache, from the journal on the disk.
absl::Status MeasureRecovery(const BenchContext& context, const DurablePlan& plan, Report& report);
// What each durability.mode costs.
absl::Status MeasureModes(const BenchContext& context, const DurablePlan& plan, Report& report);

// The parts named, or all of them when none is, in the order above.
inline const std::vector<std::string> kDurableParts = {"disk", "ingest", "callers", "recovery", "modes"};
absl::Status MeasureDurable(const BenchContext& context, const DurablePlan& plan, const std::vector<std::string>& parts,
                            Report& report);

}  // namespace engram
