#include "core/journal/verify_segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/journal/segment_reader.h"

namespace engram {
namespace {

constexpr uint64_t kProgressBytes = 4 << 20;

// One reading of a segment.
struct Reading {
  // What its footer should say.
  SegmentFooter found;
  std::optional<SegmentFooter> footer;
  std::map<uint64_t, VerifyReport::Space> spaces;
  std::vector<SegmentDefect> defects;
  uint64_t end_offset = 0;
  // What the file itself answered.
  absl::Status failed;
};

void Count(const DecodedRecord& decoded, uint64_t offset, Reading* reading) {
  const JournalRecord& record = decoded.record;
  SegmentFooter& found = reading->found;
  for (const ObservationView& one : record.observations) {
    const bool first = found.observations++ == 0;
    found.min_observed_at_us = first ? one.observed_at_us : std::min(found.min_observed_at_us, one.observed_at_us);
    found.max_observed_at_us = first ? one.observed_at_us : std::max(found.max_observed_at_us, one.observed_at_us);
  }
  found.records.push_back({decoded.position, offset});
  VerifyReport::Space& space = reading->spaces[record.space_id];
  if (space.records++ == 0) space.name = record.space;
  space.observations += record.observations.size();
}

// Records behind `through` are not counted.
Reading Read(const SegmentFile& segment, bool sealed, uint64_t through, const std::function<void(uint64_t)>& progress) {
  Reading reading;
  reading.found.first_position = segment.first_position;
  reading.found.last_position = segment.first_position - 1;
  SegmentReader reader(*segment.file, {.sealed = sealed, .last_position = segment.last_position});
  const auto read = [&]() -> absl::Status {
    ENGRAM_RETURN_IF_ERROR(reader.Open());
    uint64_t told = 0;
    while (true) {
      ENGRAM_ASSIGN_OR_RETURN(const bool more, reader.Next());
      if (!more) return absl::OkStatus();
      if (reader.record().position <= through) Count(reader.record(), reader.offset(), &reading);
      if (reader.offset() - told < kProgressBytes) continue;
      told = reader.offset();
      progress(told);
    }
  };
  reading.failed = read();
  reading.found.last_position = std::max(reader.last_position(), segment.first_position - 1);
  reading.footer = reader.footer();
  reading.defects = reader.defects();
  reading.end_offset = reader.end_offset();
  return reading;
}

// Spaces by id, without those that have nothing.
std::map<uint64_t, uint64_t> CountsOf(const std::vector<SegmentFooter::SpaceCount>& counts) {
  std::map<uint64_t, uint64_t> out;
  for (const SegmentFooter::SpaceCount& one : counts) {
    if (one.observations > 0) out[one.space_id] += one.observations;
  }
  return out;
}

// In which point the footer tells what is not so; empty: in none.
std::string FalseIn(const SegmentFooter& footer, const Reading& reading) {
  const SegmentFooter& found = reading.found;
  if (footer.observations != found.observations) {
    return fmt::format("the footer says {} observations, the segment holds {}", footer.observations,
                       found.observations);
  }
  if (footer.records != found.records) {
    return fmt::format("the footer lists {} records, and not the {} of the segment where they are",
                       footer.records.size(), found.records.size());
  }
  if (footer.min_observed_at_us != found.min_observed_at_us || footer.max_observed_at_us != found.max_observed_at_us) {
    return fmt::format("the footer says times from {} to {} us, the segment's go from {} to {}",
                       footer.min_observed_at_us, footer.max_observed_at_us, found.min_observed_at_us,
                       found.max_observed_at_us);
  }
  std::map<uint64_t, uint64_t> counts;
  for (const auto& [id, space] : reading.spaces) {
    if (space.observations > 0) counts[id] = space.observations;
  }
  if (CountsOf(footer.spaces) != counts) {
    return fmt::format("the footer counts the observations of {} spaces otherwise than the segment",
                       footer.spaces.size());
  }
  return "";
}

VerifyDefect Named(const std::string& file, const SegmentDefect& defect) {
  return {file, defect.offset, defect.length, defect.first_missing, defect.last_missing, defect.what};
}

bool LosesRecords(const std::vector<SegmentDefect>& defects) {
  return std::any_of(defects.begin(), defects.end(), [](const SegmentDefect& d) { return d.loses_records(); });
}

// Of `later` what `earlier` had too: where records appear while they are being read, only what stays damaged is so.
std::vector<SegmentDefect> InBoth(std::vector<SegmentDefect> later, const std::vector<SegmentDefect>& earlier) {
  const auto passing = [&](const SegmentDefect& one) {
    return std::none_of(earlier.begin(), earlier.end(), [&](const SegmentDefect& other) {
      return other.offset == one.offset && other.first_missing == one.first_missing;
    });
  };
  later.erase(std::remove_if(later.begin(), later.end(), passing), later.end());
  return later;
}

}  // namespace

VerifiedSegment VerifySegment(const SegmentFile& segment, uint64_t sealed_through,
                              const std::function<void(uint64_t)>& progress) {
  const bool sealed = segment.sealed || segment.followed || segment.first_position <= sealed_through;
  Reading reading = Read(segment, sealed, UINT64_MAX, progress);
  VerifiedSegment out;
  if (!sealed && LosesRecords(reading.defects)) {
    std::vector<SegmentDefect> before = std::move(reading.defects);
    reading = Read(segment, sealed, UINT64_MAX, progress);
    reading.defects = InBoth(std::move(reading.defects), before);
    // What was lost without having been synced was never acknowledged, and neither was what lies behind it.
    const auto torn = std::find_if(reading.defects.begin(), reading.defects.end(),
                                   [](const SegmentDefect& d) { return d.loses_records() && !d.was_durable(); });
    if (torn != reading.defects.end()) {
      const SegmentDefect cut = *torn;
      std::vector<SegmentDefect> kept(reading.defects.begin(), torn);
      reading = Read(segment, sealed, cut.first_missing - 1, progress);
      reading.defects = std::move(kept);
      reading.end_offset = cut.offset;
      reading.found.last_position = cut.first_missing - 1;
      out.remarks.push_back(
          fmt::format("{}: what lies behind offset {} had not been synced when the power went, and was never "
                      "acknowledged: the next start cuts it off",
                      segment.name, cut.offset));
    }
  }

  // A daemon seals what is full behind its own back, and says in the manifest how far it is.
  const bool pending = segment.followed && !segment.sealed && segment.last_position > sealed_through;
  for (const SegmentDefect& defect : reading.defects) {
    if (pending && !defect.loses_records() && defect.offset >= kHeaderBlockBytes) {
      out.remarks.push_back(fmt::format("{}: it is full and not sealed yet", segment.name));
      continue;
    }
    out.defects.push_back(Named(segment.name, defect));
  }
  if (!reading.failed.ok()) {
    out.defects.push_back({segment.name, reading.end_offset,
                           segment.bytes - std::min(segment.bytes, reading.end_offset), reading.found.last_position + 1,
                           segment.last_position, std::string(MessageOf(reading.failed))});
  } else if (reading.footer.has_value() && !LosesRecords(reading.defects)) {
    if (std::string point = FalseIn(*reading.footer, reading); !point.empty()) {
      out.defects.push_back({segment.name, reading.end_offset, 0, 1, 0, std::move(point)});
    }
  }

  VerifyReport::Segment& about = out.segment;
  about.file = segment.name;
  about.first_position = segment.first_position;
  about.last_position = segment.last_position == UINT64_MAX ? reading.found.last_position : segment.last_position;
  about.bytes = segment.bytes;
  about.records = reading.found.records.size();
  about.observations = reading.found.observations;
  about.generation = segment.header->generation;
  about.sealed = reading.footer.has_value();
  out.spaces = std::move(reading.spaces);
  return out;
}

}  // namespace engram
