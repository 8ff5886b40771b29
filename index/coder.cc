#include "index/coder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "core/base/check.h"
#include "index/similarity.h"

namespace engram {
namespace {

constexpr float kMostBytes = 127;
// Between these the kernels' binary32 squares of what an element loses are good.
constexpr float kSmall = 1e-10f;
constexpr float kLarge = 1e10f;
// Steps below this have no inverse in binary32.
constexpr double kSmallestScale = 0x1p-126;

constexpr uint32_t kTransform = 256;
constexpr uint32_t kRounds = 3;
constexpr uint32_t kWords = Coder::kLargestDimension / 64;

// The sign flips of every rotation there is: they must be the same for all that is ever compared.
const std::array<std::array<uint64_t, kWords>, kRounds>& Flips() {
  static const auto* const flips = [] {
    auto* made = new std::array<std::array<uint64_t, kWords>, kRounds>;
    uint64_t state = 0x656e6772616d;
    for (auto& round : *made) {
      for (uint64_t& word : round) {
        // splitmix64
        state += 0x9e3779b97f4a7c15;
        uint64_t mixed = state;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        word = mixed ^ (mixed >> 31);
      }
    }
    return made;
  }();
  return *flips;
}

float RoundedUp(double value) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kLargest = std::numeric_limits<float>::max();
  if (value >= kLargest) return kInfinity;
  return std::nextafterf(static_cast<float>(value), kInfinity);
}

}  // namespace

Coder::Coder(Metric metric, uint32_t dimension, const CodeKernels& kernels)
    : metric_(metric),
      dimension_(dimension),
      stride_((dimension + 63) / 64 * 64),
      bit_words_(metric == Metric::kCosine && dimension >= kSmallestWithBits
                     ? (dimension + kTransform - 1) / kTransform * (kTransform / 64)
                     : 0),
      kernels_(kernels) {
  ENGRAM_CHECK(dimension >= 1 && dimension <= kLargestDimension);
}

CodeColumns Coder::Encode(const float* vector, int8_t* code, uint64_t* bits) const {
  CodeColumns columns = EncodeBytes(vector, code);
  if (bit_words_ != 0 && bits != nullptr) columns.bit_factor = EncodeBits(code, columns.squares, bits);
  return columns;
}

CodeColumns Coder::EncodeBytes(const float* vector, int8_t* code) const {
  std::memset(code + dimension_, 0, stride_ - dimension_);
  const CodeKernels::Measure measure = kernels_.measure(vector, dimension_);
  if (measure.largest == 0) {
    std::memset(code, 0, dimension_);
    return {};
  }
  const double norm = metric_ == Metric::kCosine ? std::sqrt(measure.squares) : 1.0;
  if (!(measure.largest > kSmall && measure.largest < kLarge)) [[unlikely]] {
    return EncodeFar(vector, measure.largest, norm, code);
  }
  const float step = measure.largest / kMostBytes;
  const CodeKernels::Quantised quantised =
      kernels_.quantise(vector, dimension_, kMostBytes / measure.largest, step, code);
  CodeColumns columns;
  columns.squares = quantised.squares;
  columns.scale = static_cast<float>(step / norm);
  // The squares were added up in binary32; each addition may have lost 2^-24 of the sum. What underflowed in them is
  // less than the second term.
  const double lost = std::sqrt(quantised.residual_squares * (1 + (dimension_ + 16) * 0x1p-23)) + step * 0x1p-20;
  // The scale at unit length was rounded as well.
  const double rounded = std::abs(columns.scale - step / norm) * std::sqrt(static_cast<double>(columns.squares));
  columns.residual = RoundedUp((lost / norm + rounded) * (1 + 1e-9));
  if (metric_ == Metric::kCosine) MakeUnit(step / norm, lost / norm, &columns);
  return columns;
}

void Coder::MakeUnit(double step, double lost, CodeColumns* columns) {
  const double length = std::sqrt(static_cast<double>(columns->squares));
  columns->scale = static_cast<float>(1 / length);
  // |x - code / length|^2 = 2 - 2 x.code / length, and x.code follows from |x - step * code| = lost, as |x| is 1 but for what
  // its norm was rounded by.
  const double unit = step * length;
  const double squared = (lost * lost - (1 - unit) * (1 - unit)) / unit;
  const double rounded = std::abs(columns->scale * length - 1);
  columns->residual = RoundedUp((std::sqrt(std::max(0.0, squared) + 1e-14) + rounded) * (1 + 1e-9));
}

CodeColumns Coder::EncodeFar(const float* vector, double largest, double norm, int8_t* code) const {
  CodeColumns columns;
  columns.scale = static_cast<float>(std::max(largest / norm / kMostBytes, kSmallestScale));
  const double scale = columns.scale;
  double residual_squares = 0;
  for (uint32_t i = 0; i < dimension_; ++i) {
    const double x = vector[i] / norm;
    const double rounded = std::nearbyint(x / scale);
    code[i] = static_cast<int8_t>(rounded);
    columns.squares += static_cast<uint32_t>(rounded * rounded);
    residual_squares += (x - scale * rounded) * (x - scale * rounded);
  }
  const double lost = std::sqrt(residual_squares) * (1 + 1e-9) + scale * 1e-9;
  columns.residual = RoundedUp(lost);
  if (metric_ == Metric::kCosine) MakeUnit(scale, lost, &columns);
  return columns;
}

float Coder::EncodeBits(const int8_t* code, uint32_t squares, uint64_t* bits) const {
  if (squares == 0) {
    std::memset(bits, 0, bit_words_ * sizeof(uint64_t));
    return 0;
  }
  constexpr uint32_t kOnStack = 2048;
  const uint32_t elements = bit_words_ * 64;
  alignas(64) float near[2 * kOnStack];
  std::unique_ptr<AlignedFloats> far;
  float* first = near;
  if (elements > kOnStack) {
    far = std::make_unique<AlignedFloats>(2 * size_t{elements});
    first = far->data();
  }
  float* const second = first + elements;

  const auto& flips = Flips();
  kernels_.rotate_bytes(code, stride_, flips[0].data(), elements, first);
  kernels_.rotate(first, flips[1].data(), elements, second);
  kernels_.rotate(second, flips[2].data(), elements, first);
  const double sum = kernels_.signs(first, elements, bits);
  // Each transform of 256 lengthens by 16.
  return static_cast<float>(std::sqrt(static_cast<double>(elements) * squares) * (16.0 * 16 * 16) / sum);
}

}  // namespace engram
