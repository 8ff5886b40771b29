// The head of a record, and the table of its bodies: what stands before the first body.
//
// Threads: values and functions of their arguments. Errors: DATA_LOSS saying what does not hold; the caller adds where.
// Why:     the fixed part has a CRC of its own, so one look of constant cost tells whether a record begins here, and
//          its lengths can be believed when bodies behind it are damaged. The table names the end and the CRC of each
//          body, so one observation is read and verified alone.
//
//   record    := fixed table places? name marks body* zeros          8-byte aligned, `total_length` bytes
//   fixed     := u32 CRC of fixed behind itself  u32 CRC of the rest of the head
//                u32 head_length  u32 total_length  u64 position  u64 durable  u64 space_id
//                u32 dimension  u32 bodies  u32 marks  u16 name length  u8 type  u8 metric  u8 flags  3 zeros
//   table     := { u32 end, counted from the record's first byte  u32 CRC }
//                for each body; the first begins at head_length
//   places    := u32 for each body, ascending
//                when flags has kSparsePlaces; else 0, 1, 2 ...
//   marks     := { u64 through  u16 length  stream }
//   body      := by type: an observation each; or one list of tombstones; or one config; or one footer; nothing for a
//                drop
//   type      := RecordType, or 255: the segment's footer
//
// Every CRC is CRC-32C continued from the segment's seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/status.h"

namespace engram {

inline constexpr size_t kRecordFixedBytes = 60;
inline constexpr size_t kTableEntryBytes = 8;
inline constexpr size_t kRecordAlignment = 8;
// No record is larger, so that 32-bit offsets inside it do.
inline constexpr uint64_t kMaxRecordBytes = uint64_t{1} << 30;
// The type of the record that ends a sealed segment.
inline constexpr uint8_t kFooterType = 255;
// A flag of the head: places are listed.
inline constexpr uint8_t kSparsePlaces = 1;

struct RecordHead {
  uint32_t fixed_crc = 0;  // Left to EncodeFixed.
  uint32_t rest_crc = 0;
  uint32_t head_length = 0;
  uint32_t total_length = 0;
  uint64_t position = 0;
  // The last position known to be synced when this record was appended.
  uint64_t durable = 0;
  uint64_t space_id = 0;
  uint32_t dimension = 0;
  uint32_t bodies = 0;
  uint32_t marks = 0;
  uint16_t name_length = 0;
  uint8_t type = 0;
  uint8_t metric = 0;
  uint8_t flags = 0;

  bool sparse() const { return (flags & kSparsePlaces) != 0; }
  uint64_t table_bytes() const { return uint64_t{bodies} * (kTableEntryBytes + (sparse() ? 4 : 0)); }
};

// Where a body is in its record, and what its bytes must come to.
struct BodyRange {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t crc = 0;
};

// Writes the fixed part with its CRC.
void EncodeFixed(const RecordHead& head, uint32_t seed, std::byte* out);

// The fixed part at the start of `bytes`, which may be shorter than the record. What it answers is consistent in
// itself: the lengths hold the table, the name and the least of the marks.
absl::StatusOr<RecordHead> DecodeHead(std::span<const std::byte> bytes, uint32_t seed);

// False for most bytes at which no record begins, at the cost of a few comparisons. REQUIRES: kRecordFixedBytes of
// them.
bool MayBeHead(const std::byte* bytes);

// The whole head is at the start of `bytes`: its second CRC holds, and the bodies lie one behind the other in the
// record.
absl::Status VerifyTable(std::span<const std::byte> bytes, const RecordHead& head, uint32_t seed);

// REQUIRES: VerifyTable held and index < head.bodies.
BodyRange BodyAt(std::span<const std::byte> bytes, const RecordHead& head, uint32_t index);
// The index of the body with this place; nothing when it is not (or no longer) in the record. REQUIRES: VerifyTable
// held.
std::optional<uint32_t> FindPlace(std::span<const std::byte> bytes, const RecordHead& head, uint32_t place);
uint32_t PlaceAt(std::span<const std::byte> bytes, const RecordHead& head, uint32_t index);

// Every body's CRC holds and the padding is zero. `bytes` is the whole record. REQUIRES: VerifyTable held.
absl::Status VerifyBodies(std::span<const std::byte> bytes, const RecordHead& head, uint32_t seed);

constexpr uint64_t AlignRecord(uint64_t bytes) {
  return (bytes + kRecordAlignment - 1) & ~uint64_t{kRecordAlignment - 1};
}

}  // namespace engram
