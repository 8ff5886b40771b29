// Vectors by ordinal, with the few columns a search needs beside each: append-only, never moved.
//
// Layout: sixteen vectors make a *block*, their columns first and their rows behind, so a small space touches few pages
//         and a scan reads one stream. 64 blocks make a *chunk*. Chunks lie in *extents* of 1, 2, 4, 8 ... chunks, each
//         reserved as address space when it is reached and paid for page by page as it fills.
// Threads:   Reserve, BeginRow, Publish: the writer. Everything const: any thread, for ordinals below `size()`, and for
//            columns below any ordinal that came from such a thread.
// Ownership: owns the memory; rows and columns stay where they are until it goes.
// Blocking:  never.
// Errors:    std::bad_alloc may leave Reserve, and then nothing has changed.
// Why:       readers need no lock because nothing moves; extents that double need a directory of 23 pointers only.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/base/types.h"

namespace engram {

class Slab {
 public:
  static constexpr uint32_t kBlockRows = 16;
  static constexpr uint32_t kChunkRows = 1024;
  // `died_at` of an observation that is live. Else the ordinal that replaced it, or 0 when it was forgotten.
  static constexpr uint32_t kLive = UINT32_MAX;

  struct alignas(64) Block {
    std::array<float, kBlockRows> inverse_norm;  // 1 / |vector|; 0 when that is no number.
    std::array<std::atomic<uint32_t>, kBlockRows> died_at;
    std::array<Ordinal, kBlockRows> previous;  // The observation with the same id before this one, or kNoOrdinal.
    std::array<const char*, kBlockRows> id;    // A record of the space's IdArena.

    // A view shows the ordinals below its end that had not died by then: the replacement of each lies beyond the end.
    bool LiveIn(uint32_t lane, Ordinal visible) const {
      return died_at[lane].load(std::memory_order_relaxed) >= visible;
    }
  };
  static_assert(sizeof(Block) == 320);

  explicit Slab(uint32_t dimension);
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // --- writer ---

  // Makes room for the ordinals below `end`.
  void Reserve(Ordinal end);
  // The row of the next unpublished ordinal and its columns, zeroed and live. Ordinals are begun in order.
  float* BeginRow(Ordinal ordinal);
  // Shows the ordinals below `size`: the one release-store that readers' loads of `size()` pair with.
  void Publish(Ordinal size) { size_.store(size, std::memory_order_release); }

  // --- readers ---

  Ordinal size() const { return size_.load(std::memory_order_acquire); }
  uint32_t dimension() const { return dimension_; }
  // Floats from one row to the next: the dimension padded to a cache line. The padding is 0.
  uint32_t stride() const { return stride_; }

  static uint32_t Lane(Ordinal ordinal) { return ordinal % kBlockRows; }
  const Block& BlockOf(Ordinal ordinal) const { return *reinterpret_cast<const Block*>(BlockAddress(ordinal)); }
  Block& BlockOf(Ordinal ordinal) { return *reinterpret_cast<Block*>(BlockAddress(ordinal)); }
  // 64-byte aligned. The rows of a block lie behind one another.
  const float* Row(Ordinal ordinal) const {
    return reinterpret_cast<const float*>(BlockAddress(ordinal) + sizeof(Block)) + size_t{Lane(ordinal)} * stride_;
  }

  float InverseNorm(Ordinal ordinal) const { return BlockOf(ordinal).inverse_norm[Lane(ordinal)]; }
  uint32_t DiedAt(Ordinal ordinal) const {
    return BlockOf(ordinal).died_at[Lane(ordinal)].load(std::memory_order_relaxed);
  }
  void SetDiedAt(Ordinal ordinal, uint32_t at) {
    BlockOf(ordinal).died_at[Lane(ordinal)].store(at, std::memory_order_relaxed);
  }
  Ordinal Previous(Ordinal ordinal) const { return BlockOf(ordinal).previous[Lane(ordinal)]; }

  // Bytes of the pages touched so far.
  uint64_t resident_bytes() const;

 private:
  static constexpr uint32_t kExtents = 23;  // (2^23 - 1) chunks hold every Ordinal.

  struct Extent {
    uint32_t level = 0;
    uint32_t row = 0;  // Within the extent.
  };
  static Extent ExtentOf(Ordinal ordinal) {
    const uint32_t level = 31 - static_cast<uint32_t>(__builtin_clz(ordinal / kChunkRows + 1));
    return {level, ordinal - ((1u << level) - 1) * kChunkRows};
  }
  std::byte* BlockAddress(Ordinal ordinal) const {
    const Extent extent = ExtentOf(ordinal);
    return extents_[extent.level].load(std::memory_order_acquire) + size_t{extent.row / kBlockRows} * block_bytes_;
  }
  size_t ExtentBytes(uint32_t level) const { return (size_t{kChunkRows / kBlockRows} << level) * block_bytes_; }

  // Constant after construction.
  const uint32_t dimension_;
  const uint32_t stride_;
  const size_t block_bytes_;

  // Own synchronisation: an extent is stored before the size that reaches into it.
  std::array<std::atomic<std::byte*>, kExtents> extents_{};
  std::atomic<Ordinal> size_{0};
};

}  // namespace engram
