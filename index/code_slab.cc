#include "index/code_slab.h"

#include <new>

namespace engram {

CodeSlab::CodeSlab(Metric metric, uint32_t dimension)
    : VersionedBlocks(sizeof(Block), Coder(metric, dimension).stride()),
      coder_(metric, dimension),
      bit_blocks_(sizeof(BitBlock), coder_.bit_words() * sizeof(uint64_t)) {}

void CodeSlab::Reserve(Ordinal end) {
  blocks_.Reserve(end);
  if (bits()) bit_blocks_.Reserve(end);
}

void CodeSlab::Append(Ordinal ordinal, const float* vector) {
  const uint32_t lane = Lane(ordinal);
  if (lane == 0) {
    SetAllLive(*new (blocks_.BlockAddress(ordinal)) Block);
    if (bits()) new (bit_blocks_.BlockAddress(ordinal)) BitBlock;
  }
  auto* const code = reinterpret_cast<int8_t*>(blocks_.RowAddress(ordinal));
  auto* const bits = coder_.bits() ? reinterpret_cast<uint64_t*>(bit_blocks_.RowAddress(ordinal)) : nullptr;
  const CodeColumns columns = coder_.Encode(vector, code, bits);
  Block& block = BlockOf(ordinal);
  block.scale[lane] = columns.scale;
  block.residual[lane] = columns.residual;
  block.squares[lane] = columns.squares;
  if (bits != nullptr) {
    reinterpret_cast<BitBlock*>(bit_blocks_.BlockAddress(ordinal))->factor[lane] = columns.bit_factor;
  }
}

CodeColumns CodeSlab::Columns(Ordinal ordinal) const {
  const uint32_t lane = Lane(ordinal);
  const Block& block = BlockOf(ordinal);
  return {block.scale[lane], block.residual[lane], block.squares[lane], bits() ? BitBlockOf(ordinal).factor[lane] : 0};
}

uint64_t CodeSlab::resident_bytes() const {
  return blocks_.ResidentBytes(size()) + (bits() ? bit_blocks_.ResidentBytes(size()) : 0);
}

}  // namespace engram
