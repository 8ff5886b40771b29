#include "core/journal/observation_reader.h"

#include <fmt/format.h>

#include <string_view>

#include "core/base/crc32c.h"
#include "core/journal/record_codec.h"
#include "core/journal/record_head.h"

namespace engram {
namespace {

// Holds the head of a batch of 480, and the whole record of most single observations.
constexpr size_t kFirstRead = 4096;

class Reader {
 public:
  Reader(const File& file, uint64_t offset, RecordAddress address, StoredObservation* out)
      : file_(file), offset_(offset), address_(address), out_(*out) {}

  absl::Status Read(uint32_t seed) {
    ENGRAM_RETURN_IF_ERROR(Have(kFirstRead));
    absl::StatusOr<RecordHead> head = DecodeHead(out_.bytes, seed);
    if (!head.ok()) return Damaged(MessageOf(head.status()));
    if (head->position != address_.position || head->type != uint8_t(RecordType::kObservations)) {
      return Damaged(fmt::format("a record of type {} with position {} is there", head->type, head->position));
    }
    ENGRAM_RETURN_IF_ERROR(Have(head->head_length));
    if (absl::Status table = VerifyTable(out_.bytes, *head, seed); !table.ok()) return Damaged(MessageOf(table));
    const std::optional<uint32_t> index = FindPlace(out_.bytes, *head, address_.place);
    if (!index) {
      return absl::NotFoundError(fmt::format("{}: the record at position {} does not hold place {}", file_.path(),
                                             address_.position, address_.place));
    }
    return ReadBody(*head, BodyAt(out_.bytes, *head, *index), seed);
  }

 private:
  // The record's first `bytes` bytes are in out_.bytes; fewer when the file ends before.
  absl::Status Have(size_t bytes) {
    const size_t had = out_.bytes.size();
    if (bytes <= had) return absl::OkStatus();
    // A length that only a damaged file can have must not allocate what is not there.
    ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file_.Size());
    const uint64_t left = size > offset_ ? size - offset_ : 0;
    if (left <= had) return absl::OkStatus();
    out_.bytes.resize(std::min<uint64_t>(bytes, left));
    ENGRAM_ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(offset_ + had, std::span(out_.bytes).subspan(had)));
    out_.bytes.resize(had + got);
    return absl::OkStatus();
  }

  absl::Status ReadBody(const RecordHead& head, const BodyRange& range, uint32_t seed) {
    const size_t length = range.end - range.begin;
    std::span<const std::byte> body;
    if (range.end <= out_.bytes.size()) {
      body = std::span<const std::byte>(out_.bytes).subspan(range.begin, length);
    } else {
      ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file_.Size());
      if (size < offset_ + range.end) return Damaged(fmt::format("the file ends at {}, inside of its body", size));
      out_.bytes.resize(length);
      ENGRAM_ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(offset_ + range.begin, out_.bytes));
      out_.bytes.resize(got);
      body = out_.bytes;
    }
    if (const uint32_t crc = Crc32c(seed, body); body.size() != length || crc != range.crc) {
      return Damaged(fmt::format("the crc of its {} bytes is {:08x} and not {:08x}", body.size(), crc, range.crc));
    }
    absl::Status decoded = DecodeObservation(body, head.dimension, &out_.observation, &out_.tags);
    return decoded.ok() ? decoded : Damaged(MessageOf(decoded));
  }

  absl::Status Damaged(std::string_view what) const {
    return absl::DataLossError(
        fmt::format("{} at offset {}: the observation at position {}, place {} cannot be read: {}", file_.path(),
                    offset_, address_.position, address_.place, what));
  }

  const File& file_;
  const uint64_t offset_;
  const RecordAddress address_;
  StoredObservation& out_;
};

}  // namespace

absl::Status ReadObservationAt(const File& file, uint64_t record_offset, uint32_t seed, RecordAddress address,
                               StoredObservation* out) {
  out->bytes.clear();
  out->tags.clear();
  out->observation = {};
  return Reader(file, record_offset, address, out).Read(seed);
}

}  // namespace engram
