// The AVX2 and AVX-512 versions. Each function carries its own target, so the file needs no flags of its own and nothing
// of it runs on a processor that lacks the instructions.
#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "index/kernel_versions.h"

namespace engram::kernels {
namespace {

#define ENGRAM_AVX512 __attribute__((target("avx512f")))
#define ENGRAM_AVX2 __attribute__((target("avx2,fma,f16c")))

// --- AVX-512 ---

// Lanes [0, n) of 16; n is 1..15.
inline ENGRAM_AVX512 __mmask16 FirstLanes(size_t n) { return static_cast<__mmask16>((1u << n) - 1); }

ENGRAM_AVX512 float Dot512(const float* a, const float* b, size_t n) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
    s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
    s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
  }
  for (; i + 16 <= n; i += 16) s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
  if (i < n) {
    const __mmask16 rest = FirstLanes(n - i);
    s1 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(rest, a + i), _mm512_maskz_loadu_ps(rest, b + i), s1);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

inline ENGRAM_AVX512 __m512 AddSquaredDifference512(__m512 a, __m512 b, __m512 sum) {
  const __m512 difference = _mm512_sub_ps(a, b);
  return _mm512_fmadd_ps(difference, difference, sum);
}

ENGRAM_AVX512 float SquaredL2512(const float* a, const float* b, size_t n) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    s0 = AddSquaredDifference512(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = AddSquaredDifference512(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
    s2 = AddSquaredDifference512(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
    s3 = AddSquaredDifference512(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
  }
  for (; i + 16 <= n; i += 16) s0 = AddSquaredDifference512(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
  if (i < n) {
    const __mmask16 rest = FirstLanes(n - i);
    s1 = AddSquaredDifference512(_mm512_maskz_loadu_ps(rest, a + i), _mm512_maskz_loadu_ps(rest, b + i), s1);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

ENGRAM_AVX512 float SumOfSquares512(const float* a, size_t n) { return Dot512(a, a, n); }

// Four rows at once: the query is loaded once for all four, and four streams keep more of the memory busy than one. Each
// row is added up in the order of the single version, so both give the same bits.
ENGRAM_AVX512 void DotRows512(const float* query, const float* first, size_t stride, size_t rows, size_t n,
                              float* out) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* row[4] = {first + r * stride, first + (r + 1) * stride, first + (r + 2) * stride,
                           first + (r + 3) * stride};
    __m512 sum[4][4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sum[v][0] = sum[v][1] = sum[v][2] = sum[v][3] = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
#pragma GCC unroll 4
      for (int part = 0; part < 4; ++part) {
        const __m512 q = _mm512_loadu_ps(query + i + 16 * part);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) sum[v][part] = _mm512_fmadd_ps(q, _mm512_loadu_ps(row[v] + i + 16 * part), sum[v][part]);
      }
    }
    for (; i + 16 <= n; i += 16) {
      const __m512 q = _mm512_loadu_ps(query + i);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[v][0] = _mm512_fmadd_ps(q, _mm512_loadu_ps(row[v] + i), sum[v][0]);
    }
    if (i < n) {
      const __mmask16 rest = FirstLanes(n - i);
      const __m512 q = _mm512_maskz_loadu_ps(rest, query + i);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[v][1] = _mm512_fmadd_ps(q, _mm512_maskz_loadu_ps(rest, row[v] + i), sum[v][1]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      out[r + v] =
          _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[v][0], sum[v][1]), _mm512_add_ps(sum[v][2], sum[v][3])));
    }
  }
  for (; r < rows; ++r) out[r] = Dot512(query, first + r * stride, n);
}

ENGRAM_AVX512 void SquaredL2Rows512(const float* query, const float* first, size_t stride, size_t rows, size_t n,
                              float* out) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* row[4] = {first + r * stride, first + (r + 1) * stride, first + (r + 2) * stride,
                           first + (r + 3) * stride};
    __m512 sum[4][4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sum[v][0] = sum[v][1] = sum[v][2] = sum[v][3] = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
#pragma GCC unroll 4
      for (int part = 0; part < 4; ++part) {
        const __m512 q = _mm512_loadu_ps(query + i + 16 * part);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) sum[v][part] = AddSquaredDifference512(q, _mm512_loadu_ps(row[v] + i + 16 * part), sum[v][part]);
      }
    }
    for (; i + 16 <= n; i += 16) {
      const __m512 q = _mm512_loadu_ps(query + i);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[v][0] = AddSquaredDifference512(q, _mm512_loadu_ps(row[v] + i), sum[v][0]);
    }
    if (i < n) {
      const __mmask16 rest = FirstLanes(n - i);
      const __m512 q = _mm512_maskz_loadu_ps(rest, query + i);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[v][1] = AddSquaredDifference512(q, _mm512_maskz_loadu_ps(rest, row[v] + i), sum[v][1]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      out[r + v] =
          _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[v][0], sum[v][1]), _mm512_add_ps(sum[v][2], sum[v][3])));
    }
  }
  for (; r < rows; ++r) out[r] = SquaredL2512(query, first + r * stride, n);
}

