#include "core/journal/segment_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"
#include "core/journal/record.h"
#include "core/journal/record_head.h"

namespace engram {
namespace {

constexpr uint64_t kHeaderMagic = 0x4c4e4a4d52474e45;   // "ENGRMJNL"
constexpr uint64_t kTrailerMagic = 0x444e454d52474e45;  // "ENGRMEND"
constexpr size_t kVersionAt = 8;
constexpr size_t kReservedAt = 36;
constexpr size_t kHeaderCrcAt = 60;

constexpr size_t kFooterFixedBytes = 5 * 8 + 2 * 4;
constexpr size_t kSpaceCountBytes = 16;
constexpr size_t kRecordPlaceBytes = 8;

absl::Status At(const File& file, const absl::Status& status) {
  return absl::Status(status.code(), fmt::format("{}: {}", file.path(), MessageOf(status)));
}

uint64_t BodyBytes(const SegmentFooter& footer) {
  return kFooterFixedBytes + footer.spaces.size() * kSpaceCountBytes + footer.records.size() * kRecordPlaceBytes;
}

uint64_t FooterRecordBytes(const SegmentFooter& footer) {
  return AlignRecord(kRecordFixedBytes + kTableEntryBytes + BodyBytes(footer));
}

}  // namespace

uint64_t SegmentFooter::OffsetOf(uint64_t position) const {
  const auto found = std::lower_bound(records.begin(), records.end(), position,
                                      [](const RecordPlace& r, uint64_t p) { return r.position < p; });
  return found != records.end() && found->position == position ? found->offset : 0;
}

void EncodeHeaderBlock(const SegmentHeader& header, std::byte* out) {
  std::memset(out, 0, kHeaderBlockBytes);
  ByteWriter to(out);
  to.Put(kHeaderMagic);
  to.Put(kSegmentVersion);
  to.Put(header.seed);
  to.Put(header.lineage);
  to.Put(header.first_position);
  to.Put(header.generation);
  StoreLe(out + kHeaderCrcAt, Crc32c(0, {out, kHeaderCrcAt}));
  std::memcpy(out + kHeaderCopyAt, out, kHeaderBytes);
}

absl::StatusOr<SegmentHeader> DecodeHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes) {
    return absl::DataLossError(
        fmt::format("{} bytes are left of a segment's header of {}", bytes.size(), kHeaderBytes));
  }
  if (LoadLe<uint64_t>(bytes.data()) != kHeaderMagic) return absl::DataLossError("no segment of a journal begins here");
  const uint32_t crc = Crc32c(0, bytes.first(kHeaderCrcAt));
  if (const uint32_t said = LoadLe<uint32_t>(bytes.data() + kHeaderCrcAt); crc != said) {
    return absl::DataLossError(fmt::format("the crc of the segment's header is {:08x} and not {:08x}", crc, said));
  }
  const uint32_t version = LoadLe<uint32_t>(bytes.data() + kVersionAt);
  if (version > kSegmentVersion) {
    return absl::FailedPreconditionError(fmt::format(
        "the segment has format version {}, newer than {}, the newest this program knows", version, kSegmentVersion));
  }
  ByteCursor from(bytes.subspan(kVersionAt + 4));
  SegmentHeader header;
  header.seed = from.Take<uint32_t>();
  header.lineage = from.Take<uint64_t>();
  header.first_position = from.Take<uint64_t>();
  header.generation = from.Take<uint32_t>();
  const std::span<const std::byte> reserved = bytes.subspan(kReservedAt, kHeaderCrcAt - kReservedAt);
  const bool zeros = std::all_of(reserved.begin(), reserved.end(), [](std::byte b) { return b == std::byte{0}; });
  if (version == 0 || header.first_position == 0 || !zeros) {
    return absl::DataLossError(fmt::format("a segment's header of version {} with first position {} makes no sense",
                                           version, header.first_position));
  }
  return header;
}

absl::StatusOr<SegmentHeader> ReadHeader(const File& file) {
  absl::Status why;
  for (const size_t offset : {size_t{0}, kHeaderCopyAt}) {
    std::array<std::byte, kHeaderBytes> bytes;
    absl::StatusOr<size_t> got = file.ReadAt(offset, bytes);
    absl::StatusOr<SegmentHeader> header =
        got.ok() ? DecodeHeader(std::span(bytes).first(*got)) : absl::StatusOr<SegmentHeader>(At(file, got.status()));
    if (header.ok()) return header;
    // What cannot be read may be whole, so it goes before damage.
    if (why.ok() || (absl::IsDataLoss(why) && !absl::IsDataLoss(header.status()))) why = header.status();
  }
  return At(file, why);
}

uint64_t EncodedFooterSize(const SegmentFooter& footer) { return FooterRecordBytes(footer) + kTrailerBytes; }

