#include "core/answer_pin.h"

#include <fmt/format.h>

#include <utility>

namespace engram {
namespace {

uint32_t DimensionOf(const Space& space) {
  const SpaceIndex* const index = space.index();
  return index == nullptr ? 0 : index->options().dimension;
}

}  // namespace

AnswerPin::AnswerPin(const Journal* journal, std::shared_ptr<Space> space)
    : space_(std::move(space)), reads_(journal, &space_->records(), DimensionOf(*space_)) {}

absl::StatusOr<std::span<const float>> AnswerPin::VectorOf(Ordinal ordinal) {
  const SpaceIndex& index = *space_->index();
  if (index.options().keep_rows) return index.KeptRow(ordinal);
  ENGRAM_ASSIGN_OR_RETURN(const StoredObservation* const stored, reads_.Get(ordinal));
  const EmbeddingView embedding = stored->observation.embedding;
  if (embedding.dimension != index.options().dimension) {
    return absl::DataLossError(fmt::format("the journal's embedding of '{}' has {} dimensions, its space has {}",
                                           index.IdOf(ordinal), embedding.dimension, index.options().dimension));
  }
  return Widened(embedding);
}

std::span<const float> AnswerPin::Widened(EmbeddingView embedding) {
  std::vector<float>& row = widened_.emplace_back(embedding.dimension);
  WidenVector(embedding, row);
  return row;
}

absl::Status AnswerPin::Show(Ordinal ordinal, HitParts parts, ObservationHit& hit) {
  const RecordStore& records = space_->records();
  hit.id = space_->index()->IdOf(ordinal);
  hit.observed_at_us = records.ObservedAt(ordinal);
  hit.confidence = records.Confidence(ordinal);
  hit.ttl_us = records.Ttl(ordinal);
  if (parts.tags) hit.tags = records.Tags(ordinal);
  if (parts.embedding) {
    ENGRAM_ASSIGN_OR_RETURN(hit.embedding, VectorOf(ordinal));
  }
  if (!parts.content) return absl::OkStatus();
  hit.content = records.Content(ordinal);
  if (!records.ContentElsewhere(ordinal)) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const StoredObservation* const stored, reads_.Get(ordinal));
  hit.content = stored->observation.content;
  return absl::OkStatus();
}

}  // namespace engram
