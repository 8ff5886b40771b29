// Whether a backlog sampled at even times stayed bounded while a stream poured in.
//
// Threads: any. Errors: none. Why: a backlog that is small but grows is a miss, one that is large and stays is not; so
//          the second half is held against the first.
#pragma once

#include <algorithm>
#include <limits>
#include <span>

namespace engram {

struct BacklogBound {
  double early = 0;  // The largest of the first half.
  double late = 0;   // Of the second.
  double limit = 0;  // What `late` must not exceed: a quarter above `early`, and one second of the stream.
};

// NaN for what was not sampled.
inline BacklogBound BoundOf(std::span<const double> samples, double stream_per_second) {
  if (samples.size() < 2) {
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    return {unknown, unknown, unknown};
  }
  const auto middle = samples.begin() + static_cast<ptrdiff_t>(samples.size() / 2);
  BacklogBound bound{*std::max_element(samples.begin(), middle), *std::max_element(middle, samples.end()), 0};
  bound.limit = 1.25 * bound.early + stream_per_second;
  return bound;
}

}  // namespace engram
