#include "core/journal/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/journal/little_endian.h"
#include "core/journal/record_head.h"

namespace engram {
namespace {

// Large enough for the disk, small enough to stay in a processor's cache between the read and the CRC.
constexpr uint64_t kReadBytes = 1 << 20;

constexpr size_t kPositionAt = 16;

}  // namespace

std::string SegmentDefect::Describe(std::string_view path) const {
  std::string lost = "no record is lost";
  if (loses_records()) {
    lost = last_missing == UINT64_MAX ? fmt::format("positions from {} on are lost", first_missing)
                                      : fmt::format("positions {} to {} are lost", first_missing, last_missing);
  }
  return fmt::format("{}: {} bytes at offset {} are damaged ({}): {}", path, length, offset, what, lost);
}

absl::Status SegmentReader::Open() {
  ENGRAM_ASSIGN_OR_RETURN(size_, file_.Size());
  ENGRAM_ASSIGN_OR_RETURN(header_, ReadHeader(file_));
  ENGRAM_ASSIGN_OR_RETURN(const std::span<const std::byte> block, Have(kHeaderBlockBytes));
  last_position_ = header_.first_position - 1;
  CheckBlock(block.first(std::min(block.size(), kHeaderBlockBytes)));
  confirmed_ = defects_.size();
  at_ = std::min<uint64_t>(kHeaderBlockBytes, size_);
  end_offset_ = at_;
  return absl::OkStatus();
}

void SegmentReader::CheckBlock(std::span<const std::byte> block) {
  for (const size_t offset : {size_t{0}, kHeaderCopyAt}) {
    const absl::StatusOr<SegmentHeader> header = DecodeHeader(block.subspan(std::min(offset, block.size())));
    if (!header.ok()) {
      AddHarmless(offset, kHeaderBytes, MessageOf(header.status()));
    } else if (*header != header_) {
      AddHarmless(offset, kHeaderBytes, "the two headers differ");
    }
    const size_t zeros = offset + kHeaderBytes;
    for (size_t i = zeros; i < std::min(offset + kHeaderCopyAt, block.size()); ++i) {
      if (block[i] == std::byte{0}) continue;
      AddHarmless(i, 1, "the padding behind the header is not zero");
      break;
    }
  }
}

absl::StatusOr<std::span<const std::byte>> SegmentReader::Have(uint64_t bytes) {
  if (at_ + bytes > buffer_end_ && buffer_end_ < size_) {
    const uint64_t kept = buffer_end_ - at_;
    const uint64_t wanted = std::min(std::max(bytes, kReadBytes), size_ - at_);
    if (wanted > buffer_.size()) {
      std::vector<std::byte> larger(wanted);
      if (kept > 0) std::memcpy(larger.data(), buffer_.data() + (at_ - buffer_begin_), kept);
      buffer_ = std::move(larger);
    } else if (kept > 0) {
      std::memmove(buffer_.data(), buffer_.data() + (at_ - buffer_begin_), kept);
    }
    buffer_begin_ = at_;
    buffer_end_ = at_ + kept;
    const std::span<std::byte> room = std::span(buffer_).subspan(kept, wanted - kept);
    ENGRAM_ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(buffer_end_, room));
    buffer_end_ += got;
    if (got < room.size()) size_ = buffer_end_;
  }
  const uint64_t from = at_ - buffer_begin_;
  return std::span<const std::byte>(buffer_).subspan(from, buffer_end_ - at_);
}

absl::StatusOr<SegmentReader::Candidate> SegmentReader::Look() {
  ENGRAM_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, Have(kRecordFixedBytes));
  Candidate found;
  absl::StatusOr<RecordHead> head = DecodeHead(bytes, header_.seed);
  if (!head.ok()) {
    found.why_not = MessageOf(head.status());
    return found;
  }
  found.head = *head;
  const bool footer = head->type == kFooterType;
  if (footer ? head->position < last_position_ : head->position <= last_position_) {
    found.why_not = fmt::format("position {} comes behind {}", head->position, last_position_);
  } else if (head->total_length > size_ - at_) {
    found.why_not = fmt::format("a record of {} bytes is cut off after {}", head->total_length, size_ - at_);
  } else {
    found.valid = true;
  }
  return found;
}

absl::StatusOr<SegmentReader::Candidate> SegmentReader::Search() {
  at_ += kRecordAlignment;
  while (at_ < size_) {
    ENGRAM_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, Have(kRecordFixedBytes));
    if (bytes.size() < kRecordFixedBytes) break;
    size_t i = 0;
    const size_t last = bytes.size() - kRecordFixedBytes;
    while (i <= last &&
           (!MayBeHead(bytes.data() + i) || LoadLe<uint64_t>(bytes.data() + i + kPositionAt) < last_position_)) {
      i += kRecordAlignment;
    }
    at_ += i;
    if (i > last) continue;
    ENGRAM_ASSIGN_OR_RETURN(Candidate found, Look());
    if (found.valid) return found;
    at_ += kRecordAlignment;
  }
  at_ = size_;
  return Candidate{};
}

absl::Status SegmentReader::DecodeHere(const RecordHead& head) {
  ENGRAM_ASSIGN_OR_RETURN(std::span<const std::byte> bytes, Have(head.total_length));
  if (bytes.size() < head.total_length) return absl::DataLossError("the file became shorter");
  bytes = bytes.first(head.total_length);
  ENGRAM_RETURN_IF_ERROR(VerifyTable(bytes, head, header_.seed));
  ENGRAM_RETURN_IF_ERROR(VerifyBodies(bytes, head, header_.seed));
  return DecodeVerified(bytes, head, &decoded_);
}

