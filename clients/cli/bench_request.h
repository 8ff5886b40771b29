// What the commands that measure have in common: which daemon, how much load, and where its data lies.
#pragma once

#include "clients/cli/session.h"
#include "loadtest/measure/bench_run.h"

namespace engram {

// Tells its progress on standard error where that is a terminal; `session` must outlive it. NOT_FOUND: no engramd;
// INTERNAL: the directory for its data cannot be made.
absl::StatusOr<BenchRequest> BenchRequestOf(Session& session, const MeasuredOptions& measured);

}  // namespace engram
