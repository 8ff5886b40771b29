#include "index/level_generator.h"

#include <algorithm>
#include <cmath>

namespace engram {
namespace {

uint64_t Mix(uint64_t x) {
  x ^= x >> 32;
  x *= 0xe9846af9b1a615d;
  x ^= x >> 32;
  x *= 0xe9846af9b1a615d;
  x ^= x >> 28;
  return x;
}

}  // namespace

LevelGenerator::LevelGenerator(uint64_t seed, uint32_t max_connections)
    : seed_(Mix(seed + 0x9e3779b97f4a7c15)), scale_(1 / std::log(static_cast<double>(std::max(2u, max_connections)))) {}

uint32_t LevelGenerator::LevelOf(Ordinal ordinal) const {
  // Uniform in (0, 1]: never the logarithm of nothing.
  const double uniform = (static_cast<double>(Mix(seed_ + ordinal) >> 11) + 1) * 0x1p-53;
  return std::min(kMaxLevel, static_cast<uint32_t>(-std::log(uniform) * scale_));
}

}  // namespace engram
