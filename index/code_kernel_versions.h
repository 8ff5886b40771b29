// The versions behind code_kernels.h. Only code_kernels.cc and the files that define one include this.
#pragma once

#include "index/code_kernels.h"

namespace engram::code_kernels {

extern const CodeKernels kPortable;
#if defined(__x86_64__)
extern const CodeKernels kAvx2;    // AVX2 and FMA.
extern const CodeKernels kAvx512;  // AVX-512 F, BW, VL, VNNI and VPOPCNTDQ; what gains nothing by them is AVX2's.

// Encoding, the same in both.
CodeKernels::Measure MeasureAvx2(const float* x, size_t n);
CodeKernels::Quantised QuantiseAvx2(const float* x, size_t n, float inverse_scale, float scale, int8_t* code);
void RotateBytesAvx2(const int8_t* in, size_t stride, const uint64_t* flips, size_t n, float* out);
void RotateAvx2(const float* in, const uint64_t* flips, size_t n, float* out);
double SignsAvx2(const float* x, size_t n, uint64_t* bits);
#endif

}  // namespace engram::code_kernels
