#include "loadtest/clustered_matrix.h"

namespace engram {
namespace {

constexpr uint32_t kDirections = 24;
// Of a cluster around its centre along each direction, where centres lie in -1..1; and of each element by itself.
constexpr float kSpread = 0.3f, kNoise = 0.3f;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 24 random bits are exact in a float.
  float Uniform() { return static_cast<float>(Next() >> 40) * (2.0f / (1 << 24)) - 1.0f; }
  // Near enough to a bell: the same on every machine, which libm's logarithm is not.
  float Bell() { return (Uniform() + Uniform() + Uniform() + Uniform()) * 0.866f; }

 private:
  uint64_t state_;
};

}  // namespace

ClusteredSource::ClusteredSource(uint32_t dimension, uint64_t seed, uint32_t clusters)
    : seed_(seed),
      directions_(RandomMatrix(kDirections, dimension, seed)),
      centres_(RandomMatrix(clusters, kDirections, seed ^ 0x5bd1e995)) {}

Matrix ClusteredSource::Draw(size_t rows, uint64_t stream) const {
  Matrix matrix;
  matrix.dimension = directions_.dimension;
  matrix.values.resize(rows * matrix.dimension);
  Random random(seed_ * 0x9e3779b97f4a7c15 + stream);
  for (size_t i = 0; i < rows; ++i) {
    float* const row = matrix.values.data() + i * matrix.dimension;
    for (uint32_t e = 0; e < matrix.dimension; ++e) row[e] = kNoise * random.Uniform();
    const auto centre = centres_.row(random.Next() % centres_.rows());
    for (size_t d = 0; d < kDirections; ++d) {
      const float along = centre[d] + kSpread * random.Bell();
      const auto direction = directions_.row(d);
      for (uint32_t e = 0; e < matrix.dimension; ++e) row[e] += along * direction[e];
    }
  }
  return matrix;
}

}  // namespace engram
