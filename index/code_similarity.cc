#include "index/code_similarity.h"

namespace engram {
namespace {

// What a sum of n products in binary32 loses at most, as a share of the sum of their sizes: every version of a kernel
// keeps four sums or more, and each addition rounds by 2^-24. The rest pays for adding up the sums, and for a norm.
double Rounding(uint32_t n) { return (n / 4 + 64) * 0x1p-24; }

}  // namespace

SimilarityBounds CodeSimilarity::Bound(const CodeQuery& query, float dot, float scale, float residual,
                                       uint32_t squares) const {
  // Sums of squares below 1e-30 are done again in binary64, so what underflows above them is less than this.
  constexpr double kUnderflow = 1e-36;
  const double rounding = Rounding(query.coder().dimension());
  const double value = dot * query.float_scale() * scale;
  // At unit length there is no need for the root.
  const double code_norm =
      metric_ == Metric::kCosine ? 1.0 + residual : scale * std::sqrt(static_cast<double>(squares));
  double low = 0, high = 0;
  switch (metric_) {
    case Metric::kCosine: {
      // Our sum, the exact one, and the sum of squares in the exact one's norm.
      const double wrong = query.norm() * residual + 3 * rounding * query.norm() * (code_norm + residual);
      low = std::clamp(value - wrong, -1.0, 1.0);
      high = std::clamp(value + wrong, -1.0, 1.0);
      break;
    }
    case Metric::kInnerProduct: {
      const double wrong =
          query.norm() * residual + 2 * rounding * query.norm() * (code_norm + residual) + kUnderflow;
      low = value - wrong;
      high = value + wrong;
      break;
    }
    case Metric::kL2: {
      const double squared = query.squares() + code_norm * code_norm - 2 * value;
      const double wrong = 2 * rounding * query.norm() * code_norm + 1e-12 * (query.squares() + code_norm * code_norm);
      const double nearest = std::sqrt(std::max(0.0, squared - wrong)) - residual;
      const double farthest = std::sqrt(std::max(0.0, squared + wrong)) + residual;
      low = -(farthest * (1 + rounding) + kUnderflow);
      high = -std::max(0.0, nearest * (1 - rounding) - kUnderflow);
      break;
    }
  }
  // The nearest number of binary32 may be inside.
  return {Finite(low - std::abs(low) * 0x1p-23 - 0x1p-148), Finite(high + std::abs(high) * 0x1p-23 + 0x1p-148)};
}

}  // namespace engram
