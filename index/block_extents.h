// Memory for blocks of sixteen rows, by ordinal: append-only, never moved.
//
// Layout: blocks lie in *extents* of 1, 2, 4, 8 ... blocks, each taken when it is reached: the small ones from the heap,
//         the others as address space, paid for page by page as they fill. What is fresh is zero.
// Threads:   Reserve: the writer. Everything const: any thread, for ordinals that the writer has shown it.
// Ownership: owns the memory; a block stays where it is until the extents go.
// Blocking:  never.
// Errors:    std::bad_alloc may leave Reserve, and then nothing has changed.
// Why:       readers need no lock because nothing moves; extents that double need a directory of 29 pointers only
//            and a small space no pages of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/base/types.h"

namespace engram {

class BlockExtents {
 public:
  static constexpr uint32_t kBlockRows = 16;

  // `head_bytes` of columns, then sixteen times `row_bytes`; together whole cache lines.
  BlockExtents(size_t head_bytes, size_t row_bytes);
  ~BlockExtents();
  BlockExtents(const BlockExtents&) = delete;
  BlockExtents& operator=(const BlockExtents&) = delete;

  // Makes room for the ordinals below `end`.
  void Reserve(Ordinal end);

  static uint32_t Lane(Ordinal ordinal) { return ordinal % kBlockRows; }
  // 64-byte aligned. REQUIRES: `ordinal` is reserved.
  std::byte* BlockAddress(Ordinal ordinal) const {
    const Extent extent = ExtentOf(ordinal);
    return extents_[extent.level].load(std::memory_order_acquire) + size_t{extent.row / kBlockRows} * block_bytes_;
  }
  std::byte* RowAddress(Ordinal ordinal) const {
    return BlockAddress(ordinal) + head_bytes_ + size_t{Lane(ordinal)} * row_bytes_;
  }

  // Bytes of what holds the ordinals below `size`.
  uint64_t ResidentBytes(Ordinal size) const;

 private:
  static constexpr uint32_t kExtents = 29;  // (2^29 - 1) blocks hold every Ordinal.

  struct Extent {
    uint32_t level = 0;
    uint32_t row = 0;  // Within the extent.
  };
  static Extent ExtentOf(Ordinal ordinal) {
    const uint32_t level = 31 - static_cast<uint32_t>(__builtin_clz(ordinal / kBlockRows + 1));
    return {level, ordinal - ((1u << level) - 1) * kBlockRows};
  }
  size_t ExtentBytes(uint32_t level) const { return block_bytes_ << level; }

  // Constant after construction.
  const size_t head_bytes_;
  const size_t row_bytes_;
  const size_t block_bytes_;

  // Own synchronisation: the owner publishes ordinals after the extent that holds them is stored.
  std::array<std::atomic<std::byte*>, kExtents> extents_{};
};

}  // namespace engram
