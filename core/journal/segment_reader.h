// Reads a segment from its beginning to its end, and goes on behind what is damaged.
//
// Threads:   one. Ownership: the file outlives it; a record is valid until the next call of Next. Blocking: reads 1
//            MiB at a time, or a whole record where that is longer.
// Errors:    Open DATA_LOSS (no whole header, so no seed: nothing in the file can be told from stale bytes) or
//            FAILED_PRECONDITION (newer version). Next only what the file answers. Damage is a defect, not an error.
// Why:       one damaged record costs itself. Lengths are believed only under a CRC; where a head is damaged, the
//            next one is looked for at every 8th byte, by a few comparisons and then the CRC.
//
// The last segment ends in zeros, in stale bytes or in a torn record, and all of these only say where it ends. A hole
// with something whole behind it is a defect there too; was_durable() then tells corruption from records that reached
// the disk out of order before a power cut. It may become true with any later record, so it is final only when Next
// answered false: who recovers the last segment reads it once to see where it ends, and then applies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/journal/files.h"
#include "core/journal/record_codec.h"
#include "core/journal/segment_format.h"

namespace engram {

struct SegmentDefect {
  // The bytes that are no record; none where positions are missing between two whole records.
  uint64_t offset = 0;
  uint64_t length = 0;
  // The positions lost with them: in generation 0 exactly, else at most. None when the first is behind the last.
  uint64_t first_missing = 1;
  uint64_t last_missing = 0;
  // What a record behind it knew to be synced; everything, in a sealed segment.
  uint64_t durable_through = 0;
  // What does not hold.
  std::string what;

  bool loses_records() const { return first_missing <= last_missing; }
  // It had been acknowledged, so losing it is corruption.
  bool was_durable() const { return loses_records() && durable_through >= first_missing; }
  // One line for people.
  std::string Describe(std::string_view path) const;
};

class SegmentReader {
 public:
  struct Options {
    // A later segment exists, so a footer must end this one, and everything in it had been durable.
    bool sealed = false;
    // Of a sealed one, when known: its last position, one before the next segment's first.
    uint64_t last_position = UINT64_MAX;
  };

  SegmentReader(const File& file, Options options) : file_(file), options_(options) {}
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // Reads the header. Called once, before all else.
  absl::Status Open();
  // Goes to the next whole record; false at the end.
  absl::StatusOr<bool> Next();

  const SegmentHeader& header() const { return header_; }
  // The record that Next found, and where it is.
  const DecodedRecord& record() const { return decoded_; }
  uint64_t offset() const { return offset_; }
  uint64_t length() const { return length_; }

  const std::vector<SegmentDefect>& defects() const { return defects_; }
  // After the end: where the next record would be written; behind the trailer when there is a footer. Bytes of a torn
  // tail lie behind it.
  uint64_t end_offset() const { return end_offset_; }
  // After the end: the last position seen, of a footer too; first - 1 when there is none. A torn tail does not count.
  uint64_t last_position() const { return last_position_; }
  // After the end: what is in the footer; nothing when the segment has none that is whole.
  const std::optional<SegmentFooter>& footer() const { return footer_; }

 private:
  // What lies at at_.
  struct Candidate {
    bool valid = false;
    RecordHead head;
    std::string why_not;
  };

  // The bytes from at_ on, at least `bytes` of them unless the file ends before.
  absl::StatusOr<std::span<const std::byte>> Have(uint64_t bytes);
  absl::StatusOr<Candidate> Look();
  // Moves at_ to the next head of a higher position, or to the file's end.
  absl::StatusOr<Candidate> Search();
  absl::Status DecodeHere(const RecordHead& head);
  absl::Status ReadEnd(const RecordHead& head);
  void CheckBlock(std::span<const std::byte> block);
  void AddDefect(uint64_t offset, uint64_t length, uint64_t first_missing, uint64_t last_missing,
                 std::string_view what);
  void AddHarmless(uint64_t offset, uint64_t length, std::string_view what) {
    AddDefect(offset, length, last_position_ + 1, last_position_, what);
  }
  // The file has no more: what is behind the last whole record is a torn tail or, in a sealed segment, a defect.
  void EndWithoutFooter(uint64_t offset, std::string_view what);
  void DropTail(uint64_t end);

  const File& file_;
  const Options options_;
  SegmentHeader header_;
  uint64_t size_ = 0;

  std::vector<std::byte> buffer_;
  uint64_t buffer_begin_ = 0;
  uint64_t buffer_end_ = 0;
  uint64_t at_ = 0;

  DecodedRecord decoded_;
  uint64_t offset_ = 0;
  uint64_t length_ = 0;
  bool ended_ = false;

  std::vector<SegmentDefect> defects_;
  // Defects with a whole record behind them.
  size_t confirmed_ = 0;
  uint64_t end_offset_ = 0;
  // The last position accounted for: decoded, or known to be damaged.
  uint64_t last_position_ = 0;
  std::optional<SegmentFooter> footer_;
};

}  // namespace engram
