// The segments of a data directory as files: opened, in order, with the positions they answer for. What reading a
// directory without its daemon begins with.
//
// Threads:   functions of their arguments. Ownership: the files outlive the directory. Blocking: reads headers and
//            footers. Errors: OpenSegments what the directory answers, ABORTED when a daemon replaces files faster than
//            they can be opened. A file that is no segment of its name is no error: `header` says why.
// Why:       all files are opened before anything is read, so a daemon that rewrites segments meanwhile takes nothing
//            away: what its name is taken from can still be read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/journal/files.h"
#include "core/journal/segment_format.h"

namespace engram {

// "00000000000000000001.journal".
std::string FileNameOfSegment(uint64_t first_position);
// Nothing when the name is not a segment's.
std::optional<uint64_t> PositionOfSegmentFile(std::string_view name);

struct SegmentFile {
  std::string name;
  uint64_t first_position = 0;  // As the name says.
  // By its footer, or else one before the next file's first; UINT64_MAX: of the last file, unknown.
  uint64_t last_position = UINT64_MAX;
  uint64_t bytes = 0;
  std::unique_ptr<File> file;
  // Not OK: nothing in the file can be read as what its name says.
  absl::StatusOr<SegmentHeader> header;
  // A whole footer ends it.
  bool sealed = false;
  // A later file exists: nothing is written to this one any more, and all of it had been synced.
  bool followed = false;
  // A segment before it answers for its positions: a rewrite was cut off before its last step, or is under way.
  bool superseded = false;

  bool readable() const { return header.ok() && !superseded; }
};

// In the order of their positions.
absl::StatusOr<std::vector<SegmentFile>> OpenSegments(Directory& directory);

}  // namespace engram
