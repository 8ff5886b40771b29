// The versions behind kernels.h. Only kernels.cc and the files that define one include this.
#pragma once

#include "index/kernels.h"

namespace engram::kernels {

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;    // AVX2, FMA and F16C.
extern const Kernels kAvx512;  // AVX-512 F.
#endif

}  // namespace engram::kernels
