#include "core/journal/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/checkpoint/checkpoint_file.h"
#include "core/journal/segment_files.h"
#include "core/journal/verify_segment.h"

namespace engram {
namespace {

constexpr std::string_view kLockName = "LOCK";

bool EndsIn(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
}

// Everything but the segments.
absl::Status LookAtOtherFiles(Directory& directory, VerifyReport* report) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  for (const std::string& name : names) {
    if (name == kLockName || name == kManifestName || PositionOfSegmentFile(name).has_value()) continue;
    VerifyReport::OtherFile other;
    other.file = name;
    const absl::StatusOr<std::unique_ptr<File>> file = directory.Open(name, Directory::Mode::kRead);
    // Gone by now: a daemon works here.
    if (absl::IsNotFound(file.status())) continue;
    if (file.ok()) other.bytes = (*file)->Size().value_or(0);
    if (EndsIn(name, ".checkpoint")) {
      const absl::StatusOr<CheckpointSummary> summary = VerifyCheckpoint(directory, name);
      // A cache: damage in it costs time only, but is worth knowing.
      other.what = summary.ok() ? fmt::format("sound, of position {}", summary->header.position)
                                : "damaged: " + std::string(MessageOf(summary.status()));
      report->checkpoints.push_back(std::move(other));
      continue;
    }
    other.what = EndsIn(name, ".tmp")                ? "half-written"
                 : name.compare(0, 6, "spare-") == 0 ? "written ahead, to become a segment"
                                                     : "not of a journal";
    report->leftovers.push_back(std::move(other));
  }
  const auto named = [&](const VerifyReport::OtherFile& one) { return one.file == report->manifest->checkpoint; };
  if (report->manifest.has_value() && !report->manifest->checkpoint.empty() &&
      std::none_of(report->checkpoints.begin(), report->checkpoints.end(), named)) {
    report->remarks.push_back(
        fmt::format("{} is not there; the next start reads all segments instead", report->manifest->checkpoint));
  }
  return absl::OkStatus();
}

void AddMissing(uint64_t first, uint64_t last, std::string what, VerifyReport* report) {
  report->defects.push_back({"", 0, 0, first, last, std::move(what)});
}

// Why the segment is not one of this journal; empty: it is.
std::string WhyForeign(const SegmentFile& segment, std::optional<uint64_t> lineage) {
  if (!segment.header.ok()) return std::string(MessageOf(segment.header.status()));
  if (!lineage.has_value() || segment.header->lineage == *lineage) return "";
  return fmt::format("it is of journal {:016x}, this directory's is {:016x}", segment.header->lineage, *lineage);
}

}  // namespace

std::string VerifyDefect::Describe() const {
  std::string out = file.empty() ? "" : file + ": ";
  if (length > 0) out += fmt::format("{} bytes at offset {}: ", length, offset);
  out += what;
  if (!loses_records()) return out + "; no record is lost by it";
  if (last_missing == UINT64_MAX) return out + fmt::format("; lost are positions from {} on", first_missing);
  if (first_missing == last_missing) return out + fmt::format("; lost is position {}", first_missing);
  return out + fmt::format("; lost are positions {} to {}", first_missing, last_missing);
}

absl::StatusOr<VerifyReport> VerifyDirectory(Directory& directory, const VerifyProgress& progress) {
  VerifyReport report;
  report.directory = directory.path();
  report.in_use_by = directory.LockHolder(kLockName).value_or("");
  // Before the segments: what it promises then is there, whatever a daemon does meanwhile.
  absl::StatusOr<Manifest> manifest = ReadManifest(directory);
  if (manifest.ok()) {
    report.manifest = *std::move(manifest);
  } else {
    report.defects.push_back({std::string(kManifestName), 0, 0, 1, 0,
                              absl::IsNotFound(manifest.status()) ? "it is missing: this is no data directory, or it "
                                                                    "has lost track of which segments there must be"
                                                                  : std::string(MessageOf(manifest.status()))});
  }
  const uint64_t sealed_through = report.manifest.has_value() ? report.manifest->sealed_through : 0;
  ENGRAM_ASSIGN_OR_RETURN(std::vector<SegmentFile> segments, OpenSegments(directory));
  ENGRAM_RETURN_IF_ERROR(LookAtOtherFiles(directory, &report));

  uint64_t total = 0, done = 0;
  for (const SegmentFile& segment : segments) total += segment.superseded ? 0 : segment.bytes;
  std::optional<uint64_t> lineage;
  if (report.manifest.has_value()) lineage = report.manifest->lineage;
  uint64_t covered = 0;
  for (SegmentFile& segment : segments) {
    if (segment.last_position == UINT64_MAX && segment.first_position <= sealed_through) {
      segment.last_position = sealed_through;
    }
    if (segment.superseded) {
      report.leftovers.push_back({segment.name, segment.bytes, "rewritten into the segment before it"});
      if (segment.sealed && segment.last_position > covered) {
        report.defects.push_back({segment.name, 0, 0, covered + 1, segment.last_position,
                                  fmt::format("it overlaps the segment before it, which ends at {}", covered)});
      }
      continue;
    }
    if (segment.first_position > covered + 1) {
      AddMissing(covered + 1, segment.first_position - 1, "a segment is missing", &report);
    }
    if (std::string why = WhyForeign(segment, lineage); !why.empty()) {
      const uint64_t last = segment.last_position;
      report.defects.push_back({segment.name, 0, segment.bytes, segment.first_position, last, std::move(why)});
      VerifyReport::Segment about;
      about.file = segment.name;
      about.first_position = segment.first_position;
      about.last_position = last == UINT64_MAX ? segment.first_position : last;
      about.bytes = segment.bytes;
      covered = about.last_position;
      report.segments.push_back(std::move(about));
    } else {
      if (!lineage.has_value()) lineage = segment.header->lineage;
      VerifiedSegment verified = VerifySegment(segment, sealed_through, [&](uint64_t read) {
        if (progress) progress(done + std::min(read, segment.bytes), total);
      });
      covered = verified.segment.last_position;
      report.records += verified.segment.records;
      report.observations += verified.segment.observations;
      for (auto& [id, space] : verified.spaces) {
        VerifyReport::Space& sum = report.spaces[id];
        if (sum.records == 0) sum.name = std::move(space.name);
        sum.records += space.records;
        sum.observations += space.observations;
      }
      std::move(verified.defects.begin(), verified.defects.end(), std::back_inserter(report.defects));
      std::move(verified.remarks.begin(), verified.remarks.end(), std::back_inserter(report.remarks));
      if (!verified.segment.sealed && !segment.followed && verified.segment.first_position > sealed_through) {
        report.remarks.push_back(report.in_use_by.empty()
                                     ? fmt::format("{} was not sealed: the daemon did not end in order", segment.name)
                                     : fmt::format("{} is being written", segment.name));
      }
      report.segments.push_back(std::move(verified.segment));
    }
    report.bytes += segment.bytes;
    done += segment.bytes;
    if (progress) progress(done, total);
  }
  if (covered < sealed_through) {
    AddMissing(covered + 1, sealed_through, "the segments end before what the manifest says is sealed", &report);
  }
  report.last_position = covered;
  return report;
}

}  // namespace engram
