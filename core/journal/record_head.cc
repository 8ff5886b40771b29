#include "core/journal/record_head.h"

#include <fmt/format.h>

#include <string_view>

#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"
#include "core/journal/record.h"

namespace engram {
namespace {

// The least that a mark takes: through and length.
constexpr uint64_t kLeastMarkBytes = 10;

constexpr size_t kHeadLengthAt = 8;
constexpr size_t kTotalLengthAt = 12;
constexpr size_t kTypeAt = 54;
constexpr size_t kFlagsAt = 56;

bool KnownType(uint8_t type) {
  return (type >= uint8_t(RecordType::kObservations) && type <= uint8_t(RecordType::kSpaceDropped)) ||
         type == kFooterType;
}

absl::Status Damaged(std::string_view what) { return absl::DataLossError({what.data(), what.size()}); }

}  // namespace

void EncodeFixed(const RecordHead& head, uint32_t seed, std::byte* out) {
  ByteWriter to(out + 4);
  to.Put(head.rest_crc);
  to.Put(head.head_length);
  to.Put(head.total_length);
  to.Put(head.position);
  to.Put(head.durable);
  to.Put(head.space_id);
  to.Put(head.dimension);
  to.Put(head.bodies);
  to.Put(head.marks);
  to.Put(head.name_length);
  to.Put(head.type);
  to.Put(head.metric);
  to.Put(uint32_t{head.flags});
  StoreLe(out, Crc32c(seed, {out + 4, kRecordFixedBytes - 4}));
}

bool MayBeHead(const std::byte* bytes) {
  const uint32_t head_length = LoadLe<uint32_t>(bytes + kHeadLengthAt);
  const uint32_t total_length = LoadLe<uint32_t>(bytes + kTotalLengthAt);
  return head_length >= kRecordFixedBytes && head_length <= total_length && total_length % kRecordAlignment == 0 &&
         total_length <= kMaxRecordBytes && LoadLe<uint32_t>(bytes + kFlagsAt) <= kSparsePlaces &&
         KnownType(LoadLe<uint8_t>(bytes + kTypeAt));
}

absl::StatusOr<RecordHead> DecodeHead(std::span<const std::byte> bytes, uint32_t seed) {
  if (bytes.size() < kRecordFixedBytes) {
    return Damaged(fmt::format("{} bytes are left where a record's head takes {}", bytes.size(), kRecordFixedBytes));
  }
  if (!MayBeHead(bytes.data())) return Damaged("no record begins here");
  ByteCursor from(bytes.first(kRecordFixedBytes));
  RecordHead head;
  head.fixed_crc = from.Take<uint32_t>();
  if (const uint32_t crc = Crc32c(seed, bytes.subspan(4, kRecordFixedBytes - 4)); crc != head.fixed_crc) {
    return Damaged(fmt::format("the head's crc is {:08x} and not {:08x}", crc, head.fixed_crc));
  }
  head.rest_crc = from.Take<uint32_t>();
  head.head_length = from.Take<uint32_t>();
  head.total_length = from.Take<uint32_t>();
  head.position = from.Take<uint64_t>();
  head.durable = from.Take<uint64_t>();
  head.space_id = from.Take<uint64_t>();
  head.dimension = from.Take<uint32_t>();
  head.bodies = from.Take<uint32_t>();
  head.marks = from.Take<uint32_t>();
  head.name_length = from.Take<uint16_t>();
  head.type = from.Take<uint8_t>();
  head.metric = from.Take<uint8_t>();
  head.flags = from.Take<uint8_t>();
  const uint64_t least = kRecordFixedBytes + head.table_bytes() + head.name_length + head.marks * kLeastMarkBytes;
  if (least > head.head_length) {
    return Damaged(fmt::format("a head of {} bytes cannot hold {} bodies and {} marks", head.head_length, head.bodies,
                               head.marks));
  }
  if (head.position == 0 && head.type != kFooterType) return Damaged("the record has no position");
  return head;
}

absl::Status VerifyTable(std::span<const std::byte> bytes, const RecordHead& head, uint32_t seed) {
  if (bytes.size() < head.head_length) {
    return Damaged(fmt::format("{} bytes are left of a head of {}", bytes.size(), head.head_length));
  }
  const std::span<const std::byte> rest = bytes.subspan(kRecordFixedBytes, head.head_length - kRecordFixedBytes);
  if (const uint32_t crc = Crc32c(seed, rest); crc != head.rest_crc) {
    return Damaged(fmt::format("the crc of the table is {:08x} and not {:08x}", crc, head.rest_crc));
  }
  uint32_t end = head.head_length;
  for (uint32_t i = 0; i < head.bodies; ++i) {
    const BodyRange body = BodyAt(bytes, head, i);
    if (body.end < end || body.end > head.total_length) {
      return Damaged(fmt::format("body {} ends at {}, outside of [{}, {}]", i, body.end, end, head.total_length));
    }
    end = body.end;
    if (i > 0 && PlaceAt(bytes, head, i) <= PlaceAt(bytes, head, i - 1)) {
      return Damaged(fmt::format("the places of bodies {} and {} do not ascend", i - 1, i));
    }
  }
  if (head.total_length - end >= kRecordAlignment) {
    return Damaged(fmt::format("the bodies end at {}, far from the record's end at {}", end, head.total_length));
  }
  return absl::OkStatus();
}

BodyRange BodyAt(std::span<const std::byte> bytes, const RecordHead& head, uint32_t index) {
  const std::byte* entry = bytes.data() + kRecordFixedBytes + size_t{index} * kTableEntryBytes;
  BodyRange body;
  body.begin = index == 0 ? head.head_length : LoadLe<uint32_t>(entry - kTableEntryBytes);
  body.end = LoadLe<uint32_t>(entry);
  body.crc = LoadLe<uint32_t>(entry + 4);
  return body;
}

uint32_t PlaceAt(std::span<const std::byte> bytes, const RecordHead& head, uint32_t index) {
  if (!head.sparse()) return index;
  return LoadLe<uint32_t>(bytes.data() + kRecordFixedBytes + size_t{head.bodies} * kTableEntryBytes +
                          size_t{index} * 4);
}

std::optional<uint32_t> FindPlace(std::span<const std::byte> bytes, const RecordHead& head, uint32_t place) {
  if (!head.sparse()) return place < head.bodies ? std::optional(place) : std::nullopt;
  uint32_t first = 0;
  uint32_t last = head.bodies;
  while (first < last) {
    const uint32_t middle = first + (last - first) / 2;
    if (PlaceAt(bytes, head, middle) < place) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first < head.bodies && PlaceAt(bytes, head, first) == place ? std::optional(first) : std::nullopt;
}

absl::Status VerifyBodies(std::span<const std::byte> bytes, const RecordHead& head, uint32_t seed) {
  if (bytes.size() < head.total_length) {
    return Damaged(fmt::format("{} bytes are left of a record of {}", bytes.size(), head.total_length));
  }
  uint32_t end = head.head_length;
  for (uint32_t i = 0; i < head.bodies; ++i) {
    const BodyRange body = BodyAt(bytes, head, i);
    end = body.end;
    if (const uint32_t crc = Crc32c(seed, bytes.subspan(body.begin, body.end - body.begin)); crc != body.crc) {
      return Damaged(fmt::format("the crc of body {} of {} is {:08x} and not {:08x}", i, head.bodies, crc, body.crc));
    }
  }
  for (; end < head.total_length; ++end) {
    if (bytes[end] != std::byte{0}) return Damaged("the padding is not zero");
  }
  return absl::OkStatus();
}

}  // namespace engram
