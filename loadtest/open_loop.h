// A load offered at fixed instants, whether or not the daemon keeps up: observations one by one on a stream, and
// recalls.
//
// Threads:  three of its own (writer, reader, recaller) while it runs. Blocking: for the plan's seconds and what is
// left over. Errors:   what a call ended with; DATA_LOSS when an observation was refused. Why:      latency counts from
// the instant a thing was *due*. A client that waits for each answer before sending the next
//           hides exactly the stalls that matter.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/dataset.h"
#include "loadtest/histogram.h"

namespace engram {

struct OpenLoopPlan {
  std::string space;
  // The space recalled from; empty: the same.
  std::string recall_space;
  double observations_per_second = 1000;
  // 0: none.
  double recalls_per_second = 50;
  uint32_t k = 10;
  uint32_t seconds = 20;
  // Ids carry this number and the ones after it.
  size_t first_id = 0;
};

struct OpenLoopResult {
  // Nanoseconds from the due instant to the durable acknowledgement, or to the answer.
  Histogram observe;
  Histogram recall;
  // From the first due instant to the last acknowledgement.
  double seconds = 0;
  // What a recall compared, on average: nodes walked, and observations not linked yet or without a graph.
  double graph_candidates = 0;
  double tail_scanned = 0;
};

// Observations carry the rows of `vectors` in turn; recalls the rows of `cues`.
absl::StatusOr<OpenLoopResult> RunOpenLoop(v1::MemoryService::Stub& stub, const OpenLoopPlan& plan,
                                           const Matrix& vectors, const Matrix& cues);

// One recall; its nanoseconds.
absl::StatusOr<int64_t> TimeRecall(v1::MemoryService::Stub& stub, const std::string& space, uint32_t k,
                                   std::span<const float> cue, v1::Coverage* coverage = nullptr);
// One unary Observe of one observation, to its durable acknowledgement; its nanoseconds. RESOURCE_EXHAUSTED: no room.
absl::StatusOr<int64_t> TimeObserve(v1::MemoryService::Stub& stub, const std::string& space, const SampleText& text,
                                    std::span<const float> embedding);

}  // namespace engram
