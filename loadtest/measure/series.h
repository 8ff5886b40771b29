// A benchmark over time, in slots of a quarter of a second: what the plots are drawn from.
//
// Threads: a pure function. Errors: none; null where nothing came in a slot.
#pragma once

#include "loadtest/measure/bench_document.h"
#include "loadtest/measure/summary.h"

namespace engram {

// Into `series.*`: the steady parts of all rounds one behind the other, then the bursts.
void PutSeries(const Measured& measured, BenchDocument& document);

}  // namespace engram
