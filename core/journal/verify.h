// Reads a data directory from end to end and says what does not hold. Changes nothing and keeps nobody from the
// lock, so it can be run beside the daemon that is using the directory.
//
// Threads:   a function of its arguments; one thread. Ownership: the answer owns what it says.
// Blocking:  reads everything. Errors: what listing or opening answers. Damage, and a file that cannot be read, is a
//            defect and not an error.
// Why:       the one judgement of what a sound directory is: the command line prints it, restoring begins with it,
//            tests hold a recovered directory to it. It looks at more than recovery does, which believes a footer
//            that is whole and reads a body when it is asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/journal/files.h"
#include "core/journal/manifest.h"

namespace engram {

struct VerifyDefect {
  std::string file;  // Empty: of no file, but of one that should be there.
  uint64_t offset = 0;
  uint64_t length = 0;
  // Positions that cannot be read. None when the first is behind the last; UINT64_MAX: to an end that is unknown.
  uint64_t first_missing = 1;
  uint64_t last_missing = 0;
  std::string what;

  bool loses_records() const { return first_missing <= last_missing; }
  // One line for people.
  std::string Describe() const;
};

struct VerifyReport {
  struct Segment {
    std::string file;
    uint64_t first_position = 0;
    uint64_t last_position = 0;  // Of what can be read and of what is known to be lost; first - 1: empty.
    uint64_t bytes = 0;
    uint64_t records = 0;
    uint64_t observations = 0;
    uint32_t generation = 0;
    bool sealed = false;
  };
  struct Space {
    std::string name;
    uint64_t records = 0;
    uint64_t observations = 0;  // Dead ones that are still on disk among them.
  };
  struct OtherFile {
    std::string file;
    uint64_t bytes = 0;
    std::string what;
  };

  std::string directory;
  // "process 123": who holds the directory's LOCK; empty: nobody.
  std::string in_use_by;
  std::optional<Manifest> manifest;
  std::vector<Segment> segments;
  std::map<uint64_t, Space> spaces;  // By space_id.
  // Checkpoints, and what is left over.
  std::vector<OtherFile> checkpoints;
  std::vector<OtherFile> leftovers;
  // In the order of positions; those of no segment come first.
  std::vector<VerifyDefect> defects;
  // What is unusual and no damage: a tail that was never acknowledged, a checkpoint that is gone.
  std::vector<std::string> remarks;

  uint64_t records = 0;
  uint64_t observations = 0;
  uint64_t bytes = 0;  // Of the segments.
  // The range the directory answers for, its holes among it; 1 and 0: it is empty.
  uint64_t first_position = 1;
  uint64_t last_position = 0;

  bool sound() const { return defects.empty(); }
};

// Hears now and then of the bytes read, and of how many there are.
using VerifyProgress = std::function<void(uint64_t, uint64_t)>;

absl::StatusOr<VerifyReport> VerifyDirectory(Directory& directory, const VerifyProgress& progress = nullptr);

}  // namespace engram
