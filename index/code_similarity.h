// How alike two vectors are, as far as their codes tell; larger is closer, as in index/similarity.h.
//
// Estimate takes codes on both sides: quick, and good enough to choose whom to look at again. Bound takes the query in
// full precision and says between which values the exact similarity lies, whatever the codes lost: a dot product with
// the code is wrong by |query| * residual at most (Cauchy and Schwarz), a distance by residual. "Exact" is what
// Similarity::Of answers, whose own rounding in binary32 is part of the bounds.
//
// Threads: any; const. Errors: none; everything is finite.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/base/types.h"
#include "index/code_query.h"
#include "index/coder.h"

namespace engram {

struct SimilarityBounds {
  float low = 0;
  float high = 0;
};

class CodeSimilarity {
 public:
  explicit CodeSimilarity(Metric metric) : metric_(metric) {}

  // From the dot product of two codes. The residuals are not looked at.
  float Estimate(int32_t dot, float a_scale, uint32_t a_squares, float b_scale, uint32_t b_squares) const {
    switch (metric_) {
      case Metric::kCosine: {
        // Both at unit length, so the scales are small numbers and nothing overflows.
        const float cosine = static_cast<float>(dot) * a_scale * b_scale;
        return std::clamp(cosine, -1.0f, 1.0f);
      }
      case Metric::kInnerProduct:
        return Finite(double{a_scale} * b_scale * dot);
      case Metric::kL2: {
        const double a = a_scale, b = b_scale;
        return Finite(-std::sqrt(std::max(0.0, a * a * a_squares + b * b * b_squares - 2 * a * b * dot)));
      }
    }
    return 0;
  }
  float Estimate(int32_t dot, const CodeColumns& a, const CodeColumns& b) const {
    return Estimate(dot, a.scale, a.squares, b.scale, b.squares);
  }

  // From `dot`, of query.floats() with the code, by any version of CodeKernels::dot_float_rows.
  SimilarityBounds Bound(const CodeQuery& query, float dot, float scale, float residual, uint32_t squares) const;

 private:
  static float Finite(double value) {
    constexpr double kLargest = std::numeric_limits<float>::max();
    return static_cast<float>(std::clamp(value, -kLargest, kLargest));
  }

  const Metric metric_;
};

}  // namespace engram
