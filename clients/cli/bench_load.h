// The load of a stored report, for the benchmark that is compared with it.
//
// Threads: a pure function. Errors: INVALID_ARGUMENT, naming the report, the figure, its value and what is allowed.
// Why:     latencies under another load do not compare.
#pragma once

#include <string>

#include "clients/cli/options.h"
#include "core/base/status.h"
#include "loadtest/measure/bench_document.h"

namespace engram {

// Dimension, batch, streams, preload, rate, recalls and seed, and of a daemon that is to be started profile and settings:
// each that the command line does not name. `name` is what the report is called in an error.
absl::Status TakeLoadOf(const BenchDocument& report, const std::string& name, BenchOptions& options);

}  // namespace engram
