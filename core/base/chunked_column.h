// A column that only grows and whose rows never move: the first chunk has `kFirst` of them, then chunks double in size.
//
// Threads:  one writer (Extend); any reader of rows whose number it learnt through an acquire of the writer's release.
// Ownership: owns its chunks. Blocking: never. Errors: std::bad_alloc from Extend, which then changed nothing.
// Why:      a reader needs no lock and no reference count, and an empty column costs 208 bytes.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace engram {

template <typename T, uint64_t kFirst = 64>
class ChunkedColumn {
 public:
  ChunkedColumn() = default;
  ChunkedColumn(const ChunkedColumn&) = delete;
  ChunkedColumn& operator=(const ChunkedColumn&) = delete;
  ~ChunkedColumn() {
    for (auto& chunk : chunks_) std::unique_ptr<T[]>(chunk.load(std::memory_order_relaxed)).reset();
  }

  // Makes rows [0, rows) exist, new ones value-initialised.
  void Extend(uint64_t rows) {
    while (capacity_ < rows) {
      const size_t chunk = ChunkOf(capacity_);
      chunks_[chunk].store(std::make_unique<T[]>(size_t{kFirst} << chunk).release(), std::memory_order_release);
      capacity_ += uint64_t{kFirst} << chunk;
    }
  }

  T& operator[](uint64_t row) { return *Row(row); }
  const T& operator[](uint64_t row) const { return *Row(row); }

  uint64_t bytes() const { return capacity_ * sizeof(T); }

 private:
  static constexpr size_t kChunks = 27;  // More than 2^32 rows, if the first has 64.

  // Chunk c holds rows [kFirst * (2^c - 1), kFirst * (2^(c+1) - 1)).
  static size_t ChunkOf(uint64_t row) { return std::bit_width(row / kFirst + 1) - 1; }

  T* Row(uint64_t row) const {
    const size_t chunk = ChunkOf(row);
    return chunks_[chunk].load(std::memory_order_acquire) + (row - kFirst * ((uint64_t{1} << chunk) - 1));
  }

  // Atomic: readers follow a chunk's pointer while the writer adds later chunks.
  std::array<std::atomic<T*>, kChunks> chunks_{};
  // Only the writer's.
  uint64_t capacity_ = 0;
};

}  // namespace engram