ENGRAM_AVX512 void WidenF16512(const std::byte* in, float* out, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + 2 * i));
    _mm512_storeu_ps(out + i, _mm512_cvtph_ps(halves));
  }
  if (i < n) kPortable.widen_f16(in + 2 * i, out + i, n - i);
}

ENGRAM_AVX512 float NarrowF16512(const std::byte* in, std::byte* out, size_t n) {
  __m512 largest = _mm512_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m512 wide = _mm512_loadu_ps(in + 4 * i);
    largest = _mm512_max_ps(largest, _mm512_abs_ps(wide));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * i), _mm512_cvtps_ph(wide, _MM_FROUND_TO_NEAREST_INT));
  }
  const float rest = i < n ? kPortable.narrow_f16(in + 4 * i, out + 2 * i, n - i) : 0.0f;
  return std::max(_mm512_reduce_max_ps(largest), rest);
}

// --- AVX2 ---

inline ENGRAM_AVX2 float Sum256(__m256 v) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  sum = _mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1));
  return _mm_cvtss_f32(sum);
}

ENGRAM_AVX2 float Dot256(const float* a, const float* b, size_t n) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
    s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
  }
  for (; i + 8 <= n; i += 8) s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
  float sum = Sum256(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

inline ENGRAM_AVX2 __m256 AddSquaredDifference256(__m256 a, __m256 b, __m256 sum) {
  const __m256 difference = _mm256_sub_ps(a, b);
  return _mm256_fmadd_ps(difference, difference, sum);
}

ENGRAM_AVX2 float SquaredL2256(const float* a, const float* b, size_t n) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 = AddSquaredDifference256(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = AddSquaredDifference256(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    s2 = AddSquaredDifference256(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
    s3 = AddSquaredDifference256(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
  }
  for (; i + 8 <= n; i += 8) s0 = AddSquaredDifference256(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
  float sum = Sum256(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  for (; i < n; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

ENGRAM_AVX2 float SumOfSquares256(const float* a, size_t n) { return Dot256(a, a, n); }

// Two rows at once: sixteen registers hold four sums for each and the query, in the order of the single version.
ENGRAM_AVX2 void DotRows256(const float* query, const float* first, size_t stride, size_t rows, size_t n,
                            float* out) {
  size_t r = 0;
  for (; r + 2 <= rows; r += 2) {
    const float* row[2] = {first + r * stride, first + (r + 1) * stride};
    __m256 sum[2][4];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) sum[v][0] = sum[v][1] = sum[v][2] = sum[v][3] = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
#pragma GCC unroll 4
      for (int part = 0; part < 4; ++part) {
        const __m256 q = _mm256_loadu_ps(query + i + 8 * part);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) sum[v][part] = _mm256_fmadd_ps(q, _mm256_loadu_ps(row[v] + i + 8 * part), sum[v][part]);
      }
    }
    for (; i + 8 <= n; i += 8) {
      const __m256 q = _mm256_loadu_ps(query + i);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) sum[v][0] = _mm256_fmadd_ps(q, _mm256_loadu_ps(row[v] + i), sum[v][0]);
    }
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      float total =
          Sum256(_mm256_add_ps(_mm256_add_ps(sum[v][0], sum[v][1]), _mm256_add_ps(sum[v][2], sum[v][3])));
      for (size_t j = i; j < n; ++j) total += query[j] * row[v][j];
      out[r + v] = total;
    }
  }
  for (; r < rows; ++r) out[r] = Dot256(query, first + r * stride, n);
}

ENGRAM_AVX2 void SquaredL2Rows256(const float* query, const float* first, size_t stride, size_t rows, size_t n,
                            float* out) {
  size_t r = 0;
  for (; r + 2 <= rows; r += 2) {
    const float* row[2] = {first + r * stride, first + (r + 1) * stride};
    __m256 sum[2][4];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) sum[v][0] = sum[v][1] = sum[v][2] = sum[v][3] = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
#pragma GCC unroll 4
      for (int part = 0; part < 4; ++part) {
        const __m256 q = _mm256_loadu_ps(query + i + 8 * part);
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) sum[v][part] = AddSquaredDifference256(q, _mm256_loadu_ps(row[v] + i + 8 * part), sum[v][part]);
      }
    }
    for (; i + 8 <= n; i += 8) {
      const __m256 q = _mm256_loadu_ps(query + i);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) sum[v][0] = AddSquaredDifference256(q, _mm256_loadu_ps(row[v] + i), sum[v][0]);
    }
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      float total =
          Sum256(_mm256_add_ps(_mm256_add_ps(sum[v][0], sum[v][1]), _mm256_add_ps(sum[v][2], sum[v][3])));
      for (size_t j = i; j < n; ++j) total += (query[j] - row[v][j]) * (query[j] - row[v][j]);
      out[r + v] = total;
    }
  }
  for (; r < rows; ++r) out[r] = SquaredL2256(query, first + r * stride, n);
}

