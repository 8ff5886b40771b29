// Several clients of one server at once: streams that send ready frames, and callers that observe one thing at a time.
//
// Threads:  one for each stream (and one more to read it) or caller, while it runs. Blocking: until all are done.
// Errors:   the first that any of them met.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/dataset.h"
#include "loadtest/histogram.h"

namespace engram {

struct StreamLoad {
  std::string space;
  // Must outlive the run.
  const std::vector<v1::ObserveStreamRequest>* frames = nullptr;
};

struct StreamsResult {
  uint64_t acknowledged = 0;
  // From the first frame of any stream to the last durable acknowledgement of any.
  int64_t nanos = 0;
  // Of each observation, from its frame's write to its durable acknowledgement; nanoseconds.
  Histogram latency;
  // The weakest that a stream was told.
  v1::Durability durability = v1::DURABILITY_UNSPECIFIED;

  double Rate() const;  // Acknowledged a second.
};

// Where a warm-up goes. A daemon's is better made beforehand, without a graph.
inline constexpr const char* kWarmUpSpace = "warm-up";

// Each stream on a connection of its own. `warm_up` (may be empty) is sent into the warm-up's space before the clock
// starts, by each connection, so that neither connections nor heaps are new.
absl::StatusOr<StreamsResult> RunStreams(const std::string& address, const std::vector<StreamLoad>& loads,
                                         const std::vector<v1::ObserveStreamRequest>& warm_up);

struct CallersPlan {
  std::string space;
  uint32_t callers = 64;
  uint32_t seconds = 3;
  // Ids carry this number and the ones after it.
  size_t first_id = 0;
};

struct CallersResult {
  // Nanoseconds from each call to its durable answer.
  Histogram latency;
  uint64_t acknowledged = 0;
  int64_t nanos = 0;
};

// Each caller observes one row of `vectors`, waits until it is durable, and observes the next. Eight callers share a
// connection.
absl::StatusOr<CallersResult> RunCallers(const std::string& address, const CallersPlan& plan, const Matrix& vectors);

}  // namespace engram
