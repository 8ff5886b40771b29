// Random records, and a text that two records share exactly when they say the same.
//
// Threads: one. Ownership: the maker owns what its records point at.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/journal/record.h"

namespace engram::testing {

// The seed of a property test: ENGRAM_SEED, or `otherwise`.
inline uint64_t SeedOr(uint64_t otherwise) {
  const char* given = std::getenv("ENGRAM_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

class RecordMaker {
 public:
  explicit RecordMaker(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return random_() % bound; }

  std::string_view Text(size_t most) {
    std::string text(Below(most + 1), '\0');
    for (char& c : text) c = static_cast<char>(random_());
    return texts_.emplace_back(std::move(text));
  }

  ObservationView Observation(uint32_t dimension) {
    ObservationView o;
    o.id = Text(20);
    o.embedding.dimension = dimension;
    o.embedding.encoding = Below(2) == 0 ? Encoding::kF32 : Encoding::kF16;
    std::string& bytes = texts_.emplace_back(o.embedding.bytes(), '\0');
    for (char& c : bytes) c = static_cast<char>(random_());
    o.embedding.data = reinterpret_cast<const std::byte*>(bytes.data());
    o.content = Text(80);
    std::vector<TagView>& tags = tags_.emplace_back(Below(4));
    for (TagView& tag : tags) tag = {Text(10), Text(30)};
    o.tags = tags;
    o.observed_at_us = static_cast<int64_t>(random_());
    if (Below(2) == 0) o.ttl_us = static_cast<int64_t>(random_());
    if (Below(2) == 0) o.confidence = 0.25f * static_cast<float>(Below(5));
    return o;
  }

  JournalRecord Observations(size_t count, uint32_t dimension, bool sparse) {
    JournalRecord record = Common(RecordType::kObservations);
    std::vector<ObservationView>& observations = observations_.emplace_back();
    for (size_t i = 0; i < count; ++i) observations.push_back(Observation(dimension));
    record.observations = observations;
    if (sparse) {
      std::vector<uint32_t>& places = places_.emplace_back();
      uint32_t place = 0;
      for (size_t i = 0; i < count; ++i) places.push_back(place += 1 + static_cast<uint32_t>(Below(5)));
      record.places = places;
    }
    return record;
  }

  JournalRecord Tombstones(size_t count) {
    JournalRecord record = Common(RecordType::kTombstones);
    std::vector<Tombstone>& tombstones = tombstones_.emplace_back();
    for (size_t i = 0; i < count; ++i) tombstones.push_back({Text(20), random_()});
    record.tombstones = tombstones;
    return record;
  }

  JournalRecord OfSpace(RecordType type) {
    JournalRecord record = Common(type);
    if (type == RecordType::kSpaceDropped) return record;
    SpaceConfig& config = configs_.emplace_back();
    config.dimension = static_cast<uint32_t>(random_());
    config.metric = record.metric;
    config.max_connections = static_cast<uint32_t>(random_());
    config.ef_construction = static_cast<uint32_t>(random_());
    config.ef_search = static_cast<uint32_t>(random_());
    if (Below(2) == 0) config.flat_threshold = random_();
    config.max_rate = random_();
    config.quota_observations = random_();
    config.quota_bytes = random_();
    record.config = &config;
    record.created_at_us = static_cast<int64_t>(random_());
    return record;
  }

  JournalRecord Any() {
    switch (Below(7)) {
      case 0:
        return Tombstones(Below(6));
      case 1:
        return OfSpace(static_cast<RecordType>(3 + Below(3)));
      default:
        return Observations(Below(9), static_cast<uint32_t>(Below(20)), Below(3) == 0);
    }
  }

 private:
  JournalRecord Common(RecordType type) {
    JournalRecord record;
    record.type = type;
    record.space_id = random_() | 1;
    record.space = Text(20);
    record.metric = static_cast<Metric>(1 + Below(3));
    std::vector<StreamMark>& marks = marks_.emplace_back(Below(3));
    for (StreamMark& mark : marks) mark = {Text(12), random_()};
    record.marks = marks;
    return record;
  }

  std::mt19937_64 random_;
  std::deque<std::string> texts_;
  std::deque<std::vector<TagView>> tags_;
  std::deque<std::vector<ObservationView>> observations_;
  std::deque<std::vector<uint32_t>> places_;
  std::deque<std::vector<Tombstone>> tombstones_;
  std::deque<std::vector<StreamMark>> marks_;
  std::deque<SpaceConfig> configs_;
};

inline std::string Hex(const void* data, size_t bytes) {
  std::string text(2 * bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) {
    const unsigned char byte = static_cast<const unsigned char*>(data)[i];
    text[2 * i] = "0123456789abcdef"[byte >> 4];
    text[2 * i + 1] = "0123456789abcdef"[byte & 15];
  }
  return text;
}
inline std::string Hex(std::string_view text) { return Hex(text.data(), text.size()); }

inline std::string TextOf(const ObservationView& o) {
  std::string text =
      fmt::format("id {} e{}x{} {} content {} at {} confidence {} ttl {}", Hex(o.id), int(o.embedding.encoding),
                  o.embedding.dimension, Hex(o.embedding.data, o.embedding.bytes()), Hex(o.content), o.observed_at_us,
                  o.confidence, o.ttl_us);
  for (const TagView& tag : o.tags) text += fmt::format(" {}={}", Hex(tag.key), Hex(tag.value));
  return text + "\n";
}

inline std::string TextOf(const JournalRecord& r) {
  std::string text =
      fmt::format("type {} space {} {} metric {}\n", int(r.type), r.space_id, Hex(r.space), int(r.metric));
  for (const ObservationView& o : r.observations) text += TextOf(o);
  for (const uint32_t place : r.places) text += fmt::format("place {}\n", place);
  for (const StreamMark& mark : r.marks) text += fmt::format("mark {} {}\n", Hex(mark.stream), mark.through);
  for (const Tombstone& t : r.tombstones) text += fmt::format("tombstone {} {}\n", Hex(t.id), t.through);
  if (r.config != nullptr) {
    const SpaceConfig& c = *r.config;
    text += fmt::format("config {} {} {} {} {} {} {} {} {} {} at {}\n", c.dimension, int(c.metric), c.max_connections,
                        c.ef_construction, c.ef_search, c.flat_threshold.has_value(), c.flat_threshold.value_or(0),
                        c.max_rate, c.quota_observations, c.quota_bytes, r.created_at_us);
  }
  return text;
}

}  // namespace engram::testing
