// Seeded vectors and an index that is slow and right, for the tests of index/.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "index/space_index.h"
#include "index/vector_source.h"

namespace engram::testing {

using Vector = std::vector<float>;

inline EmbeddingView AsEmbedding(const Vector& vector) {
  return {reinterpret_cast<const std::byte*>(vector.data()), static_cast<uint32_t>(vector.size()), Encoding::kF32};
}

inline Vector GaussianVector(std::mt19937_64& random, uint32_t dimension) {
  std::normal_distribution<float> normal;
  Vector vector(dimension);
  for (float& element : vector) element = normal(random);
  return vector;
}

// Vectors around a few centres, on a latent structure of few dimensions plus noise: what embeddings look like.
class ClusteredVectors {
 public:
  ClusteredVectors(uint64_t seed, uint32_t dimension, uint32_t clusters = 50, uint32_t latent = 24)
      : random_(seed), dimension_(dimension), latent_(latent) {
    for (uint32_t i = 0; i < latent; ++i) basis_.push_back(GaussianVector(random_, dimension));
    for (uint32_t i = 0; i < clusters; ++i) centres_.push_back(GaussianVector(random_, latent));
  }

  Vector Next() {
    std::normal_distribution<float> normal;
    const Vector& centre = centres_[random_() % centres_.size()];
    Vector vector(dimension_, 0.0f);
    for (uint32_t i = 0; i < latent_; ++i) {
      const float weight = centre[i] + 0.5f * normal(random_);
      for (uint32_t d = 0; d < dimension_; ++d) vector[d] += weight * basis_[i][d];
    }
    for (float& element : vector) element += 0.3f * normal(random_);
    return vector;
  }

  std::vector<Vector> Next(size_t count) {
    std::vector<Vector> vectors;
    vectors.reserve(count);
    while (vectors.size() < count) vectors.push_back(Next());
    return vectors;
  }

 private:
  std::mt19937_64 random_;
  uint32_t dimension_;
  uint32_t latent_;
  std::vector<Vector> basis_;
  std::vector<Vector> centres_;
};

// The similarity of engram.v1.Metric, in binary64.
inline double ExactSimilarity(Metric metric, const Vector& a, const Vector& b) {
  double dot = 0, aa = 0, bb = 0, squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
    squares += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  }
  switch (metric) {
    case Metric::kCosine:
      return dot / (std::sqrt(aa) * std::sqrt(bb));
    case Metric::kInnerProduct:
      return dot;
    case Metric::kL2:
      return -std::sqrt(squares);
  }
  return 0;
}

// A set by a predicate, with an estimate that is wrong by a factor if wanted.
class OrdinalFilter final : public OrdinalSet {
 public:
  template <typename Predicate>
    requires std::predicate<Predicate, Ordinal>
  OrdinalFilter(Predicate matches) : matches_(std::move(matches)) {}  // NOLINT: implicit, as a lambda is a filter.
  OrdinalFilter(std::function<bool(Ordinal)> matches, uint64_t estimate) : matches_(std::move(matches)), estimate_(estimate) {}

  bool Matches(Ordinal ordinal) const override { return matches_(ordinal); }
  size_t List(Ordinal from, Ordinal end, std::span<Ordinal> out) const override {
    size_t listed = 0;
    for (Ordinal at = from; at < end && listed < out.size(); ++at) {
      if (matches_(at)) out[listed++] = at;
    }
    return listed;
  }
  uint64_t estimate() const override { return estimate_; }

 private:
  std::function<bool(Ordinal)> matches_;
  // None: everything is scanned.
  uint64_t estimate_ = 0;
};

// What an index without rows of its own reads: anything that knows the vector of an ordinal.
class VectorsBy final : public VectorSource {
 public:
  explicit VectorsBy(std::function<Vector(Ordinal)> vector_of) : vector_of_(std::move(vector_of)) {}

  void Read(std::span<const Ordinal> ordinals, float* rows) const override {
    for (const Ordinal ordinal : ordinals) {
      const Vector vector = vector_of_(ordinal);
      rows = std::copy(vector.begin(), vector.end(), rows);
    }
  }

 private:
  std::function<Vector(Ordinal)> vector_of_;
};

// What a SpaceIndex must be: the present state only.
class IndexModel {
 public:
  explicit IndexModel(Metric metric) : metric_(metric) {}

  // Returns how many died.
  uint32_t Append(const std::string& id, const Vector& vector) {
    const auto ordinal = static_cast<Ordinal>(vectors_.size());
    vectors_.push_back(vector);
    const bool replaced = live_.contains(id);
    live_[id] = ordinal;
    return replaced ? 1 : 0;
  }
  bool Forget(const std::string& id) { return live_.erase(id) != 0; }

  const std::map<std::string, Ordinal>& live() const { return live_; }
  const Vector& vector(Ordinal ordinal) const { return vectors_[ordinal]; }
  uint64_t size() const { return vectors_.size(); }

  struct Hit {
    Ordinal ordinal;
    double similarity;
  };
  // Everything live that passes, the closest first.
  std::vector<Hit> Rank(const Vector& query, const OrdinalSet* filter = nullptr) const {
    std::vector<Hit> hits;
    for (const auto& [id, ordinal] : live_) {
      if (filter != nullptr && !filter->Matches(ordinal)) continue;
      hits.push_back({ordinal, ExactSimilarity(metric_, query, vectors_[ordinal])});
    }
    std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) {
      return a.similarity != b.similarity ? a.similarity > b.similarity : a.ordinal < b.ordinal;
    });
    return hits;
  }

 private:
  const Metric metric_;
  std::vector<Vector> vectors_;
  std::map<std::string, Ordinal> live_;
};

}  // namespace engram::testing
