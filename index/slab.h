// Vectors by ordinal in full precision, with the few columns a search needs beside each: append-only, never moved.
//
// Layout: sixteen vectors make a *block*, their columns first and their rows behind, so a small space touches few pages
//         and a scan reads one stream.
// Threads:   Reserve, BeginRow, Publish: the writer. Everything const: any thread, for ordinals below `size()`, and for
//            columns below any ordinal that came from such a thread.
// Ownership: owns the memory; rows and columns stay where they are until it goes.
// Blocking:  never.
// Errors:    std::bad_alloc may leave Reserve, and then nothing has changed.
// Why:       index/block_extents.h, index/versioned_blocks.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/types.h"
#include "index/versioned_blocks.h"

namespace engram {

class Slab : public VersionedBlocks {
 public:
  struct alignas(64) Block : VersionColumns {
    std::array<float, kBlockRows> inverse_norm;  // 1 / |vector|; 0 when that is no number.
  };
  static_assert(sizeof(Block) == 320);

  explicit Slab(uint32_t dimension);

  // --- writer ---

  // Makes room for the ordinals below `end`.
  void Reserve(Ordinal end) { blocks_.Reserve(end); }
  // The row of the next unpublished ordinal and its columns, zeroed and live. Ordinals are begun in order.
  float* BeginRow(Ordinal ordinal);

  // --- readers ---

  uint32_t dimension() const { return dimension_; }
  // Floats from one row to the next: the dimension padded to a cache line. The padding is 0.
  uint32_t stride() const { return stride_; }

  const Block& BlockOf(Ordinal ordinal) const {
    return *reinterpret_cast<const Block*>(blocks_.BlockAddress(ordinal));
  }
  Block& BlockOf(Ordinal ordinal) { return *reinterpret_cast<Block*>(blocks_.BlockAddress(ordinal)); }
  // 64-byte aligned. The rows of a block lie behind one another.
  const float* Row(Ordinal ordinal) const { return reinterpret_cast<const float*>(blocks_.RowAddress(ordinal)); }

  float InverseNorm(Ordinal ordinal) const { return BlockOf(ordinal).inverse_norm[Lane(ordinal)]; }

  // Bytes of the pages touched so far.
  uint64_t resident_bytes() const { return blocks_.ResidentBytes(size()); }

 private:
  // Constant after construction.
  const uint32_t dimension_;
  const uint32_t stride_;
};

}  // namespace engram
