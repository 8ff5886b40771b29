// How high in the hierarchy of a graph an ordinal stands: the same seed and ordinal, the same level.
//
// Threads: any; const after construction.
#pragma once

#include <cstdint>

#include "core/base/types.h"

namespace engram {

// log(2^64) / log(2), the largest value the generator can give, is below this even with two connections.
inline constexpr uint32_t kMaxLevel = 64;

class LevelGenerator {
 public:
  LevelGenerator(uint64_t seed, uint32_t max_connections);
  uint32_t LevelOf(Ordinal ordinal) const;

 private:
  uint64_t seed_;
  double scale_;
};

}  // namespace engram
