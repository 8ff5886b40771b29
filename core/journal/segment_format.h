// A segment of the journal on disk: what stands at its two ends. The records between them are in record_head.h.
//
// Threads:   values and functions of their arguments; ReadHeader and ReadFooter from any thread. Blocking: those two
//            read.
// Errors:    DATA_LOSS naming the path and what does not hold; FAILED_PRECONDITION for a segment of a newer version.
// Why:       a segment that is being written ends nowhere in particular: stale bytes may lie behind its last record,
//            and they never validate, because each CRC starts from the segment's own seed. A sealed one is found from
//            its end.
//
//   segment := block record* (footer trailer)?      all little-endian; numbers are unsigned unless they say otherwise
//   block   := header zeros header zeros            8192 bytes: the same header at 0 and at 4096, so that one damaged
//                                                   sector does not cost the seed, and with it everything
//   header  := "ENGRMJNL"  u32 version  u32 seed  u64 lineage  u64 first position  u32 generation  24 zeros  u32 CRC
//   footer  := a record of type 255 whose position is the last one covered and whose one body is
//                u64 first position  u64 last position  u64 observations  i64 least observed_at  i64 greatest
//                observed_at u32 spaces  u32 records  { u64 space_id  u64 observations }  { u32 position - first  u32
//                offset / 8 }
//   trailer := u64 "ENGRMEND"  u32 length of the footer record  u32 CRC
//
// The header's CRC starts from 0, all others of the segment (the trailer's too) from its seed. Every version keeps the
// place of the version and of the header's CRC. A reader takes its own version and older ones; unknown types and flags
// are damage, so what adds one adds one to the version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/journal/files.h"

namespace engram {

inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr size_t kHeaderBytes = 64;
// Where the second header is.
inline constexpr size_t kHeaderCopyAt = 4096;
// The two headers: where the first record is.
inline constexpr size_t kHeaderBlockBytes = 8192;
inline constexpr size_t kTrailerBytes = 16;
// Offsets are recorded in units of 8 bytes.
inline constexpr uint64_t kMaxSegmentBytes = uint64_t{1} << 35;

struct SegmentHeader {
  uint32_t seed = 0;
  // Names the journal this segment was written for, so that files of two never mix.
  uint64_t lineage = 0;
  uint64_t first_position = 0;
  // How often it was rewritten. Positions are dense in generation 0 only.
  uint32_t generation = 0;

  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

struct SegmentFooter {
  struct SpaceCount {
    uint64_t space_id = 0;
    uint64_t observations = 0;
    friend bool operator==(const SpaceCount&, const SpaceCount&) = default;
  };
  struct RecordPlace {
    uint64_t position = 0;
    uint64_t offset = 0;  // In the file.
    friend bool operator==(const RecordPlace&, const RecordPlace&) = default;
  };

  // The range the segment answers for, also where a rewrite left no record of it. Empty: last is first - 1.
  uint64_t first_position = 0;
  uint64_t last_position = 0;
  uint64_t observations = 0;
  // Both 0 when there is no observation.
  int64_t min_observed_at_us = 0;
  int64_t max_observed_at_us = 0;
  std::vector<SpaceCount> spaces;
  std::vector<RecordPlace> records;

  // The offset of the record at `position`; 0: it is not in this segment.
  uint64_t OffsetOf(uint64_t position) const;

  friend bool operator==(const SegmentFooter&, const SegmentFooter&) = default;
};

// Writes the block. REQUIRES: kHeaderBlockBytes of room.
void EncodeHeaderBlock(const SegmentHeader& header, std::byte* out);
absl::StatusOr<SegmentHeader> DecodeHeader(std::span<const std::byte> bytes);
// Looks at both headers and takes the first that is whole.
absl::StatusOr<SegmentHeader> ReadHeader(const File& file);

// Footer record and trailer: what Encode will write.
uint64_t EncodedFooterSize(const SegmentFooter& footer);
// Appends both; `durable` as for every record. REQUIRES: records ascend, within kMaxSegmentBytes and UINT32_MAX
// positions of the first.
void EncodeFooter(const SegmentFooter& footer, uint64_t durable, uint32_t seed, std::vector<std::byte>* out);
// The footer record alone, at the start of `bytes`.
absl::StatusOr<SegmentFooter> DecodeFooter(std::span<const std::byte> bytes, uint32_t seed);
// The length of the footer record that ends where the trailer begins.
absl::StatusOr<uint32_t> DecodeTrailer(std::span<const std::byte> bytes, uint32_t seed);

// Finds the footer from the file's end. DATA_LOSS also when the segment was never sealed.
absl::StatusOr<SegmentFooter> ReadFooter(const File& file, const SegmentHeader& header);

}  // namespace engram
