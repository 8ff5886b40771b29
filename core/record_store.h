// The texts, tags, times and confidences of a space's observations, by ordinal.
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

namespace engram {

class RecordStore {
 public:
  // Never expires.
  static constexpr int64_t kForEver = INT64_MAX;

  // Stages the rows [first, first + count); a second Append at the same `first` overwrites what was never published.
  // `now_us` stands for an observed_at_us of 0.
  void Append(Ordinal first, std::span<const ObservationView> observations, int64_t now_us);

  std::string_view Content(Ordinal ordinal) const;
  std::vector<TagView> Tags(Ordinal ordinal) const;
  // Nothing when there is no tag of that key.
  std::optional<std::string_view> FindTag(Ordinal ordinal, std::string_view key) const;
  int64_t ObservedAt(Ordinal ordinal) const { return rows_[ordinal].observed_at_us; }
  int64_t Ttl(Ordinal ordinal) const { return rows_[ordinal].ttl_us; }
  float Confidence(Ordinal ordinal) const { return rows_[ordinal].confidence; }
  // When it must not be recalled any more; kForEver without a ttl.
  int64_t ExpiresAt(Ordinal ordinal) const;

  // Any thread.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  // The blob is the content followed by the tags: u32 key length, u32 value length, key, value.
  struct Row {
    const char* blob;
    int64_t observed_at_us;
    int64_t ttl_us;
    uint32_t content_length;
    uint32_t tags;
    float confidence;
  };

  char* Allocate(size_t length);

  ChunkedColumn<Row> rows_;
  // Only the writer's: blocks of blob bytes, never moved.
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t next_block_ = 1024;
  size_t block_used_ = 0;
  size_t block_size_ = 0;
  // Atomic: read by whoever asks how large the space is.
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace engram
