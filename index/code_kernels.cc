#include "index/code_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "index/code_kernel_versions.h"

namespace engram {
namespace code_kernels {
namespace {

constexpr size_t kTransform = 256;
constexpr size_t kPiece = 8;

int32_t Dot(const int8_t* a, const int8_t* b, size_t stride) {
  int32_t sum = 0;
  for (size_t i = 0; i < stride; ++i) sum += int32_t{a[i]} * b[i];
  return sum;
}

void DotFour(const int8_t* query, const int8_t* const* rows, size_t stride, int32_t* out) {
  for (size_t r = 0; r < 4; ++r) out[r] = Dot(query, rows[r], stride);
}

void DotRows(const int8_t* query, const int8_t* first, size_t stride, size_t count, int32_t* out) {
  for (size_t r = 0; r < count; ++r) out[r] = Dot(query, first + r * stride, stride);
}

void DotFloatRows(const float* query, const int8_t* first, size_t stride, size_t count, float* out) {
  for (size_t r = 0; r < count; ++r) {
    const int8_t* const row = first + r * stride;
    float sum[4] = {};
    for (size_t i = 0; i < stride; i += 4) {
      for (size_t j = 0; j < 4; ++j) sum[j] += query[i + j] * static_cast<float>(row[i + j]);
    }
    out[r] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
}

uint32_t Hamming(const uint64_t* a, const uint64_t* b, size_t words) {
  int differ = 0;
  for (size_t i = 0; i < words; ++i) differ += std::popcount(a[i] ^ b[i]);
  return static_cast<uint32_t>(differ);
}

void HammingFour(const uint64_t* query, const uint64_t* const* rows, size_t words, uint32_t* out) {
  for (size_t r = 0; r < 4; ++r) out[r] = Hamming(query, rows[r], words);
}

uint32_t ScoreBits(const uint64_t* query, const uint64_t* first, size_t words, size_t count, const float* factors,
                   float elements, float floor, float* scores) {
  uint32_t above = 0;
  for (size_t i = 0; i < count; ++i) {
    scores[i] = factors[i] * (elements - 2 * static_cast<float>(Hamming(query, first + i * words, words)));
    above |= uint32_t{scores[i] >= floor} << i;
  }
  return above;
}

CodeKernels::Measure MeasureOf(const float* x, size_t n) {
  CodeKernels::Measure measure;
  for (size_t i = 0; i < n; ++i) {
    measure.largest = std::max(measure.largest, std::abs(x[i]));
    measure.squares += double{x[i]} * x[i];
  }
  return measure;
}

CodeKernels::Quantised Quantise(const float* x, size_t n, float inverse_scale, float scale, int8_t* code) {
  CodeKernels::Quantised quantised;
  double residual_squares = 0;
  for (size_t i = 0; i < n; ++i) {
    const float rounded = std::nearbyintf(x[i] * inverse_scale);
    code[i] = static_cast<int8_t>(rounded);
    quantised.squares += static_cast<uint32_t>(int32_t{code[i]} * code[i]);
    const double lost = x[i] - double{scale} * rounded;
    residual_squares += lost * lost;
  }
  quantised.residual_squares = static_cast<float>(residual_squares);
  return quantised;
}

float Flipped(float x, const uint64_t* flips, size_t i) {
  const uint32_t flip = static_cast<uint32_t>(flips[i / 64] >> (i % 64) & 1) << 31;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(x) ^ flip);
}

// The order of the additions is that of the vector versions: they must agree in every sign.
void Transform(float* x) {
  for (size_t half = kTransform / 2; half != 0; half /= 2) {
    for (size_t begin = 0; begin < kTransform; begin += 2 * half) {
      for (size_t i = begin; i < begin + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
}

void RotateBytes(const int8_t* in, size_t stride, const uint64_t* flips, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = Flipped(i < stride ? in[i] : 0.0f, flips, i);
  for (size_t i = 0; i < n; i += kTransform) Transform(out + i);
}

void Rotate(const float* in, const uint64_t* flips, size_t n, float* out) {
  const size_t transforms = n / kTransform;
  for (size_t i = 0; i < n; ++i) {
    const size_t piece = i % kTransform / kPiece * transforms + i / kTransform;
    out[i] = Flipped(in[piece * kPiece + i % kPiece], flips, i);
  }
  for (size_t i = 0; i < n; i += kTransform) Transform(out + i);
}

double Signs(const float* x, size_t n, uint64_t* bits) {
  double sum = 0;
  std::memset(bits, 0, n / 8);
  for (size_t i = 0; i < n; ++i) {
    sum += std::abs(x[i]);
    if (x[i] >= 0) bits[i / 64] |= uint64_t{1} << (i % 64);
  }
  return sum;
}

}  // namespace

const CodeKernels kPortable = {
    .name = "portable",
    .dot = Dot,
    .dot_four = DotFour,
    .dot_rows = DotRows,
    .dot_float_rows = DotFloatRows,
    .hamming = Hamming,
    .hamming_four = HammingFour,
    .score_bits = ScoreBits,
    .measure = MeasureOf,
    .quantise = Quantise,
    .rotate_bytes = RotateBytes,
    .rotate = Rotate,
    .signs = Signs,
};

}  // namespace code_kernels

namespace {

constexpr std::array<std::string_view, 3> kNames = {"avx512", "avx2", "portable"};

}  // namespace

std::span<const std::string_view> CodeKernelNames() { return kNames; }

const CodeKernels* CodeKernelsFor(std::string_view name) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (name == "avx2") return avx2 ? &code_kernels::kAvx2 : nullptr;
  if (name == "avx512") {
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
                        __builtin_cpu_supports("avx512vpopcntdq");
    return avx512 ? &code_kernels::kAvx512 : nullptr;
  }
#endif
  return name == "portable" ? &code_kernels::kPortable : nullptr;
}

const CodeKernels& BestCodeKernels() {
  static const CodeKernels* const best = [] {
    for (std::string_view name : kNames) {
      if (const CodeKernels* kernels = CodeKernelsFor(name)) return kernels;
    }
    return &code_kernels::kPortable;
  }();
  return *best;
}

}  // namespace engram
