// Comparing codes with AVX2 and with AVX-512. Each function carries its own target, as in kernels_x86.cc.
#if defined(__x86_64__)

#include <immintrin.h>

#include <cstdint>

#include "index/code_kernel_versions.h"

namespace engram::code_kernels {
namespace {

#define ENGRAM_AVX2 __attribute__((target("avx2,fma")))
#define ENGRAM_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512vpopcntdq")))

// --- AVX2 ---

inline ENGRAM_AVX2 int32_t SumOfWords(__m256i v) {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

// The sums of four.
inline ENGRAM_AVX2 __m128i SumsOfWords(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  return _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

// The query's sign goes over to the row, for the instruction multiplies unsigned by signed. It adds two products in 16
// bits: 2 * 127 * 127 = 32258 fits.
inline ENGRAM_AVX2 __m256i AddProducts(__m256i sum, __m256i query, __m256i size, const int8_t* row) {
  const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(row));
  const __m256i products = _mm256_maddubs_epi16(size, _mm256_sign_epi8(bytes, query));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
}

ENGRAM_AVX2 int32_t Dot256(const int8_t* a, const int8_t* b, size_t stride) {
  __m256i even = _mm256_setzero_si256(), odd = even;
  for (size_t i = 0; i < stride; i += 64) {
    const __m256i first = _mm256_load_si256(reinterpret_cast<const __m256i*>(a + i));
    const __m256i second = _mm256_load_si256(reinterpret_cast<const __m256i*>(a + i + 32));
    even = AddProducts(even, first, _mm256_abs_epi8(first), b + i);
    odd = AddProducts(odd, second, _mm256_abs_epi8(second), b + i + 32);
  }
  return SumOfWords(_mm256_add_epi32(even, odd));
}

// `ahead`: what is read next of a scan, or null. Four short streams at once are too much for the processor to foresee:
// 768-d codes out of memory came in 8.2 ms per 100 000 without this, and in 5.0 with it.
inline ENGRAM_AVX2 __m128i FourDots256(const int8_t* ahead, const int8_t* query, const int8_t* r0,
                                       const int8_t* r1, const int8_t* r2, const int8_t* r3, size_t stride) {
  __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
  for (size_t i = 0; i < stride; i += 32) {
    if (ahead != nullptr) {
      _mm_prefetch(ahead + 4 * i, _MM_HINT_T0);
      _mm_prefetch(ahead + 4 * i + 64, _MM_HINT_T0);
    }
    const __m256i q = _mm256_load_si256(reinterpret_cast<const __m256i*>(query + i));
    const __m256i size = _mm256_abs_epi8(q);
    s0 = AddProducts(s0, q, size, r0 + i);
    s1 = AddProducts(s1, q, size, r1 + i);
    s2 = AddProducts(s2, q, size, r2 + i);
    s3 = AddProducts(s3, q, size, r3 + i);
  }
  return SumsOfWords(s0, s1, s2, s3);
}

ENGRAM_AVX2 void DotFour256(const int8_t* query, const int8_t* const* rows, size_t stride, int32_t* out) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   FourDots256(nullptr, query, rows[0], rows[1], rows[2], rows[3], stride));
}

ENGRAM_AVX2 void DotRows256(const int8_t* query, const int8_t* first, size_t stride, size_t count, int32_t* out) {
  size_t r = 0;
  for (; r + 4 <= count; r += 4) {
    const int8_t* const row = first + r * stride;
    const __m128i dots =
        FourDots256(row + 4 * stride, query, row, row + stride, row + 2 * stride, row + 3 * stride, stride);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + r), dots);
  }
  for (; r < count; ++r) out[r] = Dot256(query, first + r * stride, stride);
}

inline ENGRAM_AVX2 __m256 EightFloats(const int8_t* row) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row))));
}

