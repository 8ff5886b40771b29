// A data directory written by a test, record by record, without a journal.
//
// Threads: one. Ownership: the directory outlives it; what a record points at may go once it is added.
// Errors:  none: what fails stops the test program.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/check.h"
#include "core/journal/files.h"
#include "core/journal/manifest.h"
#include "core/journal/record_codec.h"
#include "core/journal/segment_files.h"
#include "core/journal/segment_format.h"

namespace engram::testing {

// Observations of one space, two elements each, with the ids "<prefix>0", "<prefix>1" ...
class ObservationsRecord {
 public:
  ObservationsRecord(uint64_t space_id, std::string space, const std::string& prefix, int count) : space_(space) {
    for (int i = 0; i < count; ++i) {
      const float elements[] = {static_cast<float>(i), 1};
      std::string& bytes = texts_.emplace_back(sizeof(elements), '\0');
      std::memcpy(bytes.data(), elements, sizeof(elements));
      ObservationView one;
      one.id = texts_.emplace_back(fmt::format("{}{}", prefix, i));
      one.content = texts_.emplace_back(fmt::format("text of {}{}", prefix, i));
      one.embedding = {reinterpret_cast<const std::byte*>(bytes.data()), 2, Encoding::kF32};
      one.observed_at_us = 1'000'000 * (i + 1);
      one.tags = tags_;
      observations_.push_back(one);
    }
    record.space_id = space_id;
    record.space = space_;
    record.observations = observations_;
  }
  ObservationsRecord(const ObservationsRecord&) = delete;
  ObservationsRecord& operator=(const ObservationsRecord&) = delete;

  JournalRecord record;

 private:
  const std::string space_;
  const std::vector<TagView> tags_ = {{"lang", "en"}};
  std::deque<std::string> texts_;
  std::vector<ObservationView> observations_;
};

class JournalFiles {
 public:
  explicit JournalFiles(Directory& directory, uint64_t lineage = 77) : directory_(directory) {
    manifest_.lineage = lineage;
    manifest_.journal_id = 99;
    Begin(1, 0);
  }

  // A new segment; what is open is forgotten unless it was written.
  void Begin(uint64_t first_position, uint32_t generation) {
    header_ = {static_cast<uint32_t>(first_position * 2654435761u + generation), manifest_.lineage, first_position,
               generation};
    bytes_.assign(kHeaderBlockBytes, std::byte{0});
    EncodeHeaderBlock(header_, bytes_.data());
    footer_ = SegmentFooter();
    footer_.first_position = first_position;
    next_ = first_position;
  }

  // The position it got.
  uint64_t Add(const JournalRecord& record) { return AddAt(record, next_); }
  uint64_t AddAt(const JournalRecord& record, uint64_t position) {
    const absl::StatusOr<uint64_t> size = EncodedSize(record);
    ENGRAM_CHECK(size.ok());
    const size_t offset = bytes_.size();
    bytes_.resize(offset + *size);
    Encode(record, position, durable_, header_.seed, std::span(bytes_).subspan(offset));
    footer_.records.push_back({position, offset});
    const uint64_t space_id = record.space_id == 0 ? position : record.space_id;
    auto space = std::find_if(footer_.spaces.begin(), footer_.spaces.end(),
                              [&](const SegmentFooter::SpaceCount& one) { return one.space_id == space_id; });
    if (space == footer_.spaces.end()) space = footer_.spaces.insert(space, {space_id, 0});
    space->observations += record.observations.size();
    for (const ObservationView& one : record.observations) {
      const bool first = footer_.observations++ == 0;
      footer_.min_observed_at_us =
          first ? one.observed_at_us : std::min(footer_.min_observed_at_us, one.observed_at_us);
      footer_.max_observed_at_us =
          first ? one.observed_at_us : std::max(footer_.max_observed_at_us, one.observed_at_us);
    }
    next_ = position + 1;
    return position;
  }
  uint64_t AddObservations(const std::string& space, uint64_t space_id, const std::string& prefix, int count) {
    return Add(ObservationsRecord(space_id, space, prefix, count).record);
  }
  uint64_t AddSpace(const std::string& space) {
    JournalRecord record;
    record.type = RecordType::kSpaceCreated;
    record.space = space;
    SpaceConfig config;
    config.dimension = 2;
    record.config = &config;
    record.created_at_us = 1'000'000;
    return Add(record);
  }
  uint64_t AddTombstone(const std::string& space, uint64_t space_id, const std::string& id, uint64_t through) {
    JournalRecord record;
    record.type = RecordType::kTombstones;
    record.space = space;
    record.space_id = space_id;
    const Tombstone tombstones[] = {{id, through}};
    record.tombstones = tombstones;
    return Add(record);
  }
  // Of the records that follow.
  void SetDurable(uint64_t position) { durable_ = position; }

  // Ends the segment in a footer, writes it and begins the next one; its name.
  std::string Seal() {
    return Seal([](SegmentFooter&) {});
  }
  // `change` may make the footer tell what is not so.
  template <typename Change>
  std::string Seal(Change change) {
    footer_.last_position = next_ - 1;
    manifest_.sealed_through = std::max(manifest_.sealed_through, footer_.last_position);
    const uint64_t last = footer_.last_position;
    change(footer_);
    EncodeFooter(footer_, last, header_.seed, &bytes_);
    std::string name = Write(0);
    Begin(last + 1, 0);
    return name;
  }
  // Writes the segment as it is, with zeros written ahead; its name.
  std::string Write(size_t zeros) {
    bytes_.resize(bytes_.size() + zeros);
    std::string name = FileNameOfSegment(header_.first_position);
    WriteFile(name, bytes_);
    bytes_.resize(bytes_.size() - zeros);
    return name;
  }
  void WriteFile(const std::string& name, std::span<const std::byte> bytes) {
    ENGRAM_CHECK(ReplaceWhole(directory_, name, bytes).ok());
  }
  void WriteFile(const std::string& name, std::string_view text) {
    WriteFile(name, std::as_bytes(std::span(text.data(), text.size())));
  }
  void WriteManifest() { ENGRAM_CHECK(engram::WriteManifest(directory_, manifest_).ok()); }

  Manifest& manifest() { return manifest_; }
  // Of the segment that is open, as far as it goes.
  const std::vector<SegmentFooter::RecordPlace>& records() const { return footer_.records; }
  uint64_t next() const { return next_; }

  // A space "notes" of 5 records in two segments, positions 1 to 3 and 4 to 5, and a manifest.
  static void MakeSmall(Directory& directory) {
    JournalFiles files(directory);
    const uint64_t notes = files.AddSpace("notes");
    files.AddObservations("notes", notes, "a", 3);
    files.AddObservations("notes", notes, "b", 2);
    files.Seal();
    files.AddTombstone("notes", notes, "a1", 2);
    files.AddObservations("notes", notes, "c", 1);
    files.Seal();
    files.WriteManifest();
  }

 private:
  Directory& directory_;
  Manifest manifest_;
  SegmentHeader header_;
  SegmentFooter footer_;
  std::vector<std::byte> bytes_;
  uint64_t next_ = 1;
  uint64_t durable_ = 0;
};

}  // namespace engram::testing
