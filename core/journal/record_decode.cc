#include <fmt/format.h>

#include <bit>

#include "core/journal/little_endian.h"
#include "core/journal/record_codec.h"
#include "core/journal/record_constants.h"

namespace engram {
namespace {

absl::Status DecodeTombstones(ByteCursor body, std::vector<Tombstone>* out) {
  const uint32_t count = body.Take<uint32_t>();
  for (uint32_t i = 0; i < count && body.ok(); ++i) {
    Tombstone tombstone;
    tombstone.through = body.Take<uint64_t>();
    tombstone.id = body.TakeText(body.Take<uint16_t>());
    out->push_back(tombstone);
  }
  return body.done() ? absl::OkStatus()
                     : absl::DataLossError(fmt::format("the body does not hold its {} tombstones", count));
}

absl::StatusOr<Metric> DecodeMetric(uint8_t number) {
  if (number < uint8_t(Metric::kCosine) || number > uint8_t(Metric::kL2)) {
    return absl::DataLossError(fmt::format("{} is no metric", number));
  }
  return static_cast<Metric>(number);
}

absl::Status DecodeConfig(ByteCursor body, SpaceConfig* config, int64_t* created_at_us) {
  *config = {};
  config->dimension = body.Take<uint32_t>();
  const uint8_t metric = body.Take<uint8_t>();
  const uint8_t has_threshold = body.Take<uint8_t>();
  const uint16_t zero = body.Take<uint16_t>();
  config->max_connections = body.Take<uint32_t>();
  config->ef_construction = body.Take<uint32_t>();
  config->ef_search = body.Take<uint32_t>();
  const uint64_t threshold = body.Take<uint64_t>();
  config->max_rate = body.Take<uint64_t>();
  config->quota_observations = body.Take<uint64_t>();
  config->quota_bytes = body.Take<uint64_t>();
  *created_at_us = body.Take<int64_t>();
  if (!body.done() || has_threshold > 1 || zero != 0) return absl::DataLossError("the body is no space's config");
  ENGRAM_ASSIGN_OR_RETURN(config->metric, DecodeMetric(metric));
  if (has_threshold == 1) config->flat_threshold = threshold;
  return absl::OkStatus();
}

absl::Status DecodeObservations(std::span<const std::byte> bytes, const RecordHead& head, DecodedRecord* out) {
  // Before memory is taken for them.
  if (uint64_t{head.bodies} * kObservationFixedBytes > head.total_length - head.head_length) {
    return absl::DataLossError(fmt::format("{} bytes do not hold {} observations", head.total_length, head.bodies));
  }
  out->observations.resize(head.bodies);
  for (uint32_t i = 0; i < head.bodies; ++i) {
    const BodyRange body = BodyAt(bytes, head, i);
    absl::Status decoded = DecodeObservation(bytes.subspan(body.begin, body.end - body.begin), head.dimension,
                                             &out->observations[i], &out->tags);
    if (!decoded.ok()) {
      return absl::DataLossError(fmt::format("body {} of {}: {}", i, head.bodies, MessageOf(decoded)));
    }
  }
  // The tags lie still only now.
  const TagView* tags = out->tags.data();
  for (ObservationView& o : out->observations) {
    o.tags = {tags, o.tags.size()};
    tags += o.tags.size();
  }
  if (head.sparse()) {
    out->places.resize(head.bodies);
    for (uint32_t i = 0; i < head.bodies; ++i) out->places[i] = PlaceAt(bytes, head, i);
  }
  return absl::OkStatus();
}

absl::Status DecodeNames(std::span<const std::byte> bytes, const RecordHead& head, DecodedRecord* out) {
  const size_t begin = kRecordFixedBytes + head.table_bytes();
  ByteCursor from(bytes.subspan(begin, head.head_length - begin));
  out->record.space = from.TakeText(head.name_length);
  for (uint32_t i = 0; i < head.marks && from.ok(); ++i) {
    StreamMark mark;
    mark.through = from.Take<uint64_t>();
    mark.stream = from.TakeText(from.Take<uint16_t>());
    out->marks.push_back(mark);
  }
  return from.done() ? absl::OkStatus()
                     : absl::DataLossError(fmt::format("the head does not hold its {} marks", head.marks));
}

}  // namespace

absl::Status DecodeObservation(std::span<const std::byte> body, uint32_t dimension, ObservationView* out,
                               std::vector<TagView>* tags) {
  ByteCursor from(body);
  const uint8_t flags = from.Take<uint8_t>();
  const uint16_t id_length = from.Take<uint16_t>();
  const uint16_t tag_count = from.Take<uint16_t>();
  const uint32_t content_length = from.Take<uint32_t>();
  *out = {};
  out->observed_at_us = from.Take<int64_t>();
  if (flags & ~kKnownFlags)
    return absl::DataLossError(fmt::format("an observation has the unknown flags {:02x}", flags));
  if (flags & kTtlFlag) out->ttl_us = from.Take<int64_t>();
  if (flags & kConfidenceFlag) out->confidence = from.Take<float>();
  out->id = from.TakeText(id_length);
  out->embedding.dimension = dimension;
  out->embedding.encoding = flags & kF16Flag ? Encoding::kF16 : Encoding::kF32;
  out->embedding.data = from.TakeBytes(out->embedding.bytes()).data();
  out->content = from.TakeText(content_length);
  const size_t first = tags->size();
  for (uint32_t i = 0; i < tag_count && from.ok(); ++i) {
    const uint16_t key_length = from.Take<uint16_t>();
    const uint32_t value_length = from.Take<uint32_t>();
    TagView tag;
    tag.key = from.TakeText(key_length);
    tag.value = from.TakeText(value_length);
    tags->push_back(tag);
  }
  if (!from.done()) {
    return absl::DataLossError(fmt::format("{} bytes do not hold an observation of {} dimensions and {} tags",
                                           body.size(), dimension, tag_count));
  }
  out->tags = {tags->data() + first, tag_count};
  return absl::OkStatus();
}

absl::Status DecodeVerified(std::span<const std::byte> bytes, const RecordHead& head, DecodedRecord* out) {
  out->observations.clear();
  out->tags.clear();
  out->places.clear();
  out->marks.clear();
  out->tombstones.clear();
  out->record = {};
  out->position = head.position;
  out->durable = head.durable;

  JournalRecord& record = out->record;
  record.type = static_cast<RecordType>(head.type);
  record.space_id = head.space_id;
  ENGRAM_ASSIGN_OR_RETURN(record.metric, DecodeMetric(head.metric));
  const bool observations = record.type == RecordType::kObservations;
  const uint32_t bodies = record.type == RecordType::kSpaceDropped ? 0 : 1;
  if (!observations && (head.bodies != bodies || head.sparse() || head.dimension != 0)) {
    return absl::DataLossError(fmt::format("a record of type {} has {} bodies", head.type, head.bodies));
  }
  ENGRAM_RETURN_IF_ERROR(DecodeNames(bytes, head, out));
  const auto only_body = [&] {
    const BodyRange body = BodyAt(bytes, head, 0);
    return ByteCursor(bytes.subspan(body.begin, body.end - body.begin));
  };
  switch (record.type) {
    case RecordType::kObservations:
      ENGRAM_RETURN_IF_ERROR(DecodeObservations(bytes, head, out));
      break;
    case RecordType::kTombstones:
      ENGRAM_RETURN_IF_ERROR(DecodeTombstones(only_body(), &out->tombstones));
      break;
    case RecordType::kSpaceCreated:
    case RecordType::kSpaceChanged:
      ENGRAM_RETURN_IF_ERROR(DecodeConfig(only_body(), &out->config, &record.created_at_us));
      record.config = &out->config;
      break;
    case RecordType::kSpaceDropped:
      break;
    default:
      return absl::DataLossError(fmt::format("a record of type {} is not one of a space", head.type));
  }
  record.observations = out->observations;
  record.places = out->places;
  record.marks = out->marks;
  record.tombstones = out->tombstones;
  return absl::OkStatus();
}

absl::Status DecodeRecord(std::span<const std::byte> bytes, uint32_t seed, DecodedRecord* out) {
  ENGRAM_ASSIGN_OR_RETURN(const RecordHead head, DecodeHead(bytes, seed));
  ENGRAM_RETURN_IF_ERROR(VerifyTable(bytes, head, seed));
  ENGRAM_RETURN_IF_ERROR(VerifyBodies(bytes, head, seed));
  return DecodeVerified(bytes, head, out);
}

}  // namespace engram
