// The columns of a record store as an image:
//
//   image  := magic u64, version u32, keeps contents u32, rows u32, zero u32, group*
//   group  := row[n], blob[n]
//   row    := observed_at i64, ttl i64, position u64, place u32, content length u32, tags u32, confidence f32,
//             blob length u32, zero u32
//
//   blob   := content, if it is kept, and of each tag: key length u32, value length u32, key, value
//
// A group has 1024 rows, the last one what is left.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "core/base/status.h"
#include "core/record_store.h"

namespace engram {
namespace {

constexpr uint64_t kMagic = 0x3163'6572'7267'6e65;  // "engrrec1"
constexpr uint32_t kVersion = 1;
constexpr uint32_t kGroupRows = 1024;

struct Header {
  uint64_t magic = kMagic;
  uint32_t version = kVersion;
  uint32_t keeps_contents = 0;
  uint32_t rows = 0;
  uint32_t zero = 0;
};
static_assert(sizeof(Header) == 24);

struct SavedRow {
  int64_t observed_at_us = 0;
  int64_t ttl_us = 0;
  uint64_t position = 0;
  uint32_t place = 0;
  uint32_t content_length = 0;
  uint32_t tags = 0;
  uint32_t confidence = 0;  // Its bits.
  uint32_t blob_length = 0;
  uint32_t zero = 0;
};
static_assert(sizeof(SavedRow) == 48);

uint32_t LengthAt(const char* at) {
  uint32_t length;
  std::memcpy(&length, at, sizeof length);
  return length;
}

constexpr size_t kTagHead = 2 * sizeof(uint32_t);

// Where the last of the tags ends.
const char* BehindTags(const char* at, uint32_t tags) {
  for (uint32_t i = 0; i < tags; ++i) at += kTagHead + LengthAt(at) + LengthAt(at + sizeof(uint32_t));
  return at;
}

// They fill [at, end) exactly.
bool TagsFill(const char* at, const char* end, uint32_t tags) {
  for (uint32_t i = 0; i < tags; ++i) {
    if (static_cast<size_t>(end - at) < kTagHead) return false;
    const uint64_t length = uint64_t{LengthAt(at)} + LengthAt(at + sizeof(uint32_t));
    at += kTagHead;
    if (static_cast<uint64_t>(end - at) < length) return false;
    at += length;
  }
  return at == end;
}

}  // namespace

absl::Status RecordStore::Save(Ordinal end, ImageSink& sink) const {
  Header header;
  header.keeps_contents = keeps_contents_ ? 1 : 0;
  header.rows = end;
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Header>(&header, 1)));
  std::vector<SavedRow> saved;
  std::vector<std::span<const char>> tags;
  for (uint64_t at = 0; at < end; at += kGroupRows) {
    saved.assign(std::min<uint64_t>(kGroupRows, end - at), {});
    tags.assign(saved.size(), {});
    for (size_t i = 0; i < saved.size(); ++i) {
      const Row& row = rows_[at + i];
      const Tail tail = TailOf(row);
      tags[i] = {tail.at, static_cast<size_t>(BehindTags(tail.at, tail.tags) - tail.at)};
      saved[i] = {observed_at_[at + i],
                  TtlOf(row),
                  row.position,
                  row.place,
                  row.content_length,
                  tail.tags,
                  std::bit_cast<uint32_t>(confidence_[at + i]),
                  static_cast<uint32_t>(KeptLength(row) + tags[i].size())};
    }
    ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const SavedRow>(saved)));
    for (size_t i = 0; i < saved.size(); ++i) {
      const Row& row = rows_[at + i];
      ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const char>(row.blob, KeptLength(row))));
      ENGRAM_RETURN_IF_ERROR(WriteValues(sink, tags[i]));
    }
  }
  return absl::OkStatus();
}

absl::Status RecordStore::Load(Ordinal rows, ImageSource& source) {
  Header header;
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(&header, 1)));
  if (header.magic != kMagic || header.zero != 0 || header.rows != rows || rows > source.left() / sizeof(SavedRow)) {
    return absl::DataLossError(fmt::format("not an image of {} records", rows));
  }
  if (header.version != kVersion || (header.keeps_contents != 0) != keeps_contents_) {
    return absl::FailedPreconditionError(
        fmt::format("the image of the records has version {}, this program reads {}, or its contents are elsewhere",
                    header.version, kVersion));
  }
  try {
    Extend(rows);
    std::vector<SavedRow> saved;
    std::vector<char> blobs;
    for (uint64_t at = 0; at < rows; at += kGroupRows) {
      saved.resize(std::min<uint64_t>(kGroupRows, rows - at));
      ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(saved)));
      uint64_t blob_bytes = 0;
      for (const SavedRow& row : saved) blob_bytes += row.blob_length;
      if (blob_bytes > source.left()) {
        return absl::DataLossError(fmt::format("the image claims {} bytes of tags in {}", blob_bytes, source.left()));
      }
      blobs.resize(blob_bytes);
      ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(blobs)));
      const char* read = blobs.data();
      for (size_t i = 0; i < saved.size(); ++i) {
        const SavedRow& from = saved[i];
        const uint32_t content = keeps_contents_ ? from.content_length : 0;
        if (from.content_length > kMostContent || content > from.blob_length ||
            !TagsFill(read + content, read + from.blob_length, from.tags)) {
          return absl::DataLossError(fmt::format("the tags of record {} of the image do not fit it", at + i));
        }
        const size_t tag_bytes = from.blob_length - content;
        const size_t length = BlobLength(content, from.ttl_us, tag_bytes);
        char* const blob = length == 0 ? nullptr : Allocate(length);
        if (blob != nullptr) {
          char* const behind = PutHead(blob, {read, content}, from.ttl_us, from.tags);
          if (tag_bytes != 0) std::memcpy(behind, read + content, tag_bytes);
        }
        read += from.blob_length;
        rows_[at + i] = {blob, from.position, from.place, from.content_length & kMostContent, from.ttl_us != 0};
        SetColumns(at + i, from.observed_at_us, std::bit_cast<float>(from.confidence));
      }
    }
    tags_.Rebuild(rows);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(fmt::format("no memory for the {} records of the image", rows));
  }
  if (source.left() != 0) return absl::DataLossError(fmt::format("{} bytes behind the records", source.left()));
  return absl::OkStatus();
}

}  // namespace engram
