// Encoding with AVX2. Each function carries its own target, as in kernels_x86.cc.
#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "index/code_kernel_versions.h"

namespace engram::code_kernels {
namespace {

#define ENGRAM_AVX2 __attribute__((target("avx2,fma")))

constexpr size_t kTransform = 256;
constexpr size_t kPiece = 8;
constexpr size_t kStep = 32;

inline ENGRAM_AVX2 __m256 Absolute(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

inline ENGRAM_AVX2 double SumOfDoubles(__m256d v) {
  const __m128d sum = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(sum, _mm_unpackhi_pd(sum, sum)));
}

inline ENGRAM_AVX2 float SumOfFloats(__m256 v) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}

inline ENGRAM_AVX2 uint32_t SumOfWords(__m256i v) {
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(sum));
}

struct Quantising {
  __m256 inverse_scale;
  __m256 scale;
  __m256 residual_squares[4];
  __m256i squares;
};

// 32 elements.
inline ENGRAM_AVX2 __m256i QuantiseStep(const float* x, Quantising& state) {
  __m256i whole[4];
#pragma GCC unroll 4
  for (int part = 0; part < 4; ++part) {
    const __m256 piece = _mm256_loadu_ps(x + 8 * part);
    whole[part] = _mm256_cvtps_epi32(_mm256_mul_ps(piece, state.inverse_scale));
    const __m256 lost = _mm256_fnmadd_ps(state.scale, _mm256_cvtepi32_ps(whole[part]), piece);
    state.residual_squares[part] = _mm256_fmadd_ps(lost, lost, state.residual_squares[part]);
  }
  const __m256i low = _mm256_packs_epi32(whole[0], whole[1]);
  const __m256i high = _mm256_packs_epi32(whole[2], whole[3]);
  state.squares =
      _mm256_add_epi32(state.squares, _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high)));
  // Packing works within halves and leaves fours of elements in the order 0 2 4 6 1 3 5 7.
  return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// --- Hadamard ---

// a, b := a + b, a - b.
inline ENGRAM_AVX2 void Butterfly(__m256& a, __m256& b) {
  const __m256 sum = _mm256_add_ps(a, b);
  b = _mm256_sub_ps(a, b);
  a = sum;
}

inline ENGRAM_AVX2 __m256 WithinPiece(__m256 x) {
  const __m256 upper_half = _mm256_setr_ps(0, 0, 0, 0, -0.0f, -0.0f, -0.0f, -0.0f);
  const __m256 upper_pairs = _mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f);
  const __m256 odd = _mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f);
  x = _mm256_add_ps(_mm256_permute2f128_ps(x, x, 1), _mm256_xor_ps(x, upper_half));
  x = _mm256_add_ps(_mm256_permute_ps(x, 0x4e), _mm256_xor_ps(x, upper_pairs));
  return _mm256_add_ps(_mm256_permute_ps(x, 0xb1), _mm256_xor_ps(x, odd));
}

// One transform. `piece(i)` gives the i-th of its 32 pieces. Additions in the order of the portable version.
template <class Piece>
inline ENGRAM_AVX2 void TransformInto(float* out, const unsigned char* flips, const Piece& piece) {
  const __m256i to_sign = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
  const __m256 sign = _mm256_set1_ps(-0.0f);
  for (size_t first = 0; first < 4; ++first) {
    __m256 x[8];
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) {
      const __m256i spread = _mm256_sllv_epi32(_mm256_set1_epi32(flips[first + 4 * i]), to_sign);
      x[i] = _mm256_xor_ps(piece(first + 4 * i), _mm256_and_ps(_mm256_castsi256_ps(spread), sign));
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) Butterfly(x[i], x[i + 4]);
#pragma GCC unroll 2
    for (size_t i = 0; i < 8; i += 4) {
      Butterfly(x[i], x[i + 2]);
      Butterfly(x[i + 1], x[i + 3]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 8; i += 2) Butterfly(x[i], x[i + 1]);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) _mm256_store_ps(out + kPiece * (first + 4 * i), x[i]);
  }
  for (size_t first = 0; first < 32; first += 4) {
    float* const at = out + kPiece * first;
    __m256 a = _mm256_load_ps(at), b = _mm256_load_ps(at + 8), c = _mm256_load_ps(at + 16), d = _mm256_load_ps(at + 24);
    Butterfly(a, c);
    Butterfly(b, d);
    Butterfly(a, b);
    Butterfly(c, d);
    _mm256_store_ps(at, WithinPiece(a));
    _mm256_store_ps(at + 8, WithinPiece(b));
    _mm256_store_ps(at + 16, WithinPiece(c));
    _mm256_store_ps(at + 24, WithinPiece(d));
  }
}

