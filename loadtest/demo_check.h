// Does what was acknowledged come back? Asked of a space that the whole sample was streamed into.
//
// Threads: one. Errors: only of calls; what does not come back is counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/dataset.h"
#include "loadtest/exact_search.h"
#include "loadtest/histogram.h"

namespace engram {

struct Returned {
  uint64_t by_id = 0;       // Same text, same tags, same bits of the embedding.
  uint64_t by_vector = 0;   // First among the hits of a recall by its own vector, similarity 1 within 0.001.
  std::string first_fault;  // Empty when all came back.
};

absl::Status CheckById(v1::MemoryService::Stub& stub, const std::string& space, const Sample& sample,
                       Returned& returned);
// `latency` takes each recall's nanoseconds.
absl::Status CheckByVector(v1::MemoryService::Stub& stub, const std::string& space, const Sample& sample,
                           Returned& returned, Histogram& latency);

struct QueryRun {
  std::vector<v1::RecallResponse> responses;
  // Share of the exact ten best that were found, over all queries.
  double recall_at_10 = 0;
};
absl::StatusOr<QueryRun> RunQueries(v1::MemoryService::Stub& stub, const std::string& space, const Sample& sample,
                                    const ExactSearch& exact, Histogram& latency);

}  // namespace engram