ENGRAM_AVX2 void DotFloatRows256(const float* query, const int8_t* first, size_t stride, size_t count, float* out) {
  for (size_t r = 0; r < count; ++r) {
    const int8_t* const row = first + r * stride;
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < stride; i += 32) {
      s0 = _mm256_fmadd_ps(_mm256_load_ps(query + i), EightFloats(row + i), s0);
      s1 = _mm256_fmadd_ps(_mm256_load_ps(query + i + 8), EightFloats(row + i + 8), s1);
      s2 = _mm256_fmadd_ps(_mm256_load_ps(query + i + 16), EightFloats(row + i + 16), s2);
      s3 = _mm256_fmadd_ps(_mm256_load_ps(query + i + 24), EightFloats(row + i + 24), s3);
    }
    const __m256 all = _mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3));
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    out[r] = _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
  }
}

// How many bits differ, in each of four parts of 64 bits: nibbles are looked up, for AVX2 counts no bits.
inline ENGRAM_AVX2 __m256i Differing256(const uint64_t* a, const uint64_t* b, size_t words) {
  const __m256i ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i nibble = _mm256_set1_epi8(15);
  __m256i sum = _mm256_setzero_si256();
  for (size_t i = 0; i < words;) {
    // A byte holds the counts of 31 vectors.
    __m256i counts = _mm256_setzero_si256();
    for (const size_t end = words - i < 124 ? words : i + 124; i < end; i += 4) {
      const __m256i differ = _mm256_xor_si256(_mm256_load_si256(reinterpret_cast<const __m256i*>(a + i)),
                                              _mm256_load_si256(reinterpret_cast<const __m256i*>(b + i)));
      const __m256i low = _mm256_shuffle_epi8(ones, _mm256_and_si256(differ, nibble));
      const __m256i high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(differ, 4), nibble));
      counts = _mm256_add_epi8(counts, _mm256_add_epi8(low, high));
    }
    sum = _mm256_add_epi64(sum, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
  }
  return sum;
}

ENGRAM_AVX2 uint32_t Hamming256(const uint64_t* a, const uint64_t* b, size_t words) {
  return static_cast<uint32_t>(SumOfWords(Differing256(a, b, words)));
}

inline ENGRAM_AVX2 void FourDistances256(const uint64_t* query, const uint64_t* r0, const uint64_t* r1,
                                         const uint64_t* r2, const uint64_t* r3, size_t words, uint32_t* out) {
  const __m128i sums = SumsOfWords(Differing256(query, r0, words), Differing256(query, r1, words),
                                   Differing256(query, r2, words), Differing256(query, r3, words));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), sums);
}

ENGRAM_AVX2 void HammingFour256(const uint64_t* query, const uint64_t* const* rows, size_t words, uint32_t* out) {
  FourDistances256(query, rows[0], rows[1], rows[2], rows[3], words, out);
}

// Words: two kilobytes.
constexpr size_t kHammingAhead = 256;

inline ENGRAM_AVX2 void HammingRows256(const uint64_t* query, const uint64_t* first, size_t words, size_t count,
                                       uint32_t* out) {
  size_t r = 0;
  for (; r + 4 <= count; r += 4) {
    const uint64_t* const row = first + r * words;
    // Counting keeps up with the cache and not with memory; a kilobyte or two ahead the processor's own foresight ends.
    for (size_t line = 0; line < 4 * words; line += 8) _mm_prefetch(row + kHammingAhead + line, _MM_HINT_T0);
    FourDistances256(query, row, row + words, row + 2 * words, row + 3 * words, words, out + r);
  }
  for (; r < count; ++r) out[r] = Hamming256(query, first + r * words, words);
}

// Both factors of the product are exact, so it is the portable version's.
inline ENGRAM_AVX2 uint32_t BitScores256(const uint32_t* distances, const float* factors, float elements, float floor,
                                         float* scores) {
  uint32_t above = 0;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const __m256 distance =
        _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(distances + 8 * half)));
    const __m256 agreement = _mm256_sub_ps(_mm256_set1_ps(elements), _mm256_add_ps(distance, distance));
    const __m256 score = _mm256_mul_ps(_mm256_loadu_ps(factors + 8 * half), agreement);
    _mm256_storeu_ps(scores + 8 * half, score);
    const int mask = _mm256_movemask_ps(_mm256_cmp_ps(score, _mm256_set1_ps(floor), _CMP_GE_OQ));
    above |= static_cast<uint32_t>(mask) << (8 * half);
  }
  return above;
}

