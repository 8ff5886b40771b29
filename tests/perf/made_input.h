// Seeded input of workloads. No distribution of the standard library: those may differ from one version to the next.
//
// Threads: values.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/types.h"

namespace engram::perf {

using Vector = std::vector<float>;

// Sebastiano Vigna's splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In -1..1.
  float Element() { return static_cast<float>(static_cast<int32_t>(Next() >> 32)) * 0x1p-31f; }

 private:
  uint64_t state_;
};

// Vectors around a few centres, so that some are much nearer to a cue than others.
class MadeVectors {
 public:
  MadeVectors(uint64_t seed, uint32_t dimension) : random_(seed), centres_(kCentres, Vector(dimension)) {
    for (Vector& centre : centres_) {
      for (float& element : centre) element = random_.Element();
    }
  }

  Vector Next() {
    Vector vector = centres_[random_.Next() % kCentres];
    for (float& element : vector) element += 0.7f * random_.Element();
    return vector;
  }
  std::vector<Vector> Next(size_t count) {
    std::vector<Vector> vectors;
    vectors.reserve(count);
    while (vectors.size() < count) vectors.push_back(Next());
    return vectors;
  }

 private:
  static constexpr size_t kCentres = 40;

  Random random_;
  std::vector<Vector> centres_;
};

inline EmbeddingView AsEmbedding(const Vector& vector) {
  return {reinterpret_cast<const std::byte*>(vector.data()), static_cast<uint32_t>(vector.size()), Encoding::kF32};
}

// What clients stream: an id, 60 bytes of text (é among them, so that UTF-8 is looked into) and a tag.
struct MadeObservation {
  std::string id;
  std::string content;
  std::string language;
  Vector embedding;
};

inline std::vector<MadeObservation> MadeObservations(uint64_t seed, uint32_t dimension, size_t count) {
  MadeVectors vectors(seed, dimension);
  std::vector<MadeObservation> observations(count);
  for (size_t i = 0; i < count; ++i) {
    observations[i] = {fmt::format("note-{:08}", i),
                       fmt::format("the café at corner {:08} was open until after nine today", i),
                       i % 3 == 0 ? "fr" : "en", vectors.Next()};
  }
  return observations;
}

}  // namespace engram::perf
