// The texts, tags, times and confidences of a space's observations, and where the journal has them, by ordinal.
//
// What filters look at lies in columns of its own: times, confidences, the ordinals of each tag, and for each 1024 rows
// (a *zone*) the range of their times and confidences.
//
// When the journal keeps what it records, the texts stay there and only their lengths are here.
//
// Threads:  one writer (Append); readers of any ordinal visible in a view of the space's index, whose release-store of the
//           size publishes the rows too. Ownership: owns copies of the bytes, for the space's life.
// Blocking: never. Errors: std::bad_alloc from Append, which then changed nothing that a reader sees.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/chunked_column.h"
#include "core/base/types.h"
#include "core/journal/record.h"
#include "core/tag_index.h"
#include "index/image.h"

namespace engram {

class RecordStore {
 public:
  // Never expires.
  static constexpr int64_t kForEver = INT64_MAX;
  static constexpr Ordinal kZoneRows = 1024;
  // Bytes of a content: more than limits.max_content_bytes can be.
  static constexpr uint32_t kMostContent = (uint32_t{1} << 31) - 1;

  explicit RecordStore(bool keeps_contents) : keeps_contents_(keeps_contents) {}

  // Stages the rows [first, first + count); a second Append at the same `first` overwrites what was never published.
  // They are of the record at `position`, at the `places` there (empty: 0, 1, 2 ...).
  void Append(Ordinal first, std::span<const ObservationView> observations, uint64_t position,
              std::span<const uint32_t> places);

  // Writes an image of the rows below `end`, all of them published.
  absl::Status Save(Ordinal end, ImageSink& sink) const;
  // Of an empty store: the rows of an image, which must be `rows`. DATA_LOSS for what is no image of so many,
  // FAILED_PRECONDITION for one of another version or with its contents elsewhere, RESOURCE_EXHAUSTED when memory is out.
  absl::Status Load(Ordinal rows, ImageSource& source);

  // Empty unless the contents are kept here.
  std::string_view Content(Ordinal ordinal) const;
  // There is a content, and it has to be read from the journal.
  bool ContentElsewhere(Ordinal ordinal) const { return !keeps_contents_ && rows_[ordinal].content_length != 0; }
  RecordAddress Address(Ordinal ordinal) const { return {rows_[ordinal].position, rows_[ordinal].place}; }
  std::vector<TagView> Tags(Ordinal ordinal) const;
  // Nothing when there is no tag of that key.
  std::optional<std::string_view> FindTag(Ordinal ordinal, std::string_view key) const;
  int64_t ObservedAt(Ordinal ordinal) const { return observed_at_[ordinal]; }
  int64_t Ttl(Ordinal ordinal) const { return TtlOf(rows_[ordinal]); }
  float Confidence(Ordinal ordinal) const { return confidence_[ordinal]; }
  // When it must not be recalled any more; kForEver without a ttl.
  int64_t ExpiresAt(Ordinal ordinal) const;

  // No row of the zone [zone * kZoneRows, + kZoneRows) is outside of it; it may be wider than the rows are.
  struct ZoneRange {
    int64_t first_observed_us = 0;
    int64_t last_observed_us = 0;
    float most_confidence = 0;
  };
  ZoneRange Zone(Ordinal zone) const;
  const TagIndex& tags() const { return tags_; }

  // Any thread.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed) + tags_.bytes(); }

 private:
  // The blob is the content, if it is kept; and if there is a content kept, a ttl or a tag: i64 ttl where `mortal`, u32
  // how many tags, and of each u32 key length, u32 value length, key, value. Most rows have no blob.
  struct Row {
    const char* blob;
    uint64_t position;
    uint32_t place;
    uint32_t content_length : 31;
    uint32_t mortal : 1;
  };
  static_assert(sizeof(Row) == 24);
  // What a blob says behind its content.
  struct Tail {
    uint32_t tags = 0;
    const char* at = nullptr;  // The first of them.
  };
  // Atomic: the last zone widens while readers look at it.
  struct ZoneCells {
    std::atomic<int64_t> first_observed_us{INT64_MAX};
    std::atomic<int64_t> last_observed_us{INT64_MIN};
    std::atomic<float> most_confidence{0};
  };

  size_t KeptLength(const Row& row) const { return keeps_contents_ ? row.content_length : 0; }
  int64_t TtlOf(const Row& row) const;
  Tail TailOf(const Row& row) const;

  // What a blob takes, and its first part up to the tags, which go where it returns.
  static size_t BlobLength(size_t content, int64_t ttl_us, size_t tag_bytes);
  static char* PutHead(char* at, std::string_view content, int64_t ttl_us, uint32_t tags);
  char* Allocate(size_t length);
  // Makes the rows below `end` exist.
  void Extend(uint64_t end);
  void SetColumns(uint64_t row, int64_t observed_at_us, float confidence);

  const bool keeps_contents_;
  ChunkedColumn<Row> rows_;
  ChunkedColumn<int64_t> observed_at_;
  ChunkedColumn<float> confidence_;
  ChunkedColumn<ZoneCells, 1, (uint64_t{1} << 32) / kZoneRows> zones_;
  TagIndex tags_{*this};
  // Only the writer's: blocks of blob bytes, never moved.
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t next_block_ = 1024;
  size_t block_used_ = 0;
  size_t block_size_ = 0;
  // Atomic: read by whoever asks how large the space is.
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace engram