ENGRAM_AVX2 uint32_t ScoreBits256(const uint64_t* query, const uint64_t* first, size_t words, size_t count,
                                  const float* factors, float elements, float floor, float* scores) {
  alignas(64) uint32_t distances[16] = {};
  HammingRows256(query, first, words, count, distances);
  return BitScores256(distances, factors, elements, floor, scores);
}

// --- AVX-512 ---

// The instruction multiplies unsigned by signed, so 128 is added to the query, and 128 times the row taken off again.
ENGRAM_AVX512 int32_t Dot512(const int8_t* a, const int8_t* b, size_t stride) {
  const __m512i bias = _mm512_set1_epi8(-128);
  __m512i sum = _mm512_setzero_si512(), excess = sum;
  for (size_t i = 0; i < stride; i += 64) {
    const __m512i row = _mm512_load_si512(b + i);
    sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_load_si512(a + i), bias), row);
    excess = _mm512_dpbusd_epi32(excess, bias, row);
  }
  return _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excess));
}

inline ENGRAM_AVX512 __m256i Half(__m512i v) {
  return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

inline ENGRAM_AVX512 void FourDots512(const int8_t* ahead, const int8_t* query, const int8_t* const* rows,
                                      size_t stride, int32_t* out) {
  const __m512i bias = _mm512_set1_epi8(-128);
  __m512i sum[4], excess[4];
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) sum[v] = excess[v] = _mm512_setzero_si512();
  for (size_t i = 0; i < stride; i += 64) {
    if (ahead != nullptr) {
#pragma GCC unroll 4
      for (int line = 0; line < 4; ++line) _mm_prefetch(ahead + 4 * i + 64 * line, _MM_HINT_T0);
    }
    const __m512i q = _mm512_xor_si512(_mm512_load_si512(query + i), bias);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m512i row = _mm512_load_si512(rows[v] + i);
      sum[v] = _mm512_dpbusd_epi32(sum[v], q, row);
      excess[v] = _mm512_dpbusd_epi32(excess[v], bias, row);
    }
  }
  __m256i half[4];
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) half[v] = Half(_mm512_sub_epi32(sum[v], excess[v]));
  const __m256i pairs =
      _mm256_hadd_epi32(_mm256_hadd_epi32(half[0], half[1]), _mm256_hadd_epi32(half[2], half[3]));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)));
}

ENGRAM_AVX512 void DotFour512(const int8_t* query, const int8_t* const* rows, size_t stride, int32_t* out) {
  FourDots512(nullptr, query, rows, stride, out);
}

ENGRAM_AVX512 void DotRows512(const int8_t* query, const int8_t* first, size_t stride, size_t count, int32_t* out) {
  size_t r = 0;
  for (; r + 4 <= count; r += 4) {
    const int8_t* const row = first + r * stride;
    const int8_t* const rows[4] = {row, row + stride, row + 2 * stride, row + 3 * stride};
    FourDots512(row + 4 * stride, query, rows, stride, out + r);
  }
  for (; r < count; ++r) out[r] = Dot512(query, first + r * stride, stride);
}

ENGRAM_AVX512 void DotFloatRows512(const float* query, const int8_t* first, size_t stride, size_t count, float* out) {
  for (size_t r = 0; r < count; ++r) {
    const int8_t* const row = first + r * stride;
    __m512 sum[4];
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) sum[part] = _mm512_setzero_ps();
    for (size_t i = 0; i < stride; i += 64) {
#pragma GCC unroll 4
      for (int part = 0; part < 4; ++part) {
        const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(row + i + 16 * part));
        sum[part] = _mm512_fmadd_ps(_mm512_loadu_ps(query + i + 16 * part),
                                    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), sum[part]);
      }
    }
    out[r] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
  }
}

// Bit rows are whole 32 bytes but not whole 64.
inline ENGRAM_AVX512 __m256i Differing(const uint64_t* a, const uint64_t* b, size_t words) {
  __m256i sum = _mm256_setzero_si256();
  for (size_t i = 0; i < words; i += 4) {
    const __m256i differ = _mm256_xor_si256(_mm256_load_si256(reinterpret_cast<const __m256i*>(a + i)),
                                            _mm256_load_si256(reinterpret_cast<const __m256i*>(b + i)));
    sum = _mm256_add_epi64(sum, _mm256_popcnt_epi64(differ));
  }
  return sum;
}

