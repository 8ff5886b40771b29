// A column that only grows and whose rows never move: the first chunk has `kFirst` of them, then chunks double in size.
//
// Threads:  one writer (Extend); any reader of rows whose number it learnt through an acquire of the writer's release.
// Ownership: owns its chunks. Blocking: never. Errors: std::bad_alloc from Extend, which then changed nothing.
// Why:      a reader needs no lock and no reference count, and a column of a hundred rows costs little more than those.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#include "core/base/fresh_memory.h"

namespace engram {

// For 2^32 rows at most, unless told otherwise.
template <typename T, uint64_t kFirst = 16, uint64_t kMostRows = uint64_t{1} << 32>
class ChunkedColumn {
 public:
  ChunkedColumn() = default;
  ChunkedColumn(const ChunkedColumn&) = delete;
  ChunkedColumn& operator=(const ChunkedColumn&) = delete;
  ~ChunkedColumn() {
    for (size_t chunk = 0; chunk < kChunks; ++chunk) {
      T* const rows = chunks_[chunk].load(std::memory_order_relaxed);
      if (rows == nullptr) continue;
      std::destroy_n(rows, RowsOf(chunk));
      GiveBackFresh(reinterpret_cast<std::byte*>(rows), RowsOf(chunk) * sizeof(T));
    }
  }

  // Makes rows [0, rows) exist, new ones value-initialised.
  void Extend(uint64_t rows) {
    while (capacity_ < rows) {
      const size_t chunk = ChunkOf(capacity_);
      T* const made = reinterpret_cast<T*>(TakeFresh(RowsOf(chunk) * sizeof(T)));
      // Of the others a value-initialised one is all zeros, which fresh memory is, and so stays untouched.
      if constexpr (!std::is_trivially_default_constructible_v<T>) {
        static_assert(std::is_nothrow_default_constructible_v<T>);
        std::uninitialized_value_construct_n(made, RowsOf(chunk));
      }
      chunks_[chunk].store(made, std::memory_order_release);
      capacity_ += RowsOf(chunk);
    }
    rows_ = std::max(rows_, rows);
  }

  T& operator[](uint64_t row) { return *Row(row); }
  const T& operator[](uint64_t row) const { return *Row(row); }

  // What the rows that exist cost. The writer's to ask.
  uint64_t bytes() const {
    if (rows_ == 0) return 0;
    const size_t last = ChunkOf(rows_ - 1);
    const size_t filled = std::is_trivially_default_constructible_v<T> ? rows_ - FirstOf(last) : RowsOf(last);
    return FirstOf(last) * sizeof(T) + FreshBytes(RowsOf(last) * sizeof(T), filled * sizeof(T));
  }

 private:
  static_assert(alignof(T) <= kFreshAlignment);

  // Chunk c holds rows [kFirst * (2^c - 1), kFirst * (2^(c+1) - 1)).
  static constexpr size_t ChunkOf(uint64_t row) { return static_cast<size_t>(std::bit_width(row / kFirst + 1) - 1); }
  static constexpr uint64_t FirstOf(size_t chunk) { return kFirst * ((uint64_t{1} << chunk) - 1); }
  static constexpr uint64_t RowsOf(size_t chunk) { return kFirst << chunk; }
  static constexpr size_t kChunks = ChunkOf(kMostRows - 1) + 1;

  T* Row(uint64_t row) const {
    const size_t chunk = ChunkOf(row);
    return chunks_[chunk].load(std::memory_order_acquire) + (row - FirstOf(chunk));
  }

  // Atomic: readers follow a chunk's pointer while the writer adds later chunks.
  std::array<std::atomic<T*>, kChunks> chunks_{};
  // Only the writer's.
  uint64_t capacity_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace engram
