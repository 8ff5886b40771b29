// Whether a search with a filter walks the graph or scans the matches.
//
// A walk passes through what does not match, so it compares about `ef / s` times as many nodes as it needs hits, where
// s is the share of matches; a scan compares s of everything. Few matches: the scan is cheaper, and exact. Many: the
// walk is.
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

// Measured (tests/index/filter_bench.cc): nodes a walk compares for each unit of its width while everything matches,
// and what a walk's comparison costs in comparisons of a scan of scattered matches.
inline constexpr double kComparedPerWidth = 12;
inline constexpr double kWalkCost = 1.5;

// About `matches` of the `visible` ordinals match.
inline FilterChoice ChooseForFilter(uint64_t matches, uint64_t visible, uint32_t ef) {
  if (matches == 0 || visible == 0) return {};
  const double share = std::min(1.0, static_cast<double>(matches) / static_cast<double>(visible));
  const double walk = ef * kComparedPerWidth / share * kWalkCost;
  // Filters that go with the vectors, near the cue or far from it, make a walk longer or shorter than that.
  return {walk < static_cast<double>(matches), static_cast<uint64_t>(static_cast<double>(matches) / kWalkCost)};
}

}  // namespace engram
