// How many observations the next batch takes: small ones while little waits (latency), large ones under load (throughput).
#pragma once

#include <algorithm>
#include <cstdint>

namespace engram {

// Below a tenth of `capacity`: `least`; above four fifths: `most`; linear in the fill between.
inline uint64_t BatchSize(uint64_t depth, uint64_t capacity, uint64_t least, uint64_t most) {
  const double fill = static_cast<double>(depth) / static_cast<double>(std::max<uint64_t>(capacity, 1));
  if (fill < 0.1) return least;
  if (fill > 0.8) return most;
  return least + static_cast<uint64_t>(fill * static_cast<double>(most - least));
}

}  // namespace engram
