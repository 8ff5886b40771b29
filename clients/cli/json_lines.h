// Observations and embeddings as JSON text: what `engram observe` and `engram recall` read.
// Pure functions, any thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engram/v1/observation.pb.h"

namespace engram {

// Whether a record has to bring its embedding, or must not because a .npy file does.
enum class EmbeddingFrom { kRecord, kMatrix };

// One line:
//   {"id": "a", "embedding": [0.1, 0.2], "content": "text", "tags": {"lang": "en"},
//    "observed_at": "2026-03-01T12:00:00Z" or microseconds, "confidence": 0.9, "ttl": "1h" or microseconds}
// All but the embedding may be left out or null. An unknown field is a fault: it is most often a misspelt one.
// INVALID_ARGUMENT, as "column 12: what is wrong". Ranges and limits are the daemon's to check.
absl::Status ParseObservation(std::string_view line, EmbeddingFrom from, int64_t now_us, v1::Observation* observation);

// Embeddings one after the other, separated by white space: arrays of numbers, arrays of such arrays, or objects with
// an "embedding". Numbers without brackets, "0.1, 0.2", are one embedding. INVALID_ARGUMENT, as "line 2, column 5:
// what".
absl::StatusOr<std::vector<std::vector<float>>> ParseEmbeddings(std::string_view text);

// The elements as Observation.embedding_f32 and RecallRequest.embedding_f32 take them.
std::string LittleEndianBytes(const std::vector<float>& elements);

}  // namespace engram
