// Arithmetic over vectors of binary32, in the widest instructions the processor has.
//
// Threads:  any; everything is const after the first use.
// Inputs:   any length, any alignment a float may have; `widen_f16` and `narrow_f16` take bytes of no alignment.
// Errors:   none. Versions differ in the last bits, for they add in different orders.
// Why:      one table of functions, chosen once at run time, so one build runs everywhere and a test can run them all.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace engram {

struct Kernels {
  std::string_view name;

  float (*dot)(const float* a, const float* b, size_t n);
  float (*squared_l2)(const float* a, const float* b, size_t n);
  // Not finite when an element is not, or when the sum overflows.
  float (*sum_of_squares)(const float* a, size_t n);
  // The same against `rows` vectors that lie `stride` floats apart: the bits that dot and squared_l2 give for each.
  void (*dot_rows)(const float* query, const float* first, size_t stride, size_t rows, size_t n, float* out);
  void (*squared_l2_rows)(const float* query, const float* first, size_t stride, size_t rows, size_t n, float* out);
  // Little-endian binary16 to binary32. The conversion is exact.
  void (*widen_f16)(const std::byte* in, float* out, size_t n);
  // Little-endian binary32 to binary16, rounded to the nearest, ties to even; what rounds beyond 65504 becomes infinite.
  // Returns the largest magnitude that went in. REQUIRES: elements are finite.
  float (*narrow_f16)(const std::byte* in, std::byte* out, size_t n);
};

// The fastest version that runs here.
const Kernels& BestKernels();
// "avx512", "avx2" or "portable"; null when unknown or when the processor lacks it.
const Kernels* KernelsFor(std::string_view name);
// Every name that KernelsFor knows, fastest first.
std::span<const std::string_view> KernelNames();

}  // namespace engram
