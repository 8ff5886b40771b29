// Is what was acknowledged there? Asked of a space after a round: how many it holds, and some of them found by their
// own vectors.
//
// Threads: any. Blocking: calls. Errors: of calls; DATA_LOSS when something acknowledged is not there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/dataset.h"

namespace engram {

// A space that is scanned whatever its size, so that no graph is built beside what is measured.
absl::Status CreateFlatSpace(v1::MemoryService::Stub& stub, const std::string& name, uint32_t dimension);
absl::Status DeleteSpace(v1::MemoryService::Stub& stub, const std::string& name);

// An observation as it was sent.
struct SentObservation {
  SampleText text;
  std::vector<float> embedding;
};

// `count` rows spread over the matrix, another choice for each seed.
std::vector<SentObservation> PickSent(const std::vector<SampleText>& texts, const Matrix& embeddings, size_t count,
                                      uint64_t seed);

// The space holds `live` observations, and each of `sent` is the best hit of its own vector, with similarity 1 within
// 0.001 and the text it was sent with.
absl::Status CheckSpace(v1::MemoryService::Stub& stub, const std::string& name, uint64_t live,
                        const std::vector<SentObservation>& sent);

}  // namespace engram