void EncodeFooter(const SegmentFooter& footer, uint64_t durable, uint32_t seed, std::vector<std::byte>* out) {
  const uint64_t record_bytes = FooterRecordBytes(footer);
  ENGRAM_CHECK(record_bytes <= kMaxRecordBytes);
  const size_t begin = out->size();
  out->resize(begin + record_bytes + kTrailerBytes);
  std::byte* const record = out->data() + begin;

  RecordHead head;
  head.head_length = kRecordFixedBytes + kTableEntryBytes;
  head.total_length = static_cast<uint32_t>(record_bytes);
  head.position = footer.last_position;
  head.durable = durable;
  head.bodies = 1;
  head.type = kFooterType;

  ByteWriter to(record + head.head_length);
  to.Put(footer.first_position);
  to.Put(footer.last_position);
  to.Put(footer.observations);
  to.Put(footer.min_observed_at_us);
  to.Put(footer.max_observed_at_us);
  to.Put(static_cast<uint32_t>(footer.spaces.size()));
  to.Put(static_cast<uint32_t>(footer.records.size()));
  for (const SegmentFooter::SpaceCount& space : footer.spaces) {
    to.Put(space.space_id);
    to.Put(space.observations);
  }
  for (const SegmentFooter::RecordPlace& place : footer.records) {
    ENGRAM_CHECK(place.position - footer.first_position <= UINT32_MAX && place.offset < kMaxSegmentBytes);
    to.Put(static_cast<uint32_t>(place.position - footer.first_position));
    to.Put(static_cast<uint32_t>(place.offset / kRecordAlignment));
  }
  const std::byte* const body = record + head.head_length;
  ByteWriter table(record + kRecordFixedBytes);
  table.Put(static_cast<uint32_t>(to.at() - record));
  table.Put(Crc32c(seed, {body, to.at()}));
  head.rest_crc = Crc32c(seed, {record + kRecordFixedBytes, kTableEntryBytes});
  EncodeFixed(head, seed, record);

  ByteWriter trailer(record + record_bytes);
  trailer.Put(kTrailerMagic);
  trailer.Put(head.total_length);
  trailer.Put(Crc32c(seed, {record + record_bytes, kTrailerBytes - 4}));
}

absl::StatusOr<SegmentFooter> DecodeFooter(std::span<const std::byte> bytes, uint32_t seed) {
  ENGRAM_ASSIGN_OR_RETURN(const RecordHead head, DecodeHead(bytes, seed));
  if (head.type != kFooterType || head.bodies != 1) return absl::DataLossError("no footer is here");
  ENGRAM_RETURN_IF_ERROR(VerifyTable(bytes, head, seed));
  ENGRAM_RETURN_IF_ERROR(VerifyBodies(bytes, head, seed));
  const BodyRange body = BodyAt(bytes, head, 0);
  ByteCursor from(bytes.subspan(body.begin, body.end - body.begin));
  SegmentFooter footer;
  footer.first_position = from.Take<uint64_t>();
  footer.last_position = from.Take<uint64_t>();
  footer.observations = from.Take<uint64_t>();
  footer.min_observed_at_us = from.Take<int64_t>();
  footer.max_observed_at_us = from.Take<int64_t>();
  const uint64_t spaces = from.Take<uint32_t>();
  const uint64_t records = from.Take<uint32_t>();
  if (!from.ok() || from.left() != spaces * kSpaceCountBytes + records * kRecordPlaceBytes) {
    return absl::DataLossError(fmt::format("the footer does not hold its {} spaces and {} records", spaces, records));
  }
  footer.spaces.resize(spaces);
  for (SegmentFooter::SpaceCount& space : footer.spaces) {
    space.space_id = from.Take<uint64_t>();
    space.observations = from.Take<uint64_t>();
  }
  footer.records.resize(records);
  uint64_t before = 0;
  for (SegmentFooter::RecordPlace& place : footer.records) {
    place.position = footer.first_position + from.Take<uint32_t>();
    place.offset = uint64_t{from.Take<uint32_t>()} * kRecordAlignment;
    if (place.position <= before || place.position > footer.last_position) {
      return absl::DataLossError(fmt::format("the footer lists position {} behind {}", place.position, before));
    }
    before = place.position;
  }
  return footer;
}

absl::StatusOr<uint32_t> DecodeTrailer(std::span<const std::byte> bytes, uint32_t seed) {
  if (bytes.size() < kTrailerBytes || LoadLe<uint64_t>(bytes.data()) != kTrailerMagic) {
    return absl::DataLossError("the segment ends without a trailer");
  }
  const uint32_t crc = Crc32c(seed, bytes.first(kTrailerBytes - 4));
  if (const uint32_t said = LoadLe<uint32_t>(bytes.data() + kTrailerBytes - 4); crc != said) {
    return absl::DataLossError(fmt::format("the crc of the trailer is {:08x} and not {:08x}", crc, said));
  }
  return LoadLe<uint32_t>(bytes.data() + 8);
}

absl::StatusOr<SegmentFooter> ReadFooter(const File& file, const SegmentHeader& header) {
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  if (size < kHeaderBlockBytes + kTrailerBytes) {
    return At(file, absl::DataLossError(fmt::format("{} bytes hold no sealed segment", size)));
  }
  std::array<std::byte, kTrailerBytes> trailer;
  ENGRAM_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(size - kTrailerBytes, trailer));
  absl::StatusOr<uint32_t> length = DecodeTrailer(std::span(trailer).first(got), header.seed);
  if (!length.ok()) return At(file, length.status());
  const uint64_t end = size - kTrailerBytes;
  if (*length > end - kHeaderBlockBytes) {
    return At(file, absl::DataLossError(fmt::format("a footer of {} bytes does not fit into {}", *length, size)));
  }
  std::vector<std::byte> bytes(*length);
  ENGRAM_ASSIGN_OR_RETURN(const size_t read, file.ReadAt(end - *length, bytes));
  absl::StatusOr<SegmentFooter> footer = DecodeFooter(std::span(bytes).first(read), header.seed);
  if (!footer.ok()) return At(file, footer.status());
  if (footer->first_position != header.first_position) {
    return At(file, absl::DataLossError(fmt::format("the footer begins at position {}, the header at {}",
                                                    footer->first_position, header.first_position)));
  }
  return footer;
}

}  // namespace engram
