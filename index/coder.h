// From a vector to its codes: a signed byte for each element, and under cosine one bit for each as well.
//
// Bytes: code = round(x / scale) with scale = max|x| / 127, so an element is wrong by scale / 2 at most. Under cosine x
//        is taken at unit length. `residual` bounds what that costs: |x - scale * code|, rounded up, so a dot
//        product taken with the code is wrong by |other| * residual at most.
// Bits:  the signs of the code after a random rotation: three rounds of fixed sign flips and a Hadamard transform of
//        256 elements each. Of two vectors at an angle, that share of the bits differs. `bit_factor` corrects for how
//        unevenly the rotated elements are spread: sqrt(n) |r| / sum|r|, which is 1 when all are the same size.
//
// Threads:   any; const after construction.
// Errors:    none. Any finite vector has finite codes and columns: where binary32 would lose it, binary64 is used.
// Why:       docs/decisions/0014-codes-in-memory.md
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/types.h"
#include "index/code_kernels.h"

namespace engram {

// What belongs to a code.
struct CodeColumns {
  float scale = 0;
  float residual = 0;
  uint32_t squares = 0;   // |code|^2, exact.
  float bit_factor = 0;  // 0 without bits, or for a vector of zeros.
};

class Coder {
 public:
  static constexpr uint32_t kLargestDimension = 65536;
  // Fewer elements have too few signs to rank by, and their bytes are scanned quickly anyway.
  static constexpr uint32_t kSmallestWithBits = 256;

  Coder(Metric metric, uint32_t dimension, const CodeKernels& kernels = BestCodeKernels());

  Metric metric() const { return metric_; }
  uint32_t dimension() const { return dimension_; }
  const CodeKernels& kernels() const { return kernels_; }
  // Bytes of a code: the dimension padded to a cache line. The padding is 0.
  uint32_t stride() const { return stride_; }
  bool bits() const { return bit_words_ != 0; }
  // Words of a bit row, the dimension padded to 256; 0 without bits.
  uint32_t bit_words() const { return bit_words_; }

  // `code` has room for stride() bytes; `bits` for bit_words() words, and is not looked at without bits. Null: the bits are
  // made later, from the code.
  CodeColumns Encode(const float* vector, int8_t* code, uint64_t* bits) const;
  // The bits of a code, and its factor: what Encode makes of them.
  float EncodeBits(const int8_t* code, uint32_t squares, uint64_t* bits) const;

 private:
  CodeColumns EncodeBytes(const float* vector, int8_t* code) const;
  // Gives a code unit length, as vectors have under cosine: or among near copies those whose codes came out long by a
  // thousandth would be taken for the nearest. `lost`: the most that `step` times the code is away from the vector.
  static void MakeUnit(double step, double lost, CodeColumns* columns);
  // In binary64, for elements that binary32 cannot square.
  CodeColumns EncodeFar(const float* vector, double largest, double norm, int8_t* code) const;

  const Metric metric_;
  const uint32_t dimension_;
  const uint32_t stride_;
  const uint32_t bit_words_;
  const CodeKernels& kernels_;
};

}  // namespace engram
