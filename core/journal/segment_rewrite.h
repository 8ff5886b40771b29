// Writes what is still needed of some adjacent sealed segments into one new file that answers for the same positions.
//
// Records keep their positions and observations their places, so no address changes. By construction:
//   - an observation goes when Liveness says so, and a record that is left with nothing goes with it;
//   - of each stream the last mark in the run stays, whatever else its record loses: the newest mark of a stream in the
//     log is the last one of its run, so it is never lost;
//   - of each live space its creation stays, and the last change in the run;
//   - of a dropped space everything goes but the record that dropped it, which Liveness decides.
//
// Threads:   one. Ownership: what is passed in outlives it. Blocking: reads the run twice and writes once, at the pace.
// Errors:    DATA_LOSS: something of the run is damaged, and all of it is left as it is (somebody may yet read more
//            of it than this). RESOURCE_EXHAUSTED: it takes more than it may. CANCELLED: the pace was stopped. What files
//            answer, as it comes. No file is left after an error.
// Why:       the first reading learns which marks and changes are the last ones, and that nothing is damaged, before
//            a byte is written; the file is aside under a name that recovery removes, so a crash at any point changes
//            nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/journal/files.h"
#include "core/journal/pace.h"
#include "core/journal/record_codec.h"
#include "core/journal/segment.h"
#include "core/journal/segment_reader.h"

namespace engram {

// What is still needed. Asked from one thread; an answer of false is for ever, one of true may be out of date.
class Liveness {
 public:
  virtual ~Liveness() = default;

  // The space has not been dropped.
  virtual bool KeepsSpace(uint64_t space_id) = 0;
  virtual bool KeepsObservation(uint64_t space_id, RecordAddress address) = 0;
  virtual bool KeepsTombstone(uint64_t space_id, const Tombstone& tombstone, uint64_t position) = 0;
  // The record at `position` that dropped the space.
  virtual bool KeepsDrop(uint64_t space_id, uint64_t position) = 0;
};

class SegmentRewrite {
 public:
  // `run`: not empty, adjacent, sealed. No more than `most_bytes` are written.
  SegmentRewrite(Directory* directory, std::vector<std::shared_ptr<Segment>> run, Liveness* liveness, Pace* pace,
                 uint64_t most_bytes = UINT64_MAX)
      : directory_(directory), run_(std::move(run)), liveness_(liveness), pace_(pace), most_bytes_(most_bytes) {}
  SegmentRewrite(const SegmentRewrite&) = delete;

  // The new segment, sealed and synced; its file still lies aside, under temporary().
  absl::StatusOr<std::shared_ptr<Segment>> Run();

  std::string temporary() const { return run_.front()->name() + ".rewrite.tmp"; }
  uint64_t read_bytes() const { return read_bytes_; }

 private:
  using StreamKey = std::pair<uint64_t, std::string>;

  absl::Status ReadAll(const std::function<absl::Status(const DecodedRecord&)>& see);
  void Survey(const DecodedRecord& record);
  absl::StatusOr<std::shared_ptr<Segment>> Write();
  absl::Status Append(const DecodedRecord& record);
  // What is left of the record; false: nothing.
  bool Reduce(const DecodedRecord& record, JournalRecord* left);
  absl::Status Flush();
  absl::Status Moved(uint64_t bytes);

  Directory* const directory_;
  const std::vector<std::shared_ptr<Segment>> run_;
  Liveness* const liveness_;
  Pace* const pace_;
  const uint64_t most_bytes_;

  // Where in the run the last mark of each stream and the last change of each space are.
  std::map<StreamKey, uint64_t> last_marks_;
  std::map<uint64_t, uint64_t> last_changes_;

  std::shared_ptr<Segment> segment_;
  std::vector<std::byte> out_;
  uint64_t out_begin_ = 0;  // In the file.
  uint64_t read_bytes_ = 0;

  // Scratch.
  std::vector<ObservationView> observations_;
  std::vector<uint32_t> places_;
  std::vector<StreamMark> marks_;
  std::vector<Tombstone> tombstones_;
};

}  // namespace engram
