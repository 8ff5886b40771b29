#include "server/wire.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

namespace engram {
namespace {

#define ENGRAM_SAME_NUMBER(ours, theirs) static_assert(static_cast<int>(ours) == static_cast<int>(v1::theirs))
ENGRAM_SAME_NUMBER(Metric::kCosine, METRIC_COSINE);
ENGRAM_SAME_NUMBER(Metric::kInnerProduct, METRIC_INNER_PRODUCT);
ENGRAM_SAME_NUMBER(Metric::kL2, METRIC_L2);
ENGRAM_SAME_NUMBER(AckLevel::kReceived, ACK_LEVEL_RECEIVED);
ENGRAM_SAME_NUMBER(AckLevel::kDurable, ACK_LEVEL_DURABLE);
ENGRAM_SAME_NUMBER(AckLevel::kIndexed, ACK_LEVEL_INDEXED);
ENGRAM_SAME_NUMBER(Durability::kMemory, DURABILITY_MEMORY);
ENGRAM_SAME_NUMBER(Durability::kInterval, DURABILITY_INTERVAL);
ENGRAM_SAME_NUMBER(Durability::kFsync, DURABILITY_FSYNC);
ENGRAM_SAME_NUMBER(Priority::kNormal, PRIORITY_NORMAL);
ENGRAM_SAME_NUMBER(Priority::kHigh, PRIORITY_HIGH);
ENGRAM_SAME_NUMBER(PressureLevel::kNormal, PRESSURE_LEVEL_NORMAL);
ENGRAM_SAME_NUMBER(PressureLevel::kWarning, PRESSURE_LEVEL_WARNING);
ENGRAM_SAME_NUMBER(PressureLevel::kCritical, PRESSURE_LEVEL_CRITICAL);
ENGRAM_SAME_NUMBER(PressureLevel::kOverloaded, PRESSURE_LEVEL_OVERLOADED);
#undef ENGRAM_SAME_NUMBER

absl::StatusOr<EmbeddingView> ViewOf(const std::string& bytes, Encoding encoding, std::string_view field) {
  const size_t element = encoding == Encoding::kF32 ? 4 : 2;
  if (bytes.empty()) return absl::InvalidArgumentError(fmt::format("{} to recall by is empty", field));
  if (bytes.size() % element != 0) {
    return absl::InvalidArgumentError(
        fmt::format("{} has {} bytes, not a multiple of {}", field, bytes.size(), element));
  }
  return EmbeddingView{reinterpret_cast<const std::byte*>(bytes.data()), static_cast<uint32_t>(bytes.size() / element),
                       encoding};
}

template <typename Map>
std::vector<std::pair<std::string, std::string>> Pairs(const Map& map) {
  return {map.begin(), map.end()};
}

}  // namespace

absl::StatusOr<AckLevel> DecodeAckLevel(int value) {
  switch (value) {
    case v1::ACK_LEVEL_UNSPECIFIED:
      return AckLevel::kDurable;
    case v1::ACK_LEVEL_RECEIVED:
    case v1::ACK_LEVEL_DURABLE:
    case v1::ACK_LEVEL_INDEXED:
      return static_cast<AckLevel>(value);
    default:
      return absl::InvalidArgumentError(fmt::format("ack_level {} is unknown, 0 to 3 are known", value));
  }
}

absl::StatusOr<SpaceConfig> DecodeSpaceConfig(const v1::SpaceConfig& config) {
  SpaceConfig out;
  out.dimension = config.dimension();
  switch (config.metric()) {
    case v1::METRIC_UNSPECIFIED:
      break;
    case v1::METRIC_COSINE:
    case v1::METRIC_INNER_PRODUCT:
    case v1::METRIC_L2:
      out.metric = static_cast<Metric>(config.metric());
      break;
    default:
      return absl::InvalidArgumentError(
          fmt::format("metric {} is unknown, 0 to 3 are known", static_cast<int>(config.metric())));
  }
  out.max_connections = config.max_connections();
  out.ef_construction = config.ef_construction();
  out.ef_search = config.ef_search();
  if (config.has_flat_threshold()) out.flat_threshold = config.flat_threshold();
  out.max_rate = config.max_rate();
  out.quota_observations = config.quota_observations();
  out.quota_bytes = config.quota_bytes();
  return out;
}

SpaceChange DecodeSpaceChange(const v1::UpdateSpaceRequest& request) {
  SpaceChange out;
  if (request.has_ef_search()) out.ef_search = request.ef_search();
  if (request.has_max_rate()) out.max_rate = request.max_rate();
  if (request.has_quota_observations()) out.quota_observations = request.quota_observations();
  if (request.has_quota_bytes()) out.quota_bytes = request.quota_bytes();
  return out;
}

absl::StatusOr<FilterSpec> DecodeFilter(const v1::Filter& filter) {
  if (filter.exclude_ids_size() > kMostIds) {
    return absl::InvalidArgumentError(
        fmt::format("filter excludes {} ids, at most {} are taken", filter.exclude_ids_size(), kMostIds));
  }
  if (!(filter.min_confidence() >= 0 && filter.min_confidence() <= 1)) {
    return absl::InvalidArgumentError(
        fmt::format("filter's min_confidence {} is outside 0..1", filter.min_confidence()));
  }
  FilterSpec out;
  out.all_tags = Pairs(filter.all_tags());
  out.any_tags = Pairs(filter.any_tags());
  out.no_tags = Pairs(filter.no_tags());
  out.observed_from_us = filter.observed_from_us();
  out.observed_to_us = filter.observed_to_us();
  out.min_confidence = filter.min_confidence();
  out.exclude_ids = {filter.exclude_ids().begin(), filter.exclude_ids().end()};
  return out;
}

absl::StatusOr<RecallQuery> DecodeRecall(const v1::RecallRequest& request) {
  RecallQuery out;
  out.space = request.space();
  switch (request.cue_case()) {
    case v1::RecallRequest::kEmbedding: {
      const auto& values = request.embedding().values();
      if (values.empty()) return absl::InvalidArgumentError("embedding to recall by is empty");
      out.embedding = {reinterpret_cast<const std::byte*>(values.data()), static_cast<uint32_t>(values.size()),
                       Encoding::kF32};
      break;
    }
    case v1::RecallRequest::kEmbeddingF32: {
      ENGRAM_ASSIGN_OR_RETURN(out.embedding, ViewOf(request.embedding_f32(), Encoding::kF32, "embedding_f32"));
      break;
    }
    case v1::RecallRequest::kEmbeddingF16: {
      ENGRAM_ASSIGN_OR_RETURN(out.embedding, ViewOf(request.embedding_f16(), Encoding::kF16, "embedding_f16"));
      break;
    }
    case v1::RecallRequest::kId:
      if (request.id().empty()) return absl::InvalidArgumentError("id to recall by is empty");
      out.id = request.id();
      break;
    case v1::RecallRequest::CUE_NOT_SET:
      return absl::InvalidArgumentError("recall has no cue: set embedding, embedding_f32, embedding_f16 or id");
  }
  out.k = request.k();
  out.ef = request.ef();
  if (request.has_min_similarity()) {
    if (std::isnan(request.min_similarity())) return absl::InvalidArgumentError("min_similarity is not a number");
    out.min_similarity = request.min_similarity();
  }
  ENGRAM_ASSIGN_OR_RETURN(out.filter, DecodeFilter(request.filter()));
  out.ranking.recency_half_life_us = request.ranking().recency_half_life_us();
  out.ranking.confidence_weight = request.ranking().confidence_weight();
  out.ranking.oversample = request.ranking().oversample();
  out.oversample = request.oversample();
  out.at_least = {request.at_least().journal(), request.at_least().position()};
  out.exact = request.exact();
  out.include_content = request.include_content();
  out.include_tags = request.include_tags();
  out.include_embedding = request.include_embedding();
  return out;
}

absl::StatusOr<ForgetQuery> DecodeForget(const v1::ForgetRequest& request) {
  if (request.ids_size() > kMostIds) {
    return absl::InvalidArgumentError(
        fmt::format("request names {} ids, at most {} are taken", request.ids_size(), kMostIds));
  }
  ForgetQuery out;
  out.space = request.space();
  out.ids = {request.ids().begin(), request.ids().end()};
  if (request.has_filter()) {
    ENGRAM_ASSIGN_OR_RETURN(out.filter, DecodeFilter(request.filter()));
  }
  if (out.ids.empty() == !out.filter.has_value()) {
    return absl::InvalidArgumentError("forget needs ids or a filter, exactly one of the two");
  }
  if (out.filter && out.filter->empty()) {
    return absl::InvalidArgumentError(
        "forget needs a filter with at least one condition; to forget all, delete the space");
  }
  out.dry_run = request.dry_run();
  return out;
}

FollowPoint Decode(const v1::FollowPoint& point) {
  return {.through = {point.through().journal(), point.through().position()},
          .partial_position = point.partial_position(),
          .partial_places = point.partial_places()};
}

void Encode(const FollowPoint& point, v1::FollowPoint* out) {
  Encode(point.through, out->mutable_through());
  out->set_partial_position(point.partial_position);
  out->set_partial_places(point.partial_places);
}

void Encode(const Token& token, v1::Token* out) {
  out->set_journal(token.journal);
  out->set_position(token.position);
}

void Encode(const Rejected& rejected, v1::Rejection* out) {
  out->set_sequence(rejected.sequence);
  out->set_count(rejected.count);
  out->set_code(rejected.status.raw_code());
  out->set_message(std::string(rejected.status.message()));
  out->set_retry_after_us(rejected.retry_after.count());
}

void Encode(const SpaceInfo& info, v1::Space* out) {
  out->set_name(info.name);
  v1::SpaceConfig* config = out->mutable_config();
  config->set_dimension(info.config.dimension);
  config->set_metric(static_cast<v1::Metric>(info.config.metric));
  config->set_max_connections(info.config.max_connections);
  config->set_ef_construction(info.config.ef_construction);
  config->set_ef_search(info.config.ef_search);
  if (info.config.flat_threshold) config->set_flat_threshold(*info.config.flat_threshold);
  config->set_max_rate(info.config.max_rate);
  config->set_quota_observations(info.config.quota_observations);
  config->set_quota_bytes(info.config.quota_bytes);
  out->set_live(info.live);
  out->set_size(info.size);
  out->set_linked(info.linked);
  out->set_resident_bytes(info.resident_bytes);
  out->set_queued(info.queued);
  out->set_created_at_us(info.created_at_us);
  out->set_has_graph(info.has_graph);
}

void Encode(const ObservationHit& hit, v1::Hit* out) {
  out->set_id(std::string(hit.id));
  out->set_similarity(hit.similarity);
  out->set_score(hit.score);
  out->set_observed_at_us(hit.observed_at_us);
  out->set_confidence(hit.confidence);
  out->set_content(std::string(hit.content));
  for (const TagView& tag : hit.tags) (*out->mutable_tags())[std::string(tag.key)] = std::string(tag.value);
  out->mutable_embedding()->Add(hit.embedding.begin(), hit.embedding.end());
}

void Encode(const ObservationHit& hit, bool include_embedding, v1::Observation* out) {
  out->set_id(std::string(hit.id));
  if (include_embedding) out->set_embedding_f32(hit.embedding.data(), hit.embedding.size_bytes());
  out->set_content(std::string(hit.content));
  for (const TagView& tag : hit.tags) (*out->mutable_tags())[std::string(tag.key)] = std::string(tag.value);
  out->set_observed_at_us(hit.observed_at_us);
  out->set_confidence(hit.confidence);
  out->set_ttl_us(hit.ttl_us);
}

void EncodeCoverage(const RecallAnswer& answer, v1::Coverage* out) {
  Encode(answer.visible_through, out->mutable_visible_through());
  out->set_graph_candidates(answer.graph_candidates);
  out->set_tail_scanned(answer.tail_scanned);
  out->set_exact(answer.exact);
  out->set_live(answer.live);
  out->set_unreadable(answer.unreadable);
}

void EncodeAck(const StreamProgress& progress, Durability durability, v1::Ack* out) {
  out->set_received_through(progress.received_through);
  out->set_durable_through(progress.durable_through);
  out->set_indexed_through(progress.indexed_through);
  if (progress.token != Token{}) Encode(progress.token, out->mutable_token());
  out->set_next_sequence(progress.received_through + 1);
  out->set_durability(static_cast<v1::Durability>(durability));
}

void EncodePressure(const PressureReading& reading, v1::Pressure* out) {
  out->set_level(static_cast<v1::PressureLevel>(reading.level));
  out->set_depth(reading.depth);
  out->set_capacity(reading.capacity);
  out->set_retry_after_us(reading.retry_after.count());
}

void EncodeEnded(const StreamProgress& progress, bool drained, v1::StreamEnded* out) {
  out->set_received_through(progress.received_through);
  out->set_durable_through(progress.durable_through);
  out->set_indexed_through(progress.indexed_through);
  out->set_drained(drained);
}

}  // namespace engram
