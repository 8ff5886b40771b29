// Records to bytes and back. What stands around the bodies is in record_head.h.
//
// Threads:   functions of their arguments. Ownership: what is decoded points into the bytes and into the DecodedRecord.
// Errors:    EncodedSize INVALID_ARGUMENT naming the field that is too long for its number; decoding DATA_LOSS saying
//            what does not hold. No bytes whatever make it read outside of its span.
// Why:       encoding is the path of every observation: one copy, one CRC over what was just copied, no allocation.
//
//   observation := u8 flags  u16 id length  u16 tags  u32 content length  i64 observed_at_us
//                  i64 ttl_us?  f32 confidence?  id  embedding  content  { u16 key length  u32 value length  key  value
//                  }
//   flags       := 1 the embedding is f16 and not f32, 2 there is a ttl, 4 there is a confidence and it is not 1
//   tombstones  := u32 count  { u64 through  u16 id length  id }
//   config      := u32 dimension  u8 metric  u8 there is a flat_threshold  u16 0  u32 max_connections  u32
//   ef_construction
//                  u32 ef_search  u64 flat_threshold  u64 max_rate  u64 quota_observations  u64 quota_bytes
//                  i64 created_at_us
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/journal/record.h"
#include "core/journal/record_head.h"

namespace engram {

// What Encode will write; all fields fit their numbers.
absl::StatusOr<uint64_t> EncodedSize(const JournalRecord& record);

// Writes the record. REQUIRES: out.size() is the EncodedSize. The space_id of a kSpaceCreated becomes `position` when
// it is 0. Another seed, and `places` of what is left, make the record of a rewritten segment.
void Encode(const JournalRecord& record, uint64_t position, uint64_t durable, uint32_t seed, std::span<std::byte> out);

// A record, and memory for what its views do not find in the bytes. Used again, it allocates nothing.
struct DecodedRecord {
  DecodedRecord() = default;
  DecodedRecord(const DecodedRecord&) = delete;
  DecodedRecord& operator=(const DecodedRecord&) = delete;

  JournalRecord record;
  uint64_t position = 0;
  uint64_t durable = 0;

  std::vector<ObservationView> observations;
  std::vector<TagView> tags;
  std::vector<uint32_t> places;
  std::vector<StreamMark> marks;
  std::vector<Tombstone> tombstones;
  SpaceConfig config;
};

// Verifies and decodes the record at the start of `bytes`, which may go on behind it; not a footer.
absl::Status DecodeRecord(std::span<const std::byte> bytes, uint32_t seed, DecodedRecord* out);

// The same when the head, the table and the bodies have been verified.
absl::Status DecodeVerified(std::span<const std::byte> bytes, const RecordHead& head, DecodedRecord* out);

// One observation's body, verified before. Appends its tags to `tags`; when that moves them, the views of tags taken
// earlier must be set anew.
absl::Status DecodeObservation(std::span<const std::byte> body, uint32_t dimension, ObservationView* out,
                               std::vector<TagView>* tags);

}  // namespace engram
