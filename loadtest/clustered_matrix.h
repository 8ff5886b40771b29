// Seeded vectors shaped like embeddings: clusters along two dozen directions they all share, and a little noise.
//
// Threads: any; constant after construction, Draw const. Errors: none.
// Why:     uniform vectors have no neighbours worth finding, and clusters of bare noise have hundreds at one distance;
//          embeddings of text vary along a few dozen directions.
#pragma once

#include <cstdint>

#include "loadtest/dataset.h"

namespace engram {

class ClusteredSource {
 public:
  ClusteredSource(uint32_t dimension, uint64_t seed, uint32_t clusters = 100);

  // `rows` vectors of clusters taken at random; the same for the same `stream` everywhere. Streams share the clusters,
  // so a stream of its own makes cues for another's rows.
  Matrix Draw(size_t rows, uint64_t stream) const;

 private:
  const uint64_t seed_;
  const Matrix directions_;
  const Matrix centres_;  // In terms of the directions.
};

inline constexpr uint64_t kRowStream = 1, kCueStream = 2;

}  // namespace engram
