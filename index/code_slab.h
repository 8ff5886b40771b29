// Codes by ordinal, with what belongs to each: append-only, never moved.
//
// Layout: sixteen codes make a *block*, their columns first and their rows behind. The bits, where the coder makes any,
//         lie in blocks of their own with their factors, so a scan of them reads one stream of 100 bytes a vector at 768-d.
// Threads:   Reserve, Append, SetCode, Publish: the writer. MakeBits: any thread, beside the writer and the readers.
//            Everything const: any thread, for ordinals below `size()`, bits below `bits_through()`, and for columns
//            below any ordinal that came from such a thread.
// Ownership: owns the memory; rows and columns stay where they are until it goes.
// Blocking:  never.
// Errors:    std::bad_alloc may leave Reserve and MakeBits, and then nothing has changed.
// Why:       index/block_extents.h, index/versioned_blocks.h; docs/decisions/0014-codes-in-memory.md. Bits cost as much
//            again as bytes do, and only linking and long scans need them, so the writer is spared them.
#pragma once

#include <absl/base/thread_annotations.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "index/coder.h"
#include "index/versioned_blocks.h"

namespace engram {

class CodeSlab : public VersionedBlocks {
 public:
  // See CodeColumns.
  struct alignas(64) Block : VersionColumns {
    std::array<float, kBlockRows> scale;
    std::array<float, kBlockRows> residual;
    std::array<uint32_t, kBlockRows> squares;
  };
  static_assert(sizeof(Block) == 448);

  struct alignas(64) BitBlock {
    std::array<float, kBlockRows> factor;
  };

  CodeSlab(Metric metric, uint32_t dimension);

  // --- writer ---

  // Makes room for the ordinals below `end`.
  void Reserve(Ordinal end);
  // Encodes `vector`, of `dimension` floats of any alignment, as the next unpublished ordinal: live, without an id and
  // without bits.
  void Append(Ordinal ordinal, const float* vector);
  // The same with a code that is known: `dimension` bytes from -127 to 127.
  void SetCode(Ordinal ordinal, const int8_t* code, float scale, float residual);

  // --- whoever makes bits ---

  // Makes the bits of the ordinals below `end` that have none yet; nothing without bits. Several threads take turns of a
  // few hundred. REQUIRES: end <= size().
  void MakeBits(Ordinal end) ABSL_LOCKS_EXCLUDED(bits_mu_);

  // --- readers ---

  const Coder& coder() const { return coder_; }
  uint32_t dimension() const { return coder_.dimension(); }
  uint32_t stride() const { return coder_.stride(); }        // Bytes from one code to the next of its block.
  bool bits() const { return coder_.bits(); }
  uint32_t bit_words() const { return coder_.bit_words(); }  // Words from one bit row to the next of its block.

  const Block& BlockOf(Ordinal ordinal) const {
    return *reinterpret_cast<const Block*>(blocks_.BlockAddress(ordinal));
  }
  Block& BlockOf(Ordinal ordinal) { return *reinterpret_cast<Block*>(blocks_.BlockAddress(ordinal)); }
  // 64-byte aligned. The rows of a block lie behind one another.
  const int8_t* Code(Ordinal ordinal) const { return reinterpret_cast<const int8_t*>(blocks_.RowAddress(ordinal)); }

  // The ordinals below it have bits, if bits() are made at all.
  Ordinal bits_through() const { return bits_through_.load(std::memory_order_acquire); }
  // REQUIRES: ordinal < bits_through(). Bit rows are 32-byte aligned, the first of a block 64.
  const BitBlock& BitBlockOf(Ordinal ordinal) const {
    return *reinterpret_cast<const BitBlock*>(bit_blocks_.BlockAddress(ordinal));
  }
  const uint64_t* Bits(Ordinal ordinal) const {
    return reinterpret_cast<const uint64_t*>(bit_blocks_.RowAddress(ordinal));
  }

  // Without bits their factor is 0.
  CodeColumns Columns(Ordinal ordinal) const;

  // Bytes of what holds the rows so far.
  uint64_t resident_bytes() const;

 private:
  // The row of the next unpublished ordinal.
  int8_t* BeginRow(Ordinal ordinal);
  void SetColumns(Ordinal ordinal, const CodeColumns& columns);

  // Constant after construction.
  const Coder coder_;

  // Whoever makes bits, and how far.
  Mutex bits_mu_;
  Ordinal bits_made_ ABSL_GUARDED_BY(bits_mu_) = 0;
  // Own synchronisation: extents and rows are stored before the watermark that reaches into them.
  BlockExtents bit_blocks_;
  std::atomic<Ordinal> bits_through_{0};
};

}  // namespace engram
