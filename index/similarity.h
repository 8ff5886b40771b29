// How alike two vectors are: the one place that knows the three metrics.
//
// Threads:  any; const after construction.
// Errors:   none. Finite vectors of any magnitude give a finite similarity: where binary32 would overflow or lose the
//           value, it is computed again in binary64.
// Why:      the scan, the graph and the answer use the same function, so a hit has one similarity however it was found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/base/types.h"
#include "index/kernels.h"

namespace engram {

// Floats on a cache line boundary.
class AlignedFloats {
 public:
  explicit AlignedFloats(size_t size);
  ~AlignedFloats();
  AlignedFloats(const AlignedFloats&) = delete;
  AlignedFloats& operator=(const AlignedFloats&) = delete;

  float* data() const { return data_; }

 private:
  float* data_;
};

class Similarity {
 public:
  // A vector made ready to be compared with many.
  class Query {
   public:
    const float* data() const { return data_; }
    float inverse_norm() const { return inverse_norm_; }

   private:
    friend class Similarity;
    std::unique_ptr<AlignedFloats> own_;
    const float* data_ = nullptr;
    float inverse_norm_ = 1;
  };

  // `stride`: the dimension padded as rows of a slab are.
  Similarity(Metric metric, uint32_t dimension, uint32_t stride, const Kernels& kernels);

  // Copies and pads. Under cosine the copy has unit length.
  Query Prepare(std::span<const float> vector) const;
  // A row that is already in a slab, which outlives the query.
  Query Stored(const float* row, float inverse_norm) const;

  // Of a padded row: 1 / |row| under cosine, 0 when that is no number; 1 under the other metrics, which ignore it.
  float InverseNorm(const float* row) const;

  // Larger is closer; as engram.v1.Metric says.
  float Between(const float* a, float a_inverse_norm, const float* b, float b_inverse_norm) const {
    return Finish(metric_ == Metric::kL2 ? kernels_.squared_l2(a, b, stride_) : kernels_.dot(a, b, stride_), a,
                  a_inverse_norm, b, b_inverse_norm);
  }
  float Of(const Query& query, const float* row, float inverse_norm) const {
    return Between(query.data_, query.inverse_norm_, row, inverse_norm);
  }
  // With `rows` rows that lie behind one another, of at most Slab::kBlockRows.
  void OfRows(const Query& query, const float* first, const float* inverse_norms, size_t rows, float* out) const;

 private:
  // From a dot product or squared distance in binary32 to the similarity.
  float Finish(float value, const float* a, float a_inverse_norm, const float* b, float b_inverse_norm) const {
    // Inside these bounds neither the products nor the norms have lost anything that matters.
    constexpr float kSmall = 1e-30f;
    constexpr float kLarge = 1e30f;
    switch (metric_) {
      case Metric::kCosine: {
        const float scale = a_inverse_norm * b_inverse_norm;
        if (!(scale > kSmall && scale < kLarge)) [[unlikely]] return Precise(a, b);
        const float cosine = value * scale;
        return cosine > 1 ? 1.0f : cosine < -1 ? -1.0f : cosine;
      }
      case Metric::kInnerProduct:
        if (!(value > -kLarge && value < kLarge)) [[unlikely]] return Precise(a, b);
        return value;
      case Metric::kL2:
        if (!(value > kSmall && value < kLarge)) [[unlikely]] return Precise(a, b);
        return -__builtin_sqrtf(value);
    }
    return 0;
  }
  float Precise(const float* a, const float* b) const;

  const Metric metric_;
  const uint32_t dimension_;
  const uint32_t stride_;
  const Kernels& kernels_;
};

}  // namespace engram