absl::StatusOr<bool> SegmentReader::Next() {
  while (!ended_) {
    if (at_ >= size_) {
      EndWithoutFooter(at_, "there is no footer");
      break;
    }
    ENGRAM_ASSIGN_OR_RETURN(Candidate found, Look());
    const uint64_t bad = at_;
    if (!found.valid) {
      std::string why_not = std::move(found.why_not);
      ENGRAM_ASSIGN_OR_RETURN(found, Search());
      if (!found.valid) {
        EndWithoutFooter(bad, why_not);
        break;
      }
      // The record before a footer ends in its position; before another record, one below.
      const uint64_t last = found.head.position - (found.head.type == kFooterType ? 0 : 1);
      AddDefect(bad, at_ - bad, last_position_ + 1, last, why_not);
    } else if (header_.generation == 0) {
      const uint64_t next = found.head.position + (found.head.type == kFooterType ? 1 : 0);
      if (next > last_position_ + 1) AddDefect(at_, 0, last_position_ + 1, next - 1, "positions are missing");
    }
    for (SegmentDefect& defect : defects_)
      defect.durable_through = std::max(defect.durable_through, found.head.durable);
    if (found.head.type == kFooterType) {
      ENGRAM_RETURN_IF_ERROR(ReadEnd(found.head));
      break;
    }
    offset_ = at_;
    length_ = found.head.total_length;
    const absl::Status decoded = DecodeHere(found.head);
    // Only damage is a defect; what the file itself answers is not ours.
    if (!decoded.ok() && !absl::IsDataLoss(decoded)) return decoded;
    at_ += found.head.total_length;
    if (!decoded.ok()) {
      AddDefect(offset_, length_, found.head.position, found.head.position, MessageOf(decoded));
      last_position_ = found.head.position;
      continue;
    }
    last_position_ = found.head.position;
    confirmed_ = defects_.size();
    end_offset_ = at_;
    return true;
  }
  ended_ = true;
  return false;
}

absl::Status SegmentReader::ReadEnd(const RecordHead& head) {
  const uint64_t begin = at_;
  const uint64_t before = last_position_;
  ENGRAM_ASSIGN_OR_RETURN(const std::span<const std::byte> bytes, Have(uint64_t{head.total_length} + kTrailerBytes));
  absl::StatusOr<SegmentFooter> footer =
      DecodeFooter(bytes.first(std::min<size_t>(head.total_length, bytes.size())), header_.seed);
  if (footer.ok() && (footer->first_position != header_.first_position || footer->last_position != head.position)) {
    footer = absl::DataLossError(fmt::format("the footer covers positions {} to {}, the segment {} to {}",
                                             footer->first_position, footer->last_position, header_.first_position,
                                             head.position));
  }
  const uint64_t end = begin + head.total_length;
  const absl::StatusOr<uint32_t> trailer =
      DecodeTrailer(bytes.subspan(std::min<size_t>(head.total_length, bytes.size())), header_.seed);
  const bool whole_trailer = trailer.ok() && *trailer == head.total_length;
  if (!options_.sealed && !(footer.ok() && whole_trailer)) {
    // Sealing was under way; it begins again.
    DropTail(begin);
    return absl::OkStatus();
  }
  // A footer is as good as a record behind what is damaged.
  confirmed_ = defects_.size();
  last_position_ = std::max(before, head.position);
  end_offset_ = end + (whole_trailer ? kTrailerBytes : 0);
  if (footer.ok()) {
    footer_ = *std::move(footer);
  } else {
    AddHarmless(begin, head.total_length, MessageOf(footer.status()));
  }
  if (!whole_trailer) {
    AddHarmless(end, size_ - end, trailer.ok() ? "the trailer does not fit the footer" : MessageOf(trailer.status()));
  } else if (options_.sealed && end_offset_ < size_) {
    AddHarmless(end_offset_, size_ - end_offset_, "the segment goes on behind its trailer");
  }
  if (options_.sealed && options_.last_position != UINT64_MAX && options_.last_position != last_position_) {
    AddDefect(end_offset_, 0, last_position_ + 1, options_.last_position, "the footer ends at another position");
  }
  return absl::OkStatus();
}

void SegmentReader::AddDefect(uint64_t offset, uint64_t length, uint64_t first_missing, uint64_t last_missing,
                              std::string_view what) {
  SegmentDefect defect;
  // The file may end before what should be there.
  defect.offset = std::min(offset, size_);
  defect.length = std::min(length, size_ - defect.offset);
  defect.first_missing = first_missing;
  defect.last_missing = last_missing;
  defect.durable_through = options_.sealed ? UINT64_MAX : 0;
  defect.what = what;
  defects_.push_back(std::move(defect));
}

void SegmentReader::EndWithoutFooter(uint64_t offset, std::string_view what) {
  if (!options_.sealed) {
    DropTail(offset);
    return;
  }
  end_offset_ = offset;
  AddDefect(offset, size_ - offset, last_position_ + 1, options_.last_position, what);
}

void SegmentReader::DropTail(uint64_t end) {
  // Who loses something durable is followed by what proves it, and so is everything before.
  size_t kept = defects_.size();
  while (kept > confirmed_ && !defects_[kept - 1].was_durable()) --kept;
  end_offset_ = kept < defects_.size() ? defects_[kept].offset : end;
  if (kept < defects_.size()) last_position_ = defects_[kept].first_missing - 1;
  defects_.resize(kept);
}

}  // namespace engram
