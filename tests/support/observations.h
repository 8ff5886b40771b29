// Observations with memory of their own, for tests.
#pragma once

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/types.h"

namespace engram::testing {

struct TestObservation {
  std::string id;
  std::vector<float> embedding;
  std::string content;
  std::map<std::string, std::string> tags;
  int64_t observed_at_us = 0;
  float confidence = 1;
  int64_t ttl_us = 0;
};

// A batch whose views point into copies it owns.
inline ObservationBatch MakeBatch(std::vector<TestObservation> observations) {
  struct Owner final : FrameOwner {
    std::vector<TestObservation> kept;
  };
  auto owner = std::make_unique<Owner>();
  owner->kept = std::move(observations);
  ObservationBatch batch;
  size_t tags = 0;
  for (const TestObservation& o : owner->kept) tags += o.tags.size();
  batch.tags.reserve(tags);
  for (const TestObservation& o : owner->kept) {
    ObservationView view;
    view.id = o.id;
    view.embedding = {reinterpret_cast<const std::byte*>(o.embedding.data()), static_cast<uint32_t>(o.embedding.size()),
                      Encoding::kF32};
    view.content = o.content;
    const size_t first = batch.tags.size();
    for (const auto& [key, value] : o.tags) batch.tags.push_back({key, value});
    view.tags = std::span<const TagView>(batch.tags.data() + first, o.tags.size());
    view.observed_at_us = o.observed_at_us;
    view.confidence = o.confidence;
    view.ttl_us = o.ttl_us;
    batch.observations.push_back(view);
  }
  batch.owner = std::move(owner);
  return batch;
}

inline EmbeddingView ViewOf(const std::vector<float>& vector) {
  return {reinterpret_cast<const std::byte*>(vector.data()), static_cast<uint32_t>(vector.size()), Encoding::kF32};
}

}  // namespace engram::testing
