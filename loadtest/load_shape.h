// When each observation of a load is due: phases of a constant or a rising or falling rate, one after another.
//
// Threads: a value; const after construction. Errors: none.
// Why:     an open-loop load is a fixed list of instants, however the daemon does; and a list that is computed takes no
//          memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "loadtest/pacing.h"

namespace engram {

struct LoadPhase {
  double seconds = 0;
  // A second, at its beginning and at its end.
  double from = 0;
  double to = 0;
};

class LoadShape {
 public:
  explicit LoadShape(std::vector<LoadPhase> phases) : phases_(std::move(phases)) {}

  double seconds() const {
    double sum = 0;
    for (const LoadPhase& phase : phases_) sum += phase.seconds;
    return sum;
  }

  // How many a `share` (0..1) of the load has.
  uint64_t Count(double share) const {
    double sum = 0;
    for (const LoadPhase& phase : phases_) sum += CountIn(phase);
    return static_cast<uint64_t>(share * sum);
  }

  // Nanoseconds from the start to the instant at which number `n`, from 0, of a `share` is due; nullopt behind the end.
  std::optional<int64_t> DueNanos(uint64_t n, double share) const {
    if (n >= Count(share)) return std::nullopt;
    double left = static_cast<double>(n + 1) / share;
    double before = 0;
    for (const LoadPhase& phase : phases_) {
      const double count = CountIn(phase);
      if (left <= count) return static_cast<int64_t>((before + InstantIn(phase, left)) * kNanosPerSecond);
      left -= count;
      before += phase.seconds;
    }
    // Rounding: the last one.
    return static_cast<int64_t>(before * kNanosPerSecond);
  }

  // Seconds from the start to the end of the last phase that is faster than the first one; 0 when none is.
  double RushEnds() const {
    double end = 0, at = 0;
    for (const LoadPhase& phase : phases_) {
      at += phase.seconds;
      if (std::max(phase.from, phase.to) > phases_.front().from) end = at;
    }
    return end;
  }

 private:
  static double CountIn(const LoadPhase& phase) { return phase.seconds * (phase.from + phase.to) / 2; }
  // Seconds until `count` have come: the root of from·t + slope/2·t² = count, in the form that also does for slope 0.
  static double InstantIn(const LoadPhase& phase, double count) {
    const double slope = (phase.to - phase.from) / phase.seconds;
    const double root = std::sqrt(std::max(0.0, phase.from * phase.from + 2 * slope * count));
    return std::min(phase.seconds, 2 * count / (phase.from + root));
  }

  const std::vector<LoadPhase> phases_;
};

// Shares that add up to 1, the i-th in proportion to 1/i^exponent; 0 makes them equal.
inline std::vector<double> ZipfShares(size_t count, double exponent) {
  std::vector<double> shares(count);
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += shares[i] = 1 / std::pow(static_cast<double>(i + 1), exponent);
  for (double& share : shares) share /= sum;
  return shares;
}

}  // namespace engram
