// What an observation must be to be let in, apart from its space's dimension.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"
#include "core/base/status.h"
#include "core/base/types.h"

namespace engram {

// INVALID_ARGUMENT naming the field, its value and the limit.
absl::Status CheckObservation(const ObservationView& observation, Metric metric, const Settings& settings);
// The embedding of an observation or a query.
absl::Status CheckEmbedding(const EmbeddingView& embedding, Metric metric, uint64_t max_dimension);
// INVALID_ARGUMENT unless it is 1..64 of a-z, 0-9, '.', '_', '-', the first a letter or digit.
absl::Status CheckSpaceName(const std::string& name);
// INVALID_ARGUMENT unless so many ids may be named in one call.
absl::Status CheckIds(size_t count);
// INVALID_ARGUMENT unless it is at most 128 printable ASCII characters without spaces.
absl::Status CheckStreamId(const std::string& id);

// Finds ids that were seen before in the same batch. Not thread-safe; keeps its memory between batches.
class DuplicateFinder {
 public:
  // The place of an earlier observation with the same id, or -1; empty ids are never the same.
  void Begin(size_t observations);
  int64_t Add(const std::vector<ObservationView>& observations, size_t place);

 private:
  std::vector<uint32_t> slots_;  // Place + 1; 0 is empty.
};

}  // namespace engram
