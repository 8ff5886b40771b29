#include "index/code_slab.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/base/check.h"

namespace engram {

CodeSlab::CodeSlab(Metric metric, uint32_t dimension)
    : VersionedBlocks(sizeof(Block), Coder(metric, dimension).stride()),
      coder_(metric, dimension),
      bit_blocks_(sizeof(BitBlock), coder_.bit_words() * sizeof(uint64_t)) {}

void CodeSlab::Reserve(Ordinal end) { blocks_.Reserve(end); }

int8_t* CodeSlab::BeginRow(Ordinal ordinal) {
  if (Lane(ordinal) == 0) SetAllLive(*new (blocks_.BlockAddress(ordinal)) Block);
  return reinterpret_cast<int8_t*>(blocks_.RowAddress(ordinal));
}

void CodeSlab::SetColumns(Ordinal ordinal, const CodeColumns& columns) {
  const uint32_t lane = Lane(ordinal);
  Block& block = BlockOf(ordinal);
  block.scale[lane] = columns.scale;
  block.residual[lane] = columns.residual;
  block.squares[lane] = columns.squares;
}

void CodeSlab::Append(Ordinal ordinal, const float* vector) {
  int8_t* const code = BeginRow(ordinal);
  SetColumns(ordinal, coder_.Encode(vector, code, nullptr));
}

void CodeSlab::SetCode(Ordinal ordinal, const int8_t* code, float scale, float residual) {
  int8_t* const row = BeginRow(ordinal);
  std::memcpy(row, code, dimension());
  std::memset(row + dimension(), 0, stride() - dimension());
  CodeColumns columns;
  columns.scale = scale;
  columns.residual = residual;
  columns.squares = static_cast<uint32_t>(coder_.kernels().dot(row, row, stride()));
  SetColumns(ordinal, columns);
}

void CodeSlab::MakeBits(Ordinal end) {
  ENGRAM_CHECK(end <= size());
  constexpr Ordinal kAtOnce = 256;
  while (bits() && bits_through() < end) {
    MutexLock lock(bits_mu_);
    Ordinal ordinal = bits_made_;
    if (ordinal >= end) return;
    const Ordinal stop = ordinal + std::min(end - ordinal, kAtOnce);
    bit_blocks_.Reserve(stop);
    for (; ordinal < stop; ++ordinal) {
      if (Lane(ordinal) == 0) new (bit_blocks_.BlockAddress(ordinal)) BitBlock;
      auto* const bits = reinterpret_cast<uint64_t*>(bit_blocks_.RowAddress(ordinal));
      reinterpret_cast<BitBlock*>(bit_blocks_.BlockAddress(ordinal))->factor[Lane(ordinal)] =
          coder_.EncodeBits(Code(ordinal), BlockOf(ordinal).squares[Lane(ordinal)], bits);
    }
    bits_made_ = stop;
    bits_through_.store(stop, std::memory_order_release);
  }
}

CodeColumns CodeSlab::Columns(Ordinal ordinal) const {
  const uint32_t lane = Lane(ordinal);
  const Block& block = BlockOf(ordinal);
  const bool has_bits = ordinal < bits_through();
  return {block.scale[lane], block.residual[lane], block.squares[lane], has_bits ? BitBlockOf(ordinal).factor[lane] : 0};
}

uint64_t CodeSlab::resident_bytes() const {
  return blocks_.ResidentBytes(size()) + bit_blocks_.ResidentBytes(bits_through());
}

}  // namespace engram
