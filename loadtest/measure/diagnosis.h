// What bounds the throughput a benchmark found: the class of bottleneck, why, and the one knob to try next.
//
// Threads: a pure function. Errors: none; a figure that was not measured speaks for nothing.
// Why:     each class has a figure that says how near to its end it is, 0 to 1. The nearest names the bottleneck; a full
//          queue only says that something behind it is, so it counts when nothing else explains it.
#pragma once

#include <string>
#include <vector>

#include "loadtest/measure/bench_document.h"

namespace engram {

struct Diagnosis {
  // "disk-bound", "CPU-bound", "client-bound", "copy-bound", "memory-bound", "backpressure-bound", or "none".
  std::string bottleneck;
  std::vector<std::string> evidence;
  // A setting, or an option of the benchmark; what to do with it, and why.
  std::string knob, advice;
};

Diagnosis Diagnose(const BenchDocument& document);
// Into `diagnosis.*`.
void PutDiagnosis(const Diagnosis& diagnosis, BenchDocument& document);

}  // namespace engram
