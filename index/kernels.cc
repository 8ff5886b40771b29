#include "index/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "index/kernel_versions.h"
#include "index/space_index.h"

namespace engram {
namespace kernels {
namespace {

// Four sums, as in the vector versions: shorter chains of additions, and less rounding.
float Dot(const float* a, const float* b, size_t n) {
  float sum[4] = {};
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (size_t j = 0; j < 4; ++j) sum[j] += a[i + j] * b[i + j];
  }
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

float SquaredL2(const float* a, const float* b, size_t n) {
  float sum[4] = {};
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (size_t j = 0; j < 4; ++j) {
      const float difference = a[i + j] - b[i + j];
      sum[j] += difference * difference;
    }
  }
  for (; i < n; ++i) sum[0] += (a[i] - b[i]) * (a[i] - b[i]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

float SumOfSquares(const float* a, size_t n) { return Dot(a, a, n); }

void DotRows(const float* query, const float* first, size_t stride, size_t rows, size_t n, float* out) {
  for (size_t r = 0; r < rows; ++r) out[r] = Dot(query, first + r * stride, n);
}

void SquaredL2Rows(const float* query, const float* first, size_t stride, size_t rows, size_t n, float* out) {
  for (size_t r = 0; r < rows; ++r) out[r] = SquaredL2(query, first + r * stride, n);
}

float WidenHalf(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t fraction = half & 0x3ff;
  if (exponent == 0) {
    // Subnormal: fraction * 2^-24, exact in binary32.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (fraction << 13));
}

void WidenF16(const std::byte* in, float* out, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const auto low = std::to_integer<uint16_t>(in[2 * i]);
    const auto high = std::to_integer<uint16_t>(in[2 * i + 1]);
    out[i] = WidenHalf(static_cast<uint16_t>(low | (high << 8)));
  }
}

uint16_t NarrowToHalf(float wide) {
  const uint32_t bits = std::bit_cast<uint32_t>(wide);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const float magnitude = std::fabs(wide);
  // Half way between the largest number and the next one there would be.
  if (magnitude >= 65520.0f) return sign | 0x7c00u;
  if (magnitude < 0x1p-14f) {
    // Subnormal: adding so much leaves the multiple of 2^-24 in the last bits, rounded as the processor rounds.
    const float shifted = magnitude + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f)));
  }
  const uint32_t positive = bits & 0x7fffffffu;
  // Half of the last place less one, and one more where the last place is odd: ties go to even.
  const uint32_t rounded = positive + 0xfffu + ((positive >> 13) & 1);
  return static_cast<uint16_t>(sign | ((rounded - (uint32_t{127 - 15} << 23)) >> 13));
}

float NarrowF16(const std::byte* in, std::byte* out, size_t n) {
  float largest = 0;
  for (size_t i = 0; i < n; ++i) {
    float wide = 0;
    std::memcpy(&wide, in + 4 * i, sizeof(wide));
    largest = std::max(largest, std::fabs(wide));
    const uint16_t half = NarrowToHalf(wide);
    std::memcpy(out + 2 * i, &half, sizeof(half));
  }
  return largest;
}

}  // namespace

const Kernels kPortable = {
    .name = "portable",
    .dot = Dot,
    .squared_l2 = SquaredL2,
    .sum_of_squares = SumOfSquares,
    .dot_rows = DotRows,
    .squared_l2_rows = SquaredL2Rows,
    .widen_f16 = WidenF16,
    .narrow_f16 = NarrowF16,
};

}  // namespace kernels

namespace {

constexpr std::array<std::string_view, 3> kNames = {"avx512", "avx2", "portable"};

#if defined(__x86_64__)
// clang's __builtin_cpu_supports does not know this one.
bool HasF16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

std::span<const std::string_view> KernelNames() { return kNames; }

const Kernels* KernelsFor(std::string_view name) {
#if defined(__x86_64__)
  if (name == "avx512") {
    return __builtin_cpu_supports("avx512f") ? &kernels::kAvx512 : nullptr;
  }
  if (name == "avx2") {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && HasF16c() ? &kernels::kAvx2 : nullptr;
  }
#endif
  return name == "portable" ? &kernels::kPortable : nullptr;
}

const Kernels& BestKernels() {
  static const Kernels* const best = [] {
    for (std::string_view name : kNames) {
      if (const Kernels* kernels = KernelsFor(name)) return kernels;
    }
    return &kernels::kPortable;
  }();
  return *best;
}

std::string_view KernelName() { return BestKernels().name; }

}  // namespace engram
