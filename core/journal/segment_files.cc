#include "core/journal/segment_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace engram {
namespace {

constexpr size_t kDigits = 20;
constexpr std::string_view kSuffix = ".journal";
// How often the names are read anew because one of them has gone.
constexpr int kMostListings = 100;

absl::StatusOr<SegmentFile> OpenSegment(Directory& directory, const std::string& name, uint64_t first_position) {
  SegmentFile segment;
  segment.name = name;
  segment.first_position = first_position;
  ENGRAM_ASSIGN_OR_RETURN(segment.file, directory.Open(name, Directory::Mode::kRead));
  ENGRAM_ASSIGN_OR_RETURN(segment.bytes, segment.file->Size());
  segment.header = ReadHeader(*segment.file);
  if (!segment.header.ok()) return segment;
  if (segment.header->first_position != first_position) {
    segment.header = absl::DataLossError(fmt::format("{}: its header says that it begins at position {}",
                                                     segment.file->path(), segment.header->first_position));
    return segment;
  }
  if (const absl::StatusOr<SegmentFooter> footer = ReadFooter(*segment.file, *segment.header); footer.ok()) {
    segment.sealed = true;
    segment.last_position = footer->last_position;
  }
  return segment;
}

absl::StatusOr<std::vector<SegmentFile>> OpenListed(Directory& directory) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  std::vector<SegmentFile> segments;
  for (const std::string& name : names) {
    const std::optional<uint64_t> position = PositionOfSegmentFile(name);
    if (!position.has_value()) continue;
    ENGRAM_ASSIGN_OR_RETURN(SegmentFile segment, OpenSegment(directory, name, *position));
    segments.push_back(std::move(segment));
  }
  return segments;
}

}  // namespace

std::string FileNameOfSegment(uint64_t first_position) {
  return fmt::format("{:0{}}{}", first_position, kDigits, kSuffix);
}

std::optional<uint64_t> PositionOfSegmentFile(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || name.substr(kDigits) != kSuffix) return std::nullopt;
  uint64_t position = 0;
  const char* const end = name.data() + kDigits;
  const auto [stopped, error] = std::from_chars(name.data(), end, position);
  if (error != std::errc() || stopped != end || position == 0) return std::nullopt;
  return position;
}

absl::StatusOr<std::vector<SegmentFile>> OpenSegments(Directory& directory) {
  absl::StatusOr<std::vector<SegmentFile>> segments;
  for (int i = 0; i < kMostListings; ++i) {
    segments = OpenListed(directory);
    if (!absl::IsNotFound(segments.status())) break;
  }
  if (absl::IsNotFound(segments.status())) {
    return absl::AbortedError(fmt::format("{} changes faster than it can be read", directory.path()));
  }
  if (!segments.ok()) return segments.status();
  uint64_t covered = 0;
  for (size_t i = 0; i < segments->size(); ++i) {
    SegmentFile& segment = (*segments)[i];
    segment.followed = i + 1 < segments->size();
    segment.superseded = segment.first_position <= covered;
    if (segment.superseded) continue;
    if (!segment.sealed && segment.followed) segment.last_position = (*segments)[i + 1].first_position - 1;
    covered = segment.last_position;
  }
  return segments;
}

}  // namespace engram
