// Puts the rounds of a benchmark together into its document.
//
// Threads: a pure function but for the environment it reads. Errors: none; what was not measured is left out.
#pragma once

#include <vector>

#include "engram/v1/admin_service.pb.h"
#include "loadtest/measure/bench_document.h"
#include "loadtest/measure/bench_target.h"
#include "loadtest/measure/machine_limits.h"

namespace engram {

struct Measured {
  TargetSpec spec;
  std::vector<RoundOutcome> rounds;
  RecallQuality quality;
  LimitSamples limits;
  v1::GetStatusResponse status;
  MetricPage last_page;
  int64_t peak_resident_bytes = 0;
};
BenchDocument Summarise(const BenchPlan& plan, const Measured& measured);

}  // namespace engram
