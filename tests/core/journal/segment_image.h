// A segment in memory, built record by record.
//
// Threads: one. Ownership: the records' memory may go once they are added.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/journal/record_codec.h"
#include "core/journal/segment_format.h"
#include "tests/core/journal/record_maker.h"

namespace engram::testing {

class SegmentImage {
 public:
  struct Added {
    uint64_t position = 0;
    uint64_t offset = 0;
    uint64_t length = 0;
    std::string text;
  };

  explicit SegmentImage(SegmentHeader header) : header_(header), next_(header.first_position) {
    bytes.resize(kHeaderBlockBytes);
    EncodeHeaderBlock(header, bytes.data());
    footer_.first_position = header.first_position;
  }

  void Add(const JournalRecord& record, uint64_t durable) { AddAt(record, next_, durable); }
  void AddAt(const JournalRecord& record, uint64_t position, uint64_t durable) {
    const absl::StatusOr<uint64_t> size = EncodedSize(record);
    ENGRAM_CHECK(size.ok());
    const size_t offset = bytes.size();
    bytes.resize(offset + *size);
    Encode(record, position, durable, header_.seed, std::span(bytes).subspan(offset));
    added.push_back({position, offset, *size, TextOf(record)});
    footer_.records.push_back({position, offset});
    footer_.observations += record.observations.size();
    next_ = position + 1;
  }
  void Seal() { Seal(next_ - 1); }
  void Seal(uint64_t last_position) {
    footer_.last_position = last_position;
    EncodeFooter(footer_, last_position, header_.seed, &bytes);
  }
  void AppendZeros(size_t count) { bytes.resize(bytes.size() + count); }

  const SegmentHeader& header() const { return header_; }
  const SegmentFooter& footer() const { return footer_; }
  uint64_t last_position() const { return next_ - 1; }

  std::vector<std::byte> bytes;
  std::vector<Added> added;

 private:
  const SegmentHeader header_;
  uint64_t next_;
  SegmentFooter footer_;
};

// Records 1, 2 ... of a few kinds, where each but the first two knows the one two before it to be durable.
inline SegmentImage SmallSegment(uint64_t seed, int records, uint64_t first_position = 1, uint32_t generation = 0) {
  RecordMaker maker(seed);
  SegmentImage image({static_cast<uint32_t>(maker.Below(UINT32_MAX)), 77, first_position, generation});
  for (int i = 0; i < records; ++i) {
    image.Add(maker.Any(), image.last_position() < 2 ? 0 : image.last_position() - 1);
  }
  return image;
}

}  // namespace engram::testing
