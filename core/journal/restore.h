// Makes a data directory out of a snapshot: the same log under another name.
//
// Threads:   a function of its arguments; one thread. Blocking: copies and syncs.
// Errors:    FAILED_PRECONDITION when the target is not empty; NOT_FOUND when the snapshot has no manifest, DATA_LOSS
//            when it is damaged, both also with `accept_damage` when no segment says what journal it is of; else what
//            the files answer, and then what was made in the target is removed as far as that goes.
// Why:       the copy goes its own way from where the snapshot ends, so it must have an identity of its own: a token of
//            the original may name a record that the copy never had.
//
// A power cut at any moment leaves a target that is complete, or that says itself what it misses: files come under
// names that mean nothing to a daemon, take their own from the last segment to the first, and the manifest is written
// last. A directory without a manifest is none to `engram verify`; to a daemon, which makes a lost manifest again out
// of the segments it finds, the positions before them are missing.
#pragma once

#include <cstdint>
#include <functional>

#include "core/base/status.h"
#include "core/journal/files.h"
#include "core/journal/manifest.h"

namespace engram {

struct RestorePlan {
  // Of the copy; not 0.
  uint64_t journal_id = 0;
  // Share sealed segments with the snapshot where both are on one file system: nothing ever writes to one.
  bool link = true;
  // A manifest that is lost or damaged is made again out of the segments.
  bool accept_damage = false;
  // Now and then: bytes done, of how many.
  std::function<void(uint64_t, uint64_t)> progress;
};

struct RestoreOutcome {
  Manifest manifest;
  uint64_t linked = 0;
  uint64_t copied = 0;
  uint64_t bytes = 0;
};

absl::StatusOr<RestoreOutcome> Restore(Directory& snapshot, Directory& target, const RestorePlan& plan);

}  // namespace engram
