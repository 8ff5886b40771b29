// How the segmented journal reads itself in order: replaying, and what of it cannot be read.
#include <fmt/format.h>

#include <algorithm>

#include "core/journal/segment_reader.h"
#include "core/journal/segmented_journal.h"

namespace engram {
namespace {

JournalDefect Named(const std::string& file, const SegmentDefect& defect) {
  JournalDefect named;
  named.file = file;
  named.offset = defect.offset;
  named.bytes = defect.length;
  if (defect.loses_records()) {
    named.first = defect.first_missing;
    named.last = defect.last_missing;
  }
  named.what = defect.what;
  return named;
}

// Nothing is lost: a segment that was never sealed ends in bytes that are no record.
bool EndsThere(const SegmentDefect& defect, const Segment& segment) {
  return !defect.loses_records() && defect.offset >= segment.bytes();
}

// Of ranges in their order.
bool AnyHas(std::span<const PositionRange> ranges, uint64_t position) {
  const auto behind = std::upper_bound(ranges.begin(), ranges.end(), position,
                                       [](uint64_t p, const PositionRange& range) { return p < range.first; });
  return behind != ranges.begin() && position <= std::prev(behind)->last;
}

}  // namespace

void AddRange(PositionRange range, std::vector<PositionRange>* ranges) {
  if (range.first > range.last) return;
  if (!ranges->empty() && range.first <= ranges->back().last + 1) {
    ranges->back().last = std::max(ranges->back().last, range.last);
  } else {
    ranges->push_back(range);
  }
}

std::string JournalDefect::Render() const {
  std::string where = file;
  if (bytes != 0) where += fmt::format(" at byte {} ({} bytes)", offset, bytes);
  if (first != 0 && first == last) where += fmt::format(": position {}", first);
  if (first != 0 && first != last) where += fmt::format(": positions {}..{}", first, last);
  return where + ": " + what;
}

bool SegmentedJournal::NoteDefects(const Segment& segment, const SegmentReader& reader, uint64_t cut) const {
  bool damaged = false;
  for (const SegmentDefect& defect : reader.defects()) {
    if (defect.loses_records() && defect.first_missing == cut) break;
    if (EndsThere(defect, segment)) continue;
    damaged = true;
    NoteDefect(Named(segment.name(), defect));
  }
  return damaged;
}

uint64_t SegmentedJournal::ReplayBytes(uint64_t after) const {
  uint64_t bytes = 0;
  for (const auto& segment : segments()) {
    if (segment->last() > after) bytes += segment->bytes();
  }
  return bytes;
}

absl::Status SegmentedJournal::Replay(uint64_t after,
                                      const std::function<absl::Status(const JournalRecord&, uint64_t)>& sink,
                                      const std::function<void(uint64_t)>& progress) {
  missed_.clear();
  uint64_t before = 0;
  uint64_t covered = after;
  for (const auto& segment : segments()) {
    const uint64_t last = segment->last();
    if (last <= after) continue;
    AddRange({covered + 1, segment->first() - 1}, &missed_);
    covered = last;
    SegmentReader reader(segment->file(), {.sealed = true, .last_position = last});
    ENGRAM_RETURN_IF_ERROR(reader.Open());
    uint64_t told = 0;
    while (true) {
      ENGRAM_ASSIGN_OR_RETURN(const bool more, reader.Next());
      if (!more) break;
      const uint64_t position = reader.record().position;
      if (position > last) break;
      if (position > after) ENGRAM_RETURN_IF_ERROR(sink(reader.record().record, position));
      constexpr uint64_t kStep = 1 << 20;
      if (reader.offset() - told >= kStep) {
        told = reader.offset();
        progress(before + told);
      }
    }
    NoteDefects(*segment, reader);
    for (const SegmentDefect& defect : reader.defects()) {
      if (!defect.loses_records()) continue;
      AddRange({std::max(after + 1, defect.first_missing), std::min(last, defect.last_missing)}, &missed_);
    }
    before += segment->bytes();
    progress(before);
  }
  AddRange({covered + 1, this->last()}, &missed_);
  return absl::OkStatus();
}

absl::StatusOr<bool> SegmentedJournal::HoldsAny(std::span<const PositionRange> positions) const {
  for (const auto& segment : segments()) {
    const std::vector<SegmentFooter::RecordPlace> records = segment->footer().records;
    if (std::none_of(records.begin(), records.end(),
                     [&](const SegmentFooter::RecordPlace& record) { return AnyHas(positions, record.position); })) {
      continue;
    }
    SegmentReader reader(segment->file(), {.sealed = true, .last_position = segment->last()});
    absl::StatusOr<bool> more = true;
    if (const absl::Status open = reader.Open(); !open.ok()) more = open;
    while (more.ok() && *more) {
      more = reader.Next();
      if (!more.ok() || !*more || reader.record().position > segment->last()) break;
      if (AnyHas(positions, reader.record().position)) return true;
    }
    // A disk that does not give them has not given them back: what covers them may be all there is of the rest.
    if (!more.ok()) NoteDefect({.file = segment->name(), .what = std::string(MessageOf(more.status()))});
    NoteDefects(*segment, reader);
  }
  return false;
}

}  // namespace engram
