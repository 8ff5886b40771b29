// The versions behind code_kernels.h. Only code_kernels.cc and the files that define one include this.
#pragma once

#include "index/code_kernels.h"

namespace engram::code_kernels {

extern const CodeKernels kPortable;
#if defined(__x86_64__)
extern const CodeKernels kAvx2;    // AVX2, FMA and POPCNT.
extern const CodeKernels kAvx512;  // AVX-512 F, BW, VL, VNNI and VPOPCNTDQ; what gains nothing by them is AVX2's.
#endif

}  // namespace engram::code_kernels
