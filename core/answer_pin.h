// What an answer's views point into: the space, what was read of it from the journal, and the vectors that were widened.
//
// Threads:   one at a time. Ownership: shares the space; the journal outlives it. What it returns lives as long as it does.
// Blocking:  while the journal reads.
// Errors:    NOT_FOUND: it is not in the journal any more. Any other error: it cannot be read. std::bad_alloc.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "core/engine.h"
#include "core/space.h"
#include "core/stored_reads.h"

namespace engram {

struct HitParts {
  bool content = true;
  bool tags = true;
  bool embedding = true;

  static HitParts Of(const RecallQuery& query) {
    return {query.include_content, query.include_tags, query.include_embedding};
  }
};

class AnswerPin {
 public:
  AnswerPin(const Journal* journal, std::shared_ptr<Space> space);

  // Where a search reads what the index does not keep.
  const StoredReads& reads() const { return reads_; }
  // A row's vector in full precision, as it was given. REQUIRES: the space has an index, here and below.
  absl::StatusOr<std::span<const float>> VectorOf(Ordinal ordinal);
  // The same elements as binary32.
  std::span<const float> Widened(EmbeddingView embedding);
  // A row as a hit shows it; how similar it is the caller knows.
  absl::Status Show(Ordinal ordinal, HitParts parts, ObservationHit& hit);

 private:
  const std::shared_ptr<Space> space_;
  StoredReads reads_;
  // A deque: they stay where they are.
  std::deque<std::vector<float>> widened_;
};

}  // namespace engram
