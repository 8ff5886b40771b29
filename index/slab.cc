#include "index/slab.h"

#include <new>

#include "core/base/check.h"

namespace engram {
namespace {

uint32_t StrideOf(uint32_t dimension) {
  ENGRAM_CHECK(dimension >= 1 && dimension <= (1u << 24));
  return (dimension + 15) / 16 * 16;
}

}  // namespace

Slab::Slab(uint32_t dimension)
    : VersionedBlocks(sizeof(Block), StrideOf(dimension) * sizeof(float)),
      dimension_(dimension),
      stride_(StrideOf(dimension)) {}

float* Slab::BeginRow(Ordinal ordinal) {
  if (Lane(ordinal) == 0) SetAllLive(*new (blocks_.BlockAddress(ordinal)) Block);
  return reinterpret_cast<float*>(blocks_.RowAddress(ordinal));
}

}  // namespace engram
