// Checkpoints: the spaces as of a position, beside the journal, so that a start need not read all of it.
//
// A cache: deleting it loses nothing but time. Records up to `position` are in it; of later ones each space has those
// up to a position of its own, and skips them when they are replayed.
//
// Threads:   WriteCheckpoint: one at a time, beside everything that writes and reads, but not before AttachGraphs is
//            done: what is not attached is not saved. LoadCheckpoint: before anybody else knows the registry.
//            AttachGraphs: one thread, beside everything.
// Ownership: the result of LoadCheckpoint keeps the file open until its graphs are attached; journal and registry
//            outlive all.
// Blocking:  I/O. WriteCheckpoint holds a space's writer mutex for a few reads, and keeps the pace it is given.
// Errors:    of loading: DATA_LOSS and FAILED_PRECONDITION, naming file and offset, when it is damaged, of another
//            journal, ahead of this one or without what this one has; RESOURCE_EXHAUSTED when memory is out. The
//            registry is as before. Of writing: those of the files, UNAVAILABLE (the log waits for room), CANCELLED; then
//            the checkpoint before stands.
// Why:       docs/durability.md. What could not be read when a checkpoint was made is not in it, and the replay behind it
//            would pass it over once it can be; rewriting would take it for dead. So a checkpoint says what it lacks, and is
//            refused as soon as the journal has any of that. Whoever drops tombstones from the journal must keep those
//            beyond the checkpoint's position.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/checkpoint/checkpoint_file.h"
#include "core/journal/journal_defect.h"
#include "core/journal/segmented_journal.h"
#include "core/space_registry.h"

namespace engram {

struct WrittenCheckpoint {
  std::string name;
  uint64_t position = 0;
  uint64_t spaces = 0;
  uint64_t bytes = 0;
};

// `position` is the applied watermark, read before. `missing`: of the start that made the spaces (RecoveryReport). Names
// the new checkpoint in the manifest and removes the others.
absl::StatusOr<WrittenCheckpoint> WriteCheckpoint(uint64_t position, const SpaceRegistry& registry,
                                                  SegmentedJournal& journal, std::span<const PositionRange> missing,
                                                  CheckpointPace pace);

struct LoadedCheckpoint {
  std::string name;
  uint64_t position = 0;
  uint64_t bytes = 0;
  std::shared_ptr<const CheckpointFile> file;
  std::vector<PositionRange> missing;  // Behind its position and not in it: they could not be read, and still cannot.
  struct Graph {
    std::shared_ptr<Space> space;  // Nobody may link it until its graph is attached or given up.
    CheckpointSection section;
  };
  std::vector<Graph> graphs;
};

// Spaces with all but their graphs. `progress` hears of bytes read, now and then. REQUIRES: the registry is empty.
absl::StatusOr<LoadedCheckpoint> LoadCheckpoint(SegmentedJournal& journal, const std::string& name,
                                                SpaceRegistry& registry, int64_t now_us,
                                                const std::function<void(uint64_t)>& progress);

// One by one; `attached` is told of each space that may be linked from now on, with a graph or without. What is damaged
// comes back.
std::vector<JournalDefect> AttachGraphs(LoadedCheckpoint loaded, const std::stop_token& stop,
                                        const std::function<void(const std::shared_ptr<Space>&)>& attached);

// Removes every checkpoint but `kept`, and safely: one that is ahead of the journal or behind what was rewritten must
// not come back.
absl::Status RemoveCheckpoints(Directory& directory, const std::string& kept);

}  // namespace engram