ENGRAM_AVX512 uint32_t Hamming512(const uint64_t* a, const uint64_t* b, size_t words) {
  const __m256i counts = Differing(a, b, words);
  const __m128i sum = _mm_add_epi64(_mm256_castsi256_si128(counts), _mm256_extracti128_si256(counts, 1));
  return static_cast<uint32_t>(_mm_cvtsi128_si64(_mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum))));
}

inline ENGRAM_AVX512 __m128i FourDistances512(const uint64_t* query, const uint64_t* r0, const uint64_t* r1,
                                              const uint64_t* r2, const uint64_t* r3, size_t words) {
  const __m256i a = Differing(query, r0, words), b = Differing(query, r1, words);
  const __m256i c = Differing(query, r2, words), d = Differing(query, r3, words);
  const __m256i ab = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
  const __m256i cd = _mm256_add_epi64(_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
  const __m256i sums =
      _mm256_add_epi64(_mm256_permute2x128_si256(ab, cd, 0x20), _mm256_permute2x128_si256(ab, cd, 0x31));
  return _mm256_cvtepi64_epi32(sums);
}

ENGRAM_AVX512 void HammingFour512(const uint64_t* query, const uint64_t* const* rows, size_t words, uint32_t* out) {
  const __m128i distances = FourDistances512(query, rows[0], rows[1], rows[2], rows[3], words);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), distances);
}

ENGRAM_AVX512 uint32_t ScoreBits512(const uint64_t* query, const uint64_t* first, size_t words, size_t count,
                                    const float* factors, float elements, float floor, float* scores) {
  alignas(64) uint32_t distances[16] = {};
  size_t r = 0;
  for (; r + 4 <= count; r += 4) {
    const uint64_t* const row = first + r * words;
    _mm_store_si128(reinterpret_cast<__m128i*>(distances + r),
                    FourDistances512(query, row, row + words, row + 2 * words, row + 3 * words, words));
  }
  for (; r < count; ++r) distances[r] = Hamming512(query, first + r * words, words);
  // Both factors of the product are exact, so it is the portable version's.
  const __m512 distance = _mm512_cvtepi32_ps(_mm512_load_si512(distances));
  const __m512 agreement = _mm512_sub_ps(_mm512_set1_ps(elements), _mm512_add_ps(distance, distance));
  const __m512 score = _mm512_mul_ps(_mm512_loadu_ps(factors), agreement);
  _mm512_storeu_ps(scores, score);
  return _mm512_cmp_ps_mask(score, _mm512_set1_ps(floor), _CMP_GE_OQ);
}

#undef ENGRAM_AVX2
#undef ENGRAM_AVX512

}  // namespace

const CodeKernels kAvx512 = {
    .name = "avx512",
    .dot = Dot512,
    .dot_four = DotFour512,
    .dot_rows = DotRows512,
    .dot_float_rows = DotFloatRows512,
    .hamming = Hamming512,
    .hamming_four = HammingFour512,
    .score_bits = ScoreBits512,
    .measure = MeasureAvx2,
    .quantise = QuantiseAvx2,
    .rotate_bytes = RotateBytesAvx2,
    .rotate = RotateAvx2,
    .signs = SignsAvx2,
};

const CodeKernels kAvx2 = {
    .name = "avx2",
    .dot = Dot256,
    .dot_four = DotFour256,
    .dot_rows = DotRows256,
    .dot_float_rows = DotFloatRows256,
    .hamming = Hamming256,
    .hamming_four = HammingFour256,
    .score_bits = ScoreBits256,
    .measure = MeasureAvx2,
    .quantise = QuantiseAvx2,
    .rotate_bytes = RotateBytesAvx2,
    .rotate = RotateAvx2,
    .signs = SignsAvx2,
};

}  // namespace engram::code_kernels

#endif  // defined(__x86_64__)
