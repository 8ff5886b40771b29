// Two benchmarks held against each other: what changed by more than a threshold and by more than chance.
//
// Threads: pure functions. Errors: none; what one side did not measure is not compared.
// Why:     two runs of one program differ, so a change counts only beyond what the rounds of both differ among
//          themselves. Between stored runs the machine itself may have become another; what its own limits moved by is
//          excused as well.
#pragma once

#include <string>
#include <vector>

#include "loadtest/measure/bench_document.h"

namespace engram {

struct Compared {
  enum class Verdict { kSame, kBetter, kWorse };
  std::string path;
  double base = 0, now = 0;
  double ratio = 1;            // now / base.
  double least = 1, most = 1;  // Of the ratio, round by round, where the rounds took turns.
  double noise = 0;            // A change of the ratio that chance may make.
  Verdict verdict = Verdict::kSame;
};

struct Comparison {
  std::vector<Compared> figures;
  bool alternating = false;
  double threshold = 0.05;

  bool Regressed() const;
};

// Of runs at different times.
Comparison CompareStored(const BenchDocument& base, const BenchDocument& now, double threshold);
// Of runs whose rounds took turns: each round of one has its ratio to the other's.
Comparison CompareAlternating(const BenchDocument& base, const BenchDocument& now, double threshold);

// What about the load or the machine was not the same, a line each: "dimension: 384 before, 32 now".
std::vector<std::string> DifferencesOf(const BenchDocument& base, const BenchDocument& now);

// Into `comparison.*`; `base` is what the other is called.
void PutComparison(const Comparison& comparison, const std::string& base, BenchDocument& document);

}  // namespace engram
