// One stream of frames into a space: as fast as they are taken, or at instants fixed beforehand.
//
// Threads:   Run uses the calling thread to write and one more to read. A FramePool belongs to one run at a time.
// Blocking:  until the plan's end and until all that was sent has been acknowledged, at most a minute longer.
// Errors:    of the call; DATA_LOSS when an observation was refused for good.
// Why:       the frames are few and go round, without ids, so that a run of any length needs little memory; a latency
//            counts from the instant a frame was due, so that a daemon that stalls cannot hide it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/dataset.h"
#include "loadtest/histogram.h"

namespace engram {

class FramePool {
 public:
  // `frames` frames of `rows` observations each, which carry the matrix's rows in turn and texts of 60 bytes or so.
  FramePool(const Matrix& vectors, size_t first_row, size_t frames, uint32_t rows);

  // The pool's frame number `n` modulo its size, numbered as the n-th of a stream. Valid until the next call.
  const v1::ObserveStreamRequest& Numbered(uint64_t n);
  uint32_t rows() const { return rows_; }
  // What an observation carries for its caller, on average.
  double payload_bytes() const { return payload_bytes_; }

 private:
  const uint32_t rows_;
  std::vector<v1::ObserveStreamRequest> frames_;
  double payload_bytes_ = 0;
};

struct StreamPlan {
  std::string space;
  v1::AckLevel level = v1::ACK_LEVEL_DURABLE;
  // 0: as fast as they are taken.
  double frames_per_second = 0;
  // Seconds in which frames begin, and how many at most.
  double seconds = 1;
  uint64_t most_frames = UINT64_MAX;
  // Say `end` right behind the last frame: for a server that acknowledges only now and then. Nothing is sent again then.
  bool end_at_once = false;
};

struct StreamOutcome {
  // Acknowledged at the level asked for, and sent again because there was no room.
  uint64_t acknowledged = 0;
  uint64_t sent_again = 0;
  // Instants: of the first frame, and of the last acknowledgement.
  int64_t began = 0;
  int64_t ended = 0;
  // Nanoseconds of each observation, from its frame's due instant (without a rate: its write).
  Histogram latency;
  // Each acknowledgement as it came.
  struct Arrival {
    int64_t instant;
    uint64_t observations;
    int64_t latency;  // Of the first of them.
  };
  std::vector<Arrival> arrivals;
  v1::Durability durability = v1::DURABILITY_UNSPECIFIED;
};

absl::StatusOr<StreamOutcome> RunPacedStream(v1::MemoryService::Stub& stub, const StreamPlan& plan, FramePool& pool);

}  // namespace engram
