// Arithmetic over codes: vectors as signed bytes, and as one bit for each element, by the widest instructions.
//
// Threads:  any; everything is const after the first use.
// Inputs:   bytes lie in [-127, 127] (-128 never occurs; the AVX2 version relies on it), byte rows are 64-byte aligned
//           and padded with 0 to `stride`, a multiple of 64 and at most 65 536. Bit rows are 32-byte aligned, `words`
//           is a multiple of 4.
// Errors:   none. What is an integer is the same in every version; sums of binary32 differ in the last bits.
// Why:      one table of functions, as in index/kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace engram {

struct CodeKernels {
  std::string_view name;

  // --- comparing ---

  int32_t (*dot)(const int8_t* a, const int8_t* b, size_t stride);
  // With four rows anywhere.
  void (*dot_four)(const int8_t* query, const int8_t* const* rows, size_t stride, int32_t* out);
  // With `count` rows that lie `stride` behind one another.
  void (*dot_rows)(const int8_t* query, const int8_t* first, size_t stride, size_t count, int32_t* out);
  // Of a binary32 vector of `stride` elements, 32-byte aligned.
  void (*dot_float_rows)(const float* query, const int8_t* first, size_t stride, size_t count, float* out);

  // In how many bits they differ.
  uint32_t (*hamming)(const uint64_t* a, const uint64_t* b, size_t words);
  void (*hamming_four)(const uint64_t* query, const uint64_t* const* rows, size_t words, uint32_t* out);

  // What `count` rows, sixteen at most, that lie behind one another are worth by their bits: factors[i] * (elements - 2 *
  // in how many bits row i differs). Returns which of them are at least `floor`, the first in the lowest bit. Sixteen
  // factors are read and sixteen scores written; those beyond `count`, in both and in what is returned, mean nothing.
  uint32_t (*score_bits)(const uint64_t* query, const uint64_t* first, size_t words, size_t count, const float* factors,
                         float elements, float floor, float* scores);

  // --- encoding ---

  struct Measure {
    float largest = 0;    // max |x|
    double squares = 0;  // Of x, in binary64.
  };
  Measure (*measure)(const float* x, size_t n);

  struct Quantised {
    uint32_t squares = 0;         // Of the code.
    float residual_squares = 0;  // Of x - scale * code.
  };
  // code = round(x * inverse_scale), ties to even. REQUIRES: no |x * inverse_scale| above 127.4.
  Quantised (*quantise)(const float* x, size_t n, float inverse_scale, float scale, int8_t* code);

  // One round of a random rotation: takes `n` elements, a multiple of 256, flips signs as `flips` says (a bit each) and
  // transforms each 256 of them by Hadamard's matrix. `in` and `out` are 32-byte aligned and do not overlap.
  // `rotate_bytes` takes 0 for the elements beyond `stride`. `rotate` takes its input eight elements at a time in the
  // order in which every transform gets some of every transform before it.
  void (*rotate_bytes)(const int8_t* in, size_t stride, const uint64_t* flips, size_t n, float* out);
  void (*rotate)(const float* in, const uint64_t* flips, size_t n, float* out);
  // Bit i is set when x[i] >= 0. Returns the sum of |x|.
  double (*signs)(const float* x, size_t n, uint64_t* bits);
};

// The fastest version that runs here.
const CodeKernels& BestCodeKernels();
// "avx512" (VNNI and VPOPCNTDQ), "avx2" or "portable"; null when unknown or when the processor lacks it.
const CodeKernels* CodeKernelsFor(std::string_view name);
std::span<const std::string_view> CodeKernelNames();

}  // namespace engram
