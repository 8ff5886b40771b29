// Vectors in full precision, by ordinal: what a space keeps that has no journal to read them from.
//
// Threads:   Reserve, RowOf: the writer. Everything const: any thread, for ordinals that the writer has shown it.
// Ownership: owns the memory; rows stay where they are until it goes.
// Blocking:  never.
// Errors:    std::bad_alloc may leave Reserve, and then nothing has changed.
// Why:       index/block_extents.h
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/base/types.h"
#include "index/block_extents.h"
#include "index/vector_source.h"

namespace engram {

class KeptRows final : public VectorSource {
 public:
  explicit KeptRows(uint32_t dimension) : dimension_(dimension), blocks_(0, dimension * sizeof(float)) {}

  // Makes room for the ordinals below `end`.
  void Reserve(Ordinal end) { blocks_.Reserve(end); }
  // The row of an unpublished ordinal, `dimension` floats.
  std::span<float> RowOf(Ordinal ordinal) {
    return {reinterpret_cast<float*>(blocks_.RowAddress(ordinal)), dimension_};
  }

  std::span<const float> RowOf(Ordinal ordinal) const {
    return {reinterpret_cast<const float*>(blocks_.RowAddress(ordinal)), dimension_};
  }
  void Read(std::span<const Ordinal> ordinals, float* rows) const override {
    for (const Ordinal ordinal : ordinals) {
      const std::span<const float> row = RowOf(ordinal);
      rows = std::copy(row.begin(), row.end(), rows);
    }
  }

  // Bytes of what holds the ordinals below `size`.
  uint64_t ResidentBytes(Ordinal size) const { return blocks_.ResidentBytes(size); }

 private:
  const uint32_t dimension_;
  BlockExtents blocks_;
};

}  // namespace engram
