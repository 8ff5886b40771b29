#include "index/similarity.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "core/base/check.h"
#include "index/space_index.h"

namespace engram {
namespace {

constexpr std::align_val_t kLine{64};
constexpr float kLargest = std::numeric_limits<float>::max();
// Between these a sum of squares in binary32 is good: what underflowed in it is too small to matter.
constexpr float kSmallSquares = 1e-30f;
constexpr float kLargeSquares = 1e30f;

double SumOfSquares(const float* a, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += double{a[i]} * a[i];
  return sum;
}

// 1 / norm, or 0 when binary32 has no such number.
float Invert(double sum_of_squares) {
  const double inverse = 1 / std::sqrt(sum_of_squares);
  return inverse <= kLargest ? static_cast<float>(inverse) : 0.0f;
}

}  // namespace

AlignedFloats::AlignedFloats(size_t size) : data_(static_cast<float*>(::operator new(size * sizeof(float), kLine))) {}
AlignedFloats::~AlignedFloats() { ::operator delete(data_, kLine); }

Similarity::Similarity(Metric metric, uint32_t dimension, uint32_t stride, const Kernels& kernels)
    : metric_(metric), dimension_(dimension), stride_(stride), kernels_(kernels) {}

Similarity::Query Similarity::Prepare(std::span<const float> vector) const {
  ENGRAM_CHECK(vector.size() == dimension_);
  Query query;
  query.own_ = std::make_unique<AlignedFloats>(stride_);
  float* const copy = query.own_->data();
  std::copy(vector.begin(), vector.end(), copy);
  std::fill(copy + dimension_, copy + stride_, 0.0f);
  if (metric_ == Metric::kCosine) {
    // In binary64: a query of any length must give the same answer.
    const double norm = std::sqrt(SumOfSquares(copy, dimension_));
    if (norm > 0) {
      for (uint32_t i = 0; i < dimension_; ++i) copy[i] = static_cast<float>(copy[i] / norm);
    }
  }
  query.data_ = copy;
  return query;
}

Similarity::Query Similarity::Stored(const float* row, float inverse_norm) const {
  Query query;
  query.data_ = row;
  query.inverse_norm_ = inverse_norm;
  return query;
}

float Similarity::InverseNorm(const float* row) const {
  if (metric_ != Metric::kCosine) return 1;
  const float sum = kernels_.sum_of_squares(row, stride_);
  if (sum > kSmallSquares && sum < kLargeSquares) return Invert(sum);
  return Invert(SumOfSquares(row, dimension_));
}

void Similarity::OfRows(const Query& query, const float* first, const float* inverse_norms, size_t rows,
                        float* out) const {
  if (metric_ == Metric::kL2) {
    kernels_.squared_l2_rows(query.data_, first, stride_, rows, stride_, out);
  } else {
    kernels_.dot_rows(query.data_, first, stride_, rows, stride_, out);
  }
  for (size_t i = 0; i < rows; ++i) {
    out[i] = Finish(out[i], query.data_, query.inverse_norm_, first + i * stride_, inverse_norms[i]);
  }
}

float Similarity::Precise(const float* a, const float* b) const {
  double dot = 0;
  double squares = 0;
  for (uint32_t i = 0; i < dimension_; ++i) {
    dot += double{a[i]} * b[i];
    const double difference = double{a[i]} - b[i];
    squares += difference * difference;
  }
  double similarity = 0;
  switch (metric_) {
    case Metric::kCosine: {
      const double norms = std::sqrt(SumOfSquares(a, dimension_)) * std::sqrt(SumOfSquares(b, dimension_));
      similarity = norms > 0 ? std::clamp(dot / norms, -1.0, 1.0) : 0.0;
      break;
    }
    case Metric::kInnerProduct:
      similarity = dot;
      break;
    case Metric::kL2:
      similarity = -std::sqrt(squares);
      break;
  }
  return static_cast<float>(std::clamp<double>(similarity, -kLargest, kLargest));
}

void WidenVector(EmbeddingView embedding, std::span<float> out) {
  static_assert(std::endian::native == std::endian::little);
  ENGRAM_CHECK(out.size() >= embedding.dimension);
  if (embedding.encoding == Encoding::kF32) {
    std::memcpy(out.data(), embedding.data, embedding.bytes());
  } else {
    BestKernels().widen_f16(embedding.data, out.data(), embedding.dimension);
  }
}

bool NarrowVector(EmbeddingView embedding, std::byte* out) {
  ENGRAM_CHECK(embedding.encoding == Encoding::kF32);
  // Rounding an element costs 2^-11 of it, or 2^-25 where that is more. With one of 2^-7 in it, the latter comes to less
  // than 2^-11 of the norm up to 16384 dimensions.
  constexpr float kLeast = 0x1p-7f, kMost = 65504;
  const float largest = BestKernels().narrow_f16(embedding.data, out, embedding.dimension);
  return largest >= kLeast && largest <= kMost;
}

VectorCheck CheckVector(EmbeddingView embedding) {
  const Kernels& kernels = BestKernels();
  double sum = 0;
  // Piece by piece through the stack: the input has no alignment.
  std::array<float, 512> piece;
  for (uint32_t begin = 0; begin < embedding.dimension; begin += piece.size()) {
    EmbeddingView part = embedding;
    part.dimension = std::min<uint32_t>(piece.size(), embedding.dimension - begin);
    part.data += size_t{begin} * (embedding.encoding == Encoding::kF32 ? 4 : 2);
    WidenVector(part, piece);
    const float quick = kernels.sum_of_squares(piece.data(), part.dimension);
    if (quick > kSmallSquares && quick < kLargeSquares) {
      sum += quick;
      continue;
    }
    for (uint32_t i = 0; i < part.dimension; ++i) {
      if (!std::isfinite(piece[i])) return {.finite = false, .zero = false};
    }
    sum += SumOfSquares(piece.data(), part.dimension);
  }
  return {.finite = true, .zero = Invert(sum) == 0};
}

}  // namespace engram