ENGRAM_AVX2 void WidenF16256(const std::byte* in, float* out, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 2 * i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
  }
  if (i < n) kPortable.widen_f16(in + 2 * i, out + i, n - i);
}

ENGRAM_AVX2 float NarrowF16256(const std::byte* in, std::byte* out, size_t n) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256 largest = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 wide = _mm256_loadu_ps(reinterpret_cast<const float*>(in + 4 * i));
    largest = _mm256_max_ps(largest, _mm256_andnot_ps(sign, wide));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * i), _mm256_cvtps_ph(wide, _MM_FROUND_TO_NEAREST_INT));
  }
  __m128 most = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  most = _mm_max_ss(most, _mm_shuffle_ps(most, most, 1));
  const float rest = i < n ? kPortable.narrow_f16(in + 4 * i, out + 2 * i, n - i) : 0.0f;
  return std::max(_mm_cvtss_f32(most), rest);
}

#undef ENGRAM_AVX512
#undef ENGRAM_AVX2

}  // namespace

const Kernels kAvx512 = {
    .name = "avx512",
    .dot = Dot512,
    .squared_l2 = SquaredL2512,
    .sum_of_squares = SumOfSquares512,
    .dot_rows = DotRows512,
    .squared_l2_rows = SquaredL2Rows512,
    .widen_f16 = WidenF16512,
    .narrow_f16 = NarrowF16512,
};

const Kernels kAvx2 = {
    .name = "avx2",
    .dot = Dot256,
    .squared_l2 = SquaredL2256,
    .sum_of_squares = SumOfSquares256,
    .dot_rows = DotRows256,
    .squared_l2_rows = SquaredL2Rows256,
    .widen_f16 = WidenF16256,
    .narrow_f16 = NarrowF16256,
};

}  // namespace engram::kernels

#endif  // defined(__x86_64__)
