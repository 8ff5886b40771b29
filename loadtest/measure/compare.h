// Two benchmarks held against each other: what changed by more than a threshold and by more than chance.
//
// Threads: pure functions. Errors: none; what one side did not measure is not compared.
// Why:     two runs of one program differ, so a change counts only beyond what the rounds of both differ among
//          themselves; and many figures are tested at once, so each has only its part of one chance in a hundred. The
//          median of the rounds is judged, which one stall does not move. Changes are logarithms: half and twice are as far.
//          Between stored runs the machine itself may have become another: a change for the worse is excused by what its
//          own limits fell, one for the better by what they rose, and where that is much nothing is said of what it may be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "loadtest/measure/bench_document.h"

namespace engram {

struct Compared {
  // kTold: not judged. kMachine: the machine is another than it was, and that may be all there is to it.
  enum class Verdict { kSame, kBetter, kWorse, kTold, kMachine };
  std::string path;
  double base = 0, now = 0;              // The medians of the rounds, where there are any.
  double base_whole = 0, now_whole = 0;  // Of all rounds together: told.
  double ratio = 1;            // now / base; where the rounds took turns, the median of their ratios.
  double least = 1, most = 1;  // Of the ratio, round by round, where the rounds took turns.
  double noise = 0;            // 0.1: chance may make the ratio 1.1, or 1 / 1.1. 0 where no rounds tell.
  Verdict verdict = Verdict::kSame;
};

// A limit of the machine, as both runs found it.
struct Drift {
  std::string limit;  // "grpc_sink".
  double base = 0, now = 0;

  double Ratio() const { return now / base; }
  // By how much, whichever way: 0.25 for a fall to 80 % as for a rise to 125 %.
  double Size() const { return std::max(Ratio(), 1 / Ratio()) - 1; }
};
// A limit that moved by more excuses nothing: what it might explain cannot be compared.
inline constexpr double kMostDrift = 0.2;

struct Comparison {
  std::vector<Compared> figures;
  std::vector<Drift> drifts;  // Of runs at different times; of limits that one of them did not measure nothing is known.
  bool alternating = false;
  // 0.05: a figure has to be worse by a factor of 1.05.
  double threshold = 0.05;
  size_t judged = 0;  // How many figures share the chance.

  bool Regressed() const;
  // Some figure is kMachine.
  bool Incomparable() const;
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
