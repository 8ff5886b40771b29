#include "index/code_query.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"

namespace engram {

CodeQuery::CodeQuery(const Coder& coder, std::span<const float> vector)
    : coder_(coder),
      floats_(coder.stride()),
      codes_((coder.stride() + coder.bit_words() * sizeof(uint64_t)) / sizeof(float)),
      code_(reinterpret_cast<int8_t*>(codes_.data())),
      bits_(reinterpret_cast<uint64_t*>(code_ + coder.stride())) {
  ENGRAM_CHECK(vector.size() == coder.dimension());
  columns_ = coder.Encode(vector.data(), code_, bits_);

  double largest = 0, squares = 0;
  for (const float x : vector) {
    largest = std::max(largest, std::abs(double{x}));
    squares += double{x} * x;
  }
  double divisor = 1;
  if (largest > 0) {
    if (coder.metric() == Metric::kCosine) {
      divisor = std::sqrt(squares);
    } else {
      divisor = float_scale_ = std::exp2(std::floor(std::log2(largest)));
    }
  }
  float* const floats = floats_.data();
  for (size_t i = 0; i < vector.size(); ++i) {
    floats[i] = static_cast<float>(vector[i] / divisor);
    squares_ += double{floats[i]} * floats[i];
  }
  std::fill(floats + vector.size(), floats + coder.stride(), 0.0f);
  squares_ *= float_scale_ * float_scale_;
  norm_ = std::sqrt(squares_);
}

}  // namespace engram
