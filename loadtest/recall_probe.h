// A space as a test subject: rows of a matrix streamed into it under ids, forgotten again, and its recalls compared
// with the exact answer over what is live.
//
// Threads:   one. Ownership: keeps references to the stub's owner and the matrix; both must outlive it.
// Blocking:  calls.
// Errors:    of calls; DATA_LOSS when an observation was refused or the daemon forgot another number than was there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/dataset.h"
#include "loadtest/exact_search.h"
#include "loadtest/histogram.h"
#include "loadtest/live_rows.h"

namespace engram {

struct SpaceState {
  uint64_t live = 0, size = 0, linked = 0, resident_bytes = 0;
  bool has_graph = false;
};
absl::StatusOr<SpaceState> StateOf(v1::MemoryService::Stub& stub, const std::string& space);

// A space that has a graph from its first observation on.
absl::Status CreateGraphSpace(v1::MemoryService::Stub& stub, const std::string& name, uint32_t dimension);
// Until all of the space is linked. DEADLINE_EXCEEDED: it was not within ten minutes.
absl::Status AwaitLinked(v1::MemoryService::Stub& stub, const std::string& space);

// Streams `count` rows from `first_row` on under the ids from `first_id` on, a few frames of them in memory at a time.
absl::Status StreamRows(v1::MemoryService::Stub& stub, const std::string& space, const Matrix& matrix, size_t first_row,
                        size_t count, size_t first_id, v1::AckLevel level = v1::ACK_LEVEL_DURABLE);

// One recall: what came back, and the nanoseconds it took.
struct Answer {
  std::vector<std::string> ids;
  v1::Coverage coverage;
  int64_t nanos = 0;
};
absl::StatusOr<Answer> Ask(v1::MemoryService::Stub& stub, const std::string& space, std::span<const float> cue,
                           uint32_t k);

// Recalls of all cues: the share of the exact answer that came back, and what the answers say they did.
struct RecallQuality {
  double mean = 0;
  double least = 0;  // Of one cue.
  std::vector<double> shares;  // Of each cue.
  double graph_candidates = 0, tail_scanned = 0;
  Histogram latency;
};

class RecallProbe {
 public:
  RecallProbe(std::string space, const Matrix& matrix, size_t ids)
      : space_(std::move(space)), matrix_(matrix), exact_(matrix), live_(ids, matrix.rows()) {}

  absl::Status Put(v1::MemoryService::Stub& stub, size_t first_row, size_t count, size_t first_id);
  // Those of the ids that are live.
  absl::Status Forget(v1::MemoryService::Stub& stub, size_t first_id, size_t count);
  // Judged by what is live now; an id that is not counts as wrong.
  absl::StatusOr<RecallQuality> Measure(v1::MemoryService::Stub& stub, const Matrix& cues, uint32_t k);

  const std::string& space() const { return space_; }
  const LiveRows& live() const { return live_; }

 private:
  const std::string space_;
  const Matrix& matrix_;
  const ExactSearch exact_;
  LiveRows live_;
  // The truth of the last Measure, kept while nothing changes.
  std::vector<std::vector<ExactSearch::Neighbour>> truth_;
  const Matrix* truth_of_ = nullptr;
  uint32_t truth_k_ = 0;
};

}  // namespace engram