struct BytePieces {
  const int8_t* in;
  size_t begin;
  size_t stride;
  ENGRAM_AVX2 __m256 operator()(size_t i) const {
    const size_t at = begin + kPiece * i;
    if (at >= stride) return _mm256_setzero_ps();
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + at))));
  }
};

struct FloatPieces {
  const float* in;
  size_t transform;
  size_t transforms;
  ENGRAM_AVX2 __m256 operator()(size_t i) const { return _mm256_load_ps(in + kPiece * (i * transforms + transform)); }
};

}  // namespace

ENGRAM_AVX2 CodeKernels::Measure MeasureAvx2(const float* x, size_t n) {
  __m256 largest = _mm256_setzero_ps();
  __m256d low = _mm256_setzero_pd(), high = low;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 piece = _mm256_loadu_ps(x + i);
    largest = _mm256_max_ps(largest, Absolute(piece));
    const __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(piece));
    const __m256d b = _mm256_cvtps_pd(_mm256_extractf128_ps(piece, 1));
    low = _mm256_fmadd_pd(a, a, low);
    high = _mm256_fmadd_pd(b, b, high);
  }
  alignas(32) float lanes[8];
  _mm256_store_ps(lanes, largest);
  CodeKernels::Measure measure = kPortable.measure(x + i, n - i);
  for (float lane : lanes) measure.largest = std::max(measure.largest, lane);
  measure.squares += SumOfDoubles(_mm256_add_pd(low, high));
  return measure;
}

ENGRAM_AVX2 CodeKernels::Quantised QuantiseAvx2(const float* x, size_t n, float inverse_scale, float scale,
                                                int8_t* code) {
  Quantising state;
  state.inverse_scale = _mm256_set1_ps(inverse_scale);
  state.scale = _mm256_set1_ps(scale);
  for (__m256& sum : state.residual_squares) sum = _mm256_setzero_ps();
  state.squares = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(code + i), QuantiseStep(x + i, state));
  }
  if (i < n) {
    float rest[kStep] = {};
    std::memcpy(rest, x + i, (n - i) * sizeof(float));
    alignas(32) int8_t bytes[kStep];
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes), QuantiseStep(rest, state));
    std::memcpy(code + i, bytes, n - i);
  }
  const __m256 residual_squares = _mm256_add_ps(_mm256_add_ps(state.residual_squares[0], state.residual_squares[1]),
                                                _mm256_add_ps(state.residual_squares[2], state.residual_squares[3]));
  return {SumOfWords(state.squares), SumOfFloats(residual_squares)};
}

ENGRAM_AVX2 void RotateBytesAvx2(const int8_t* in, size_t stride, const uint64_t* flips, size_t n, float* out) {
  const auto* const flip_bytes = reinterpret_cast<const unsigned char*>(flips);
  for (size_t begin = 0; begin < n; begin += kTransform) {
    TransformInto(out + begin, flip_bytes + begin / 8, BytePieces{in, begin, stride});
  }
}

ENGRAM_AVX2 void RotateAvx2(const float* in, const uint64_t* flips, size_t n, float* out) {
  const auto* const flip_bytes = reinterpret_cast<const unsigned char*>(flips);
  const size_t transforms = n / kTransform;
  for (size_t t = 0; t < transforms; ++t) {
    TransformInto(out + t * kTransform, flip_bytes + t * kTransform / 8, FloatPieces{in, t, transforms});
  }
}

ENGRAM_AVX2 double SignsAvx2(const float* x, size_t n, uint64_t* bits) {
  auto* const bytes = reinterpret_cast<unsigned char*>(bits);
  __m256 sum = _mm256_setzero_ps();
  for (size_t i = 0; i < n; i += 8) {
    const __m256 piece = _mm256_loadu_ps(x + i);
    sum = _mm256_add_ps(sum, Absolute(piece));
    const __m256 positive = _mm256_cmp_ps(piece, _mm256_setzero_ps(), _CMP_GE_OQ);
    bytes[i / 8] = static_cast<unsigned char>(_mm256_movemask_ps(positive));
  }
  return SumOfFloats(sum);
}

#undef ENGRAM_AVX2

}  // namespace engram::code_kernels

#endif  // defined(__x86_64__)
