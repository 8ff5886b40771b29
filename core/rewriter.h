// Gives back the disk that the dead take: rewrites runs of segments without what nothing needs any more.
//
// The invariant: *of every observation that is dead and physically in the log, a later record in the log says so* (a
// newer version, a tombstone, or the end of its space). So replaying what is left makes the same spaces, and nothing
// forgotten comes back. What holds it:
//   - an observation goes once its death is in the log; what has merely outlived its ttl stays until its tombstone is.
//   - a tombstone goes once no version that it covers is in the log: outside the run none is, and those in the run go in
//     the same renaming.
//   - the record that dropped a space goes once nobody can append to that space and no segment outside the run names it;
//     what the run has of it goes in the same renaming.
//   - nothing is concluded from segments that are damaged: what cannot be read now may be readable at the next start.
//     While there are any, tombstones and drops stay.
//   - a checkpoint shows what was live when it was made, dead by now or not. So tombstones and drops stay that lie behind
//     the oldest position a checkpoint may be of; once that has passed them, and they are most of a segment, it is read
//     again.
//   - what was concluded from a record holds only as long as the record: before a run is replaced everything appended is
//     made durable (mode interval, and expiries that were just appended).
//   - the creation of a dropped space goes at once, though its drop may stay. So no other creation of the name may lie
//     between the two, which would take its place: core/space_shaper.h appends none before the last one is applied.
// Marks of streams and changes of spaces: core/journal/segment_rewrite.h.
//
// On a disk below storage.hard_free_bytes nothing new is taken, and rewriting is what makes room. So it goes below that
// mark: down to the size of a segment, in which the log says what is forgotten, or half of the mark where that is less.
//
// Threads:   RunOnce from one; RequestStop and Read from any. Ownership: what is passed in outlives it.
// Blocking:  RunOnce for as long as its reading and writing take at the pace, in the background.
// Errors:    of RunOnce: DATA_LOSS (the run is damaged and left alone from now on), RESOURCE_EXHAUSTED (no room),
//            UNAVAILABLE (the log waits for room), CANCELLED (stopped), what files answer. All of them leave the log as
//            it was, but for a failed renaming: then it rewrites no more.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/journal/pace.h"
#include "core/journal/segmented_journal.h"

namespace engram {

// What the applied log has become, as the rewriter needs to know it.
class AppliedLog {
 public:
  virtual ~AppliedLog() = default;

  // Every record up to here has taken effect in the answers below.
  virtual uint64_t applied_through() = 0;
  // No checkpoint that is there, or comes to be, is of an earlier position.
  virtual uint64_t checkpoint_floor() = 0;
  // Every observation that is live, or whose death is not in the log; in any order, perhaps some twice.
  virtual void VisitLive(const std::function<void(uint64_t space_id, RecordAddress)>& visit) = 0;
  // False once the space was dropped.
  virtual bool HasSpace(uint64_t space_id) = 0;
  // It was dropped, and nobody is left who could append to it.
  virtual bool IsGone(uint64_t space_id) = 0;
  // The versions of an id recorded at or below `through`, the dead among them, newest first, until `visit` answers
  // false.
  virtual void VisitVersions(uint64_t space_id, std::string_view id, uint64_t through,
                             const std::function<bool(RecordAddress)>& visit) = 0;
};

// What of a segment's tombstones and drops was kept without a look at whether it is needed.
struct HeldRecords {
  uint64_t bytes = 0;
  // A checkpoint floor that reaches this lets them go; UINT64_MAX: none does, for something is damaged.
  uint64_t until = 0;
};

class Rewriter {
 public:
  struct Options {
    double below = 0.5;             // storage.rewrite_below
    uint64_t bytes_per_second = 0;  // storage.rewrite_rate; 0: no limit.
    uint64_t segment_bytes = 0;     // storage.segment_bytes
    std::function<uint64_t()> hard_free_bytes;  // storage.hard_free_bytes, as it is now. Null: 0.
  };
  struct Reading {
    uint64_t segments_rewritten = 0;
    uint64_t segments_written = 0;
    uint64_t bytes_read = 0;
    uint64_t bytes_written = 0;
    uint64_t bytes_freed = 0;
    uint64_t failures = 0;
  };

  Rewriter(SegmentedJournal* journal, AppliedLog* log, Clock* clock, const Options& options);

  // Rewrites the run that is most worth it. False: none was.
  absl::StatusOr<bool> RunOnce();
  // A RunOnce under way ends soon, without effect.
  void RequestStop() { pace_.Stop(); }

  Reading Read() const;

 private:
  using Segments = std::vector<std::shared_ptr<Segment>>;

  struct Choice {
    Segments run;
    uint64_t room = 0;  // It may take: more than picking reckons with, for of what is wholly dead something stays as well.
  };

  absl::StatusOr<Choice> Choose();
  absl::Status Rewrite(const Choice& choice);
  // Bytes of tombstones and drops in it that may go.
  uint64_t Idle(const Segment& segment, uint64_t checkpoint_floor) const;
  // What may be written on a disk that has so much free.
  uint64_t Room(uint64_t free_bytes) const;

  // Constant after construction.
  SegmentedJournal* const journal_;
  AppliedLog* const log_;
  const Options options_;
  Pace pace_;

  // RunOnce's: the first positions of segments that turned out damaged, and why there is no going on.
  std::set<uint64_t> left_alone_;
  // Those that did not fit where the share of the living would have: from now on by their whole size.
  std::set<uint64_t> uneven_;
  // Of each that was written.
  std::map<uint64_t, HeldRecords> held_;
  absl::Status failed_;

  // Atomic: counts, each for itself.
  std::atomic<uint64_t> segments_rewritten_{0};
  std::atomic<uint64_t> segments_written_{0};
  std::atomic<uint64_t> bytes_read_{0};
  std::atomic<uint64_t> bytes_written_{0};
  std::atomic<uint64_t> bytes_freed_{0};
  std::atomic<uint64_t> failures_{0};
};

}  // namespace engram
