#include "core/record_store.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace engram {
namespace {

constexpr size_t kLargestBlock = size_t{1} << 20;

uint32_t ReadLength(const char* at) {
  uint32_t length;
  std::memcpy(&length, at, sizeof length);
  return length;
}

char* Put(char* at, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

template <typename Value>
char* PutValue(char* at, Value value) {
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}

char* PutLength(char* at, size_t length) { return PutValue(at, static_cast<uint32_t>(length)); }

}  // namespace

size_t RecordStore::BlobLength(size_t content, int64_t ttl_us, size_t tag_bytes) {
  if (content == 0 && ttl_us == 0 && tag_bytes == 0) return 0;
  return content + (ttl_us == 0 ? 0 : sizeof ttl_us) + sizeof(uint32_t) + tag_bytes;
}

char* RecordStore::PutHead(char* at, std::string_view content, int64_t ttl_us, uint32_t tags) {
  at = Put(at, content);
  if (ttl_us != 0) at = PutValue(at, ttl_us);
  return PutValue(at, tags);
}

int64_t RecordStore::TtlOf(const Row& row) const {
  int64_t ttl_us = 0;
  if (row.mortal != 0) std::memcpy(&ttl_us, row.blob + KeptLength(row), sizeof ttl_us);
  return ttl_us;
}

RecordStore::Tail RecordStore::TailOf(const Row& row) const {
  if (row.blob == nullptr) return {};
  const char* const at = row.blob + KeptLength(row) + (row.mortal != 0 ? sizeof(int64_t) : 0);
  return {ReadLength(at), at + sizeof(uint32_t)};
}

char* RecordStore::Allocate(size_t length) {
  if (block_size_ - block_used_ < length) {
    const size_t size = std::max(next_block_, length);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    next_block_ = std::min(next_block_ * 2, kLargestBlock);
    block_size_ = size;
    block_used_ = 0;
    bytes_.fetch_add(size, std::memory_order_relaxed);
  }
  char* const at = blocks_.back().get() + block_used_;
  block_used_ += length;
  return at;
}

void RecordStore::Extend(uint64_t end) {
  const auto held = [this] { return rows_.bytes() + observed_at_.bytes() + confidence_.bytes() + zones_.bytes(); };
  const uint64_t before = held();
  rows_.Extend(end);
  observed_at_.Extend(end);
  confidence_.Extend(end);
  zones_.Extend((end + kZoneRows - 1) / kZoneRows);
  bytes_.fetch_add(held() - before, std::memory_order_relaxed);
}

void RecordStore::SetColumns(uint64_t row, int64_t observed_at_us, float confidence) {
  observed_at_[row] = observed_at_us;
  confidence_[row] = confidence;
  ZoneCells& zone = zones_[row / kZoneRows];
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (observed_at_us < zone.first_observed_us.load(kRelaxed)) zone.first_observed_us.store(observed_at_us, kRelaxed);
  if (observed_at_us > zone.last_observed_us.load(kRelaxed)) zone.last_observed_us.store(observed_at_us, kRelaxed);
  if (confidence > zone.most_confidence.load(kRelaxed)) zone.most_confidence.store(confidence, kRelaxed);
}

RecordStore::ZoneRange RecordStore::Zone(Ordinal zone) const {
  const ZoneCells& cells = zones_[zone];
  return {cells.first_observed_us.load(std::memory_order_relaxed),
          cells.last_observed_us.load(std::memory_order_relaxed),
          cells.most_confidence.load(std::memory_order_relaxed)};
}

void RecordStore::Append(Ordinal first, std::span<const ObservationView> observations, uint64_t position,
                         std::span<const uint32_t> places) {
  Extend(uint64_t{first} + observations.size());
  for (size_t i = 0; i < observations.size(); ++i) {
    const ObservationView& observation = observations[i];
    const std::string_view content = keeps_contents_ ? observation.content : std::string_view();
    size_t tag_bytes = 0;
    for (const TagView& tag : observation.tags) tag_bytes += 2 * sizeof(uint32_t) + tag.key.size() + tag.value.size();
    const size_t length = BlobLength(content.size(), observation.ttl_us, tag_bytes);
    char* const blob = length == 0 ? nullptr : Allocate(length);
    if (blob != nullptr) {
      char* at = PutHead(blob, content, observation.ttl_us, static_cast<uint32_t>(observation.tags.size()));
      for (const TagView& tag : observation.tags) {
        at = PutLength(PutLength(at, tag.key.size()), tag.value.size());
        at = Put(Put(at, tag.key), tag.value);
      }
    }
    ENGRAM_CHECK(observation.content.size() <= kMostContent);
    Row& row = rows_[uint64_t{first} + i];
    row.blob = blob;
    row.content_length = observation.content.size() & kMostContent;
    row.mortal = observation.ttl_us != 0;
    row.position = position;
    row.place = places.empty() ? static_cast<uint32_t>(i) : places[i];
    SetColumns(uint64_t{first} + i, observation.observed_at_us, observation.confidence);
  }
  tags_.Append(first, observations);
}

std::string_view RecordStore::Content(Ordinal ordinal) const {
  const Row& row = rows_[ordinal];
  return keeps_contents_ ? std::string_view(row.blob, row.content_length) : std::string_view();
}

std::vector<TagView> RecordStore::Tags(Ordinal ordinal) const {
  const Tail tail = TailOf(rows_[ordinal]);
  std::vector<TagView> tags;
  tags.reserve(tail.tags);
  const char* at = tail.at;
  for (uint32_t i = 0; i < tail.tags; ++i) {
    const uint32_t key = ReadLength(at);
    const uint32_t value = ReadLength(at + sizeof key);
    at += 2 * sizeof key;
    tags.push_back({{at, key}, {at + key, value}});
    at += size_t{key} + value;
  }
  return tags;
}

std::optional<std::string_view> RecordStore::FindTag(Ordinal ordinal, std::string_view wanted) const {
  const Tail tail = TailOf(rows_[ordinal]);
  const char* at = tail.at;
  for (uint32_t i = 0; i < tail.tags; ++i) {
    const uint32_t key = ReadLength(at);
    const uint32_t value = ReadLength(at + sizeof key);
    at += 2 * sizeof key;
    if (std::string_view(at, key) == wanted) return std::string_view(at + key, value);
    at += size_t{key} + value;
  }
  return std::nullopt;
}

int64_t RecordStore::ExpiresAt(Ordinal ordinal) const {
  const Row& row = rows_[ordinal];
  if (row.mortal == 0) return kForEver;
  int64_t at;
  return __builtin_add_overflow(observed_at_[ordinal], TtlOf(row), &at) ? kForEver : at;
}

}  // namespace engram
