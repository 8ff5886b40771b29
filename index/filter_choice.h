// Whether a search with a filter walks the graph or scans the matches.
//
// A walk passes through what does not match, so the rarer matches are, the more it compares to meet `ef` of them. A scan
// compares each match once, for much less, since it knows where to look next.
//
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

namespace engram {

struct FilterChoice {
  bool walk = false;
  // A walk that compares more than this would have done better as a scan.
  uint64_t most_compared = 0;
};

// Measured by tests/core/filter_bench.cc with 100 000 x 128: a walk of width 64 compares 912 nodes where every second one
// matches, 1320 of every tenth, 15 887 of every hundredth; each takes 0.12-0.20 us, a comparison of a scan 0.04-0.07 us.
inline constexpr double kComparedPerWidth = 10;
inline constexpr double kComparedPerWidthAndShare = 2.5;
inline constexpr double kWalkCost = 3.5;

// About `matches` of the `visible` ordinals match.
inline FilterChoice ChooseForFilter(uint64_t matches, uint64_t visible, uint32_t ef) {
  if (matches == 0 || visible == 0) return {};
  const double share = std::min(1.0, static_cast<double>(matches) / static_cast<double>(visible));
  const double walk = ef * (kComparedPerWidth + kComparedPerWidthAndShare / share) * kWalkCost;
  // Filters that go with the vectors, near the cue or far from it, make a walk longer or shorter than that.
  return {walk < static_cast<double>(matches), static_cast<uint64_t>(static_cast<double>(matches) / kWalkCost)};
}

}  // namespace engram
