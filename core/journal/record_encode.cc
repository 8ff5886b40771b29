#include <fmt/format.h>

#include <limits>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"
#include "core/journal/record_codec.h"
#include "core/journal/record_constants.h"

namespace engram {
namespace {

constexpr size_t kMost16 = std::numeric_limits<uint16_t>::max();
constexpr size_t kMost32 = std::numeric_limits<uint32_t>::max();

// The text is not built until it is needed: this runs for every field of every observation.
#define ENGRAM_FITS(what, value, most)                                                                          \
  do {                                                                                                          \
    if ((value) > (most)) [[unlikely]]                                                                          \
      return absl::InvalidArgumentError(fmt::format(what " is {}, more than {} can be recorded", value, most)); \
  } while (false)

size_t BodyCount(const JournalRecord& record) {
  switch (record.type) {
    case RecordType::kObservations:
      return record.observations.size();
    case RecordType::kSpaceDropped:
      return 0;
    default:
      return 1;
  }
}

uint32_t DimensionOf(const JournalRecord& record) {
  const bool some = record.type == RecordType::kObservations && !record.observations.empty();
  return some ? record.observations.front().embedding.dimension : 0;
}

absl::StatusOr<uint64_t> ObservationBytes(const ObservationView& o) {
  ENGRAM_FITS("the length of an id", o.id.size(), kMost16);
  ENGRAM_FITS("the number of tags", o.tags.size(), kMost16);
  ENGRAM_FITS("the length of a content", o.content.size(), kMost32);
  uint64_t bytes = kObservationFixedBytes + (o.ttl_us != 0 ? 8 : 0) + (o.confidence != 1.0f ? 4 : 0) + o.id.size() +
                   o.embedding.bytes() + o.content.size();
  for (const TagView& tag : o.tags) {
    ENGRAM_FITS("the length of a tag's key", tag.key.size(), kMost16);
    ENGRAM_FITS("the length of a tag's value", tag.value.size(), kMost32);
    bytes += kTagFixedBytes + tag.key.size() + tag.value.size();
  }
  return bytes;
}

void PutObservation(const ObservationView& o, ByteWriter& to) {
  uint8_t flags = o.embedding.encoding == Encoding::kF16 ? kF16Flag : 0;
  if (o.ttl_us != 0) flags |= kTtlFlag;
  if (o.confidence != 1.0f) flags |= kConfidenceFlag;
  to.Put(flags);
  to.Put(static_cast<uint16_t>(o.id.size()));
  to.Put(static_cast<uint16_t>(o.tags.size()));
  to.Put(static_cast<uint32_t>(o.content.size()));
  to.Put(o.observed_at_us);
  if (o.ttl_us != 0) to.Put(o.ttl_us);
  if (o.confidence != 1.0f) to.Put(o.confidence);
  to.PutText(o.id);
  to.PutBytes(o.embedding.data, o.embedding.bytes());
  to.PutText(o.content);
  for (const TagView& tag : o.tags) {
    to.Put(static_cast<uint16_t>(tag.key.size()));
    to.Put(static_cast<uint32_t>(tag.value.size()));
    to.PutText(tag.key);
    to.PutText(tag.value);
  }
}

void PutTombstones(std::span<const Tombstone> tombstones, ByteWriter& to) {
  to.Put(static_cast<uint32_t>(tombstones.size()));
  for (const Tombstone& tombstone : tombstones) {
    to.Put(tombstone.through);
    to.Put(static_cast<uint16_t>(tombstone.id.size()));
    to.PutText(tombstone.id);
  }
}

void PutConfig(const SpaceConfig& config, int64_t created_at_us, ByteWriter& to) {
  to.Put(config.dimension);
  to.Put(config.metric);
  to.Put(uint8_t{config.flat_threshold.has_value()});
  to.Put(uint16_t{0});
  to.Put(config.max_connections);
  to.Put(config.ef_construction);
  to.Put(config.ef_search);
  to.Put(config.flat_threshold.value_or(0));
  to.Put(config.max_rate);
  to.Put(config.quota_observations);
  to.Put(config.quota_bytes);
  to.Put(created_at_us);
}

}  // namespace

uint64_t JournalRecord::payload_bytes() const {
  uint64_t bytes = 0;
  for (const ObservationView& o : observations) {
    bytes += o.id.size() + o.embedding.bytes() + o.content.size();
    for (const TagView& tag : o.tags) bytes += tag.key.size() + tag.value.size();
  }
  for (const Tombstone& tombstone : tombstones) bytes += tombstone.id.size();
  return bytes;
}

absl::StatusOr<uint64_t> EncodedSize(const JournalRecord& record) {
  ENGRAM_FITS("the length of a space's name", record.space.size(), kMost16);
  uint64_t bytes =
      kRecordFixedBytes + BodyCount(record) * kTableEntryBytes + record.places.size() * 4 + record.space.size();
  for (const StreamMark& mark : record.marks) {
    ENGRAM_FITS("the length of a stream's id", mark.stream.size(), kMost16);
    bytes += kMarkFixedBytes + mark.stream.size();
  }
  switch (record.type) {
    case RecordType::kObservations:
      for (const ObservationView& o : record.observations) {
        ENGRAM_ASSIGN_OR_RETURN(const uint64_t body, ObservationBytes(o));
        bytes += body;
      }
      break;
    case RecordType::kTombstones:
      bytes += 4;
      for (const Tombstone& tombstone : record.tombstones) {
        ENGRAM_FITS("the length of an id", tombstone.id.size(), kMost16);
        bytes += kTombstoneFixedBytes + tombstone.id.size();
      }
      break;
    case RecordType::kSpaceCreated:
    case RecordType::kSpaceChanged:
      bytes += kConfigBytes;
      break;
    case RecordType::kSpaceDropped:
      break;
  }
  bytes = AlignRecord(bytes);
  ENGRAM_FITS("the size of a record", bytes, kMaxRecordBytes);
  return bytes;
}

#undef ENGRAM_FITS

void Encode(const JournalRecord& record, uint64_t position, uint64_t durable, uint32_t seed, std::span<std::byte> out) {
  ENGRAM_CHECK(record.places.empty() || record.places.size() == record.observations.size());
  RecordHead head;
  head.total_length = static_cast<uint32_t>(out.size());
  head.position = position;
  head.durable = durable;
  head.space_id = record.type == RecordType::kSpaceCreated && record.space_id == 0 ? position : record.space_id;
  head.dimension = DimensionOf(record);
  head.bodies = static_cast<uint32_t>(BodyCount(record));
  head.marks = static_cast<uint32_t>(record.marks.size());
  head.name_length = static_cast<uint16_t>(record.space.size());
  head.type = static_cast<uint8_t>(record.type);
  head.metric = static_cast<uint8_t>(record.metric);
  head.flags = record.places.empty() ? 0 : kSparsePlaces;

  ByteWriter table(out.data() + kRecordFixedBytes);
  ByteWriter to(out.data() + kRecordFixedBytes + size_t{head.bodies} * kTableEntryBytes);
  to.PutBytes(record.places.data(), record.places.size_bytes());
  to.PutText(record.space);
  for (const StreamMark& mark : record.marks) {
    to.Put(mark.through);
    to.Put(static_cast<uint16_t>(mark.stream.size()));
    to.PutText(mark.stream);
  }
  head.head_length = static_cast<uint32_t>(to.at() - out.data());

  const std::byte* begin = to.at();
  const auto end_body = [&] {
    table.Put(static_cast<uint32_t>(to.at() - out.data()));
    table.Put(Crc32c(seed, {begin, to.at()}));
    begin = to.at();
  };
  switch (record.type) {
    case RecordType::kObservations:
      for (const ObservationView& o : record.observations) {
        ENGRAM_CHECK(o.embedding.dimension == head.dimension);
        PutObservation(o, to);
        end_body();
      }
      break;
    case RecordType::kTombstones:
      PutTombstones(record.tombstones, to);
      end_body();
      break;
    case RecordType::kSpaceCreated:
    case RecordType::kSpaceChanged:
      ENGRAM_CHECK(record.config != nullptr);
      PutConfig(*record.config, record.created_at_us, to);
      end_body();
      break;
    case RecordType::kSpaceDropped:
      break;
  }
  std::byte* const end = out.data() + out.size();
  ENGRAM_CHECK(to.at() <= end && end - to.at() < ptrdiff_t{kRecordAlignment});
  std::memset(to.at(), 0, static_cast<size_t>(end - to.at()));
  head.rest_crc = Crc32c(seed, out.subspan(kRecordFixedBytes, head.head_length - kRecordFixedBytes));
  EncodeFixed(head, seed, out.data());
}

}  // namespace engram
