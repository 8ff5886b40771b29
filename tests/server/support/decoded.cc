#include "tests/server/support/decoded.h"

#include <fmt/format.h>

#include <cstring>
#include <map>

namespace engram::testing {
namespace {

std::string RandomText(std::mt19937_64& random, size_t most) {
  static const char* const kPieces[] = {"a", "B", " ", "7", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa7\xa0", "\n", "z"};
  std::string text;
  while (text.size() < most && random() % 8 != 0) text += kPieces[random() % std::size(kPieces)];
  return text;
}

std::string BytesOf(const v1::Observation& observation) {
  switch (observation.vector_case()) {
    case v1::Observation::kEmbedding: {
      const auto& values = observation.embedding().values();
      return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    }
    case v1::Observation::kEmbeddingF32:
      return observation.embedding_f32();
    case v1::Observation::kEmbeddingF16:
      return observation.embedding_f16();
    case v1::Observation::VECTOR_NOT_SET:
      break;
  }
  return {};
}

}  // namespace

v1::ObservationBatch RandomBatch(std::mt19937_64& random) {
  std::uniform_real_distribution<float> real(-10, 10);
  v1::ObservationBatch batch;
  batch.set_first_sequence(random() >> (random() % 64));
  batch.set_priority(static_cast<v1::Priority>(random() % 3));
  for (size_t i = random() % 6; i > 0; --i) {
    v1::Observation& observation = *batch.add_observations();
    observation.set_id(RandomText(random, 20));
    observation.set_content(RandomText(random, 200));
    const size_t dimension = random() % 20;
    switch (random() % 4) {
      case 0:
        observation.mutable_embedding();
        for (size_t d = 0; d < dimension; ++d) observation.mutable_embedding()->add_values(real(random));
        break;
      case 1:
        observation.set_embedding_f32(std::string(4 * dimension, static_cast<char>(random())));
        break;
      case 2:
        observation.set_embedding_f16(std::string(2 * dimension, static_cast<char>(random())));
        break;
      default:
        break;
    }
    for (size_t tags = random() % 5; tags > 0; --tags) {
      (*observation.mutable_tags())[RandomText(random, 8)] = RandomText(random, 30);
    }
    if (random() % 2) observation.set_observed_at_us(static_cast<int64_t>(random()));
    if (random() % 2) observation.set_ttl_us(static_cast<int64_t>(random()));
    if (random() % 2) observation.set_confidence(real(random));
  }
  return batch;
}

std::string ExplainDifference(const ObservationBatch& decoded,
                              const google::protobuf::RepeatedPtrField<v1::Observation>& sent) {
  if (decoded.observations.size() != static_cast<size_t>(sent.size())) {
    return fmt::format("{} observations instead of {}", decoded.observations.size(), sent.size());
  }
  for (int i = 0; i < sent.size(); ++i) {
    const ObservationView& view = decoded.observations[static_cast<size_t>(i)];
    const v1::Observation& message = sent[i];
    if (!view.defect.empty()) continue;
    const auto differs = [&](const char* field) { return fmt::format("observation {}: {}", i, field); };
    if (view.id != message.id()) return differs("id");
    if (view.content != message.content()) return differs("content");
    if (view.observed_at_us != message.observed_at_us()) return differs("observed_at_us");
    if (view.ttl_us != message.ttl_us()) return differs("ttl_us");
    const float confidence = message.has_confidence() ? message.confidence() : 1.0f;
    if (std::memcmp(&view.confidence, &confidence, sizeof(float)) != 0) return differs("confidence");
    const std::string bytes = BytesOf(message);
    if (std::string_view(reinterpret_cast<const char*>(view.embedding.data), view.embedding.bytes()) != bytes) {
      return differs("embedding");
    }
    const bool half = message.vector_case() == v1::Observation::kEmbeddingF16;
    if (!bytes.empty() && (view.embedding.encoding == Encoding::kF16) != half) return differs("encoding");
    std::map<std::string, std::string> tags;
    for (const TagView& tag : view.tags) tags[std::string(tag.key)] = std::string(tag.value);
    if (tags.size() != view.tags.size()) return differs("a tag twice");
    if (tags != std::map<std::string, std::string>(message.tags().begin(), message.tags().end()))
      return differs("tags");
  }
  return {};
}

}  // namespace engram::testing
