// A vector made ready to be compared with codes: as a code itself, and in full precision.
//
// Threads:   any; const after construction. Ownership: copies the vector. The coder outlives it.
// Errors:    std::bad_alloc. Any finite vector will do.
#pragma once

#include <span>

#include "index/coder.h"
#include "index/similarity.h"

namespace engram {

class CodeQuery {
 public:
  CodeQuery(const Coder& coder, std::span<const float> vector);

  const Coder& coder() const { return coder_; }
  const int8_t* code() const { return code_; }
  const uint64_t* bits() const { return bits_; }
  const CodeColumns& columns() const { return columns_; }

  // The vector is float_scale() * floats(): padded to a code's stride, and scaled by a power of two so that no product
  // with a code overflows. Under cosine it has unit length and float_scale() is 1.
  const float* floats() const { return floats_.data(); }
  double float_scale() const { return float_scale_; }
  double squares() const { return squares_; }  // |float_scale() * floats()|^2
  double norm() const { return norm_; }        // Its root.

 private:
  const Coder& coder_;
  AlignedFloats floats_;
  AlignedFloats codes_;  // The bytes of the code, then the bits.
  int8_t* code_;
  uint64_t* bits_;
  CodeColumns columns_;
  double float_scale_ = 1;
  double squares_ = 0;
  double norm_ = 0;
};

}  // namespace engram
