// Which segments to rewrite next.
//
// Threads: functions of their arguments.
// Why:     a segment of which little is alive gives back the most for the least writing; its neighbours come along
//          while they are as bad, or so small that there is no use in a file of their own, and while all fits one
//          segment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace engram {

// Of one segment, in the order of positions.
struct SegmentUse {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t bytes = 0;
  uint64_t observations = 0;
  // Observations in it that are needed.
  uint64_t live = 0;
  // Bytes of what is no observation and may go, as far as is known.
  uint64_t idle = 0;
  // Sealed, whole, and everything in it is applied.
  bool ready = false;
  // What lives in it takes more than its share: once it did not fit where that would have.
  bool uneven = false;
};

struct RewriteLimits {
  // The share of live observations below which a segment is rewritten.
  double below = 0.5;
  uint64_t segment_bytes = 0;
  // No more than this is written.
  uint64_t free_bytes = UINT64_MAX;
};

// Segments [begin, end); nothing to do when they are the same.
struct RewriteRun {
  size_t begin = 0;
  size_t end = 0;

  bool empty() const { return begin == end; }
};

// Restarts leave small segments; so many adjacent ones are merged though all in them is needed.
inline constexpr size_t kLeastMerged = 4;

RewriteRun PickRun(std::span<const SegmentUse> segments, const RewriteLimits& limits);

}  // namespace engram
