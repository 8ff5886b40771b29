// From candidates that codes have chosen to hits with their exact similarity.
//
// Threads:  any. Blocking: as the source does.
// Errors:   std::bad_alloc. What the source cannot read is left out and counted.
// Why:      one place decides what a hit's similarity is, however the hit was found.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/types.h"
#include "index/similarity.h"
#include "index/space_index.h"
#include "index/top_k.h"
#include "index/vector_source.h"

namespace engram {

class Reranker {
 public:
  // The dimension is the query's. All outlive the reranker.
  Reranker(Metric metric, std::span<const float> query, const VectorSource& source);

  // Offers each ordinal with its exact similarity to `top`.
  void Offer(std::span<const Ordinal> ordinals, TopK& top);
  uint64_t read() const { return read_; }  // How many were asked for.
  // Those of them that could not be read.
  std::span<const Ordinal> unreadable() const { return unreadable_; }

 private:
  const uint32_t dimension_;
  const Similarity similarity_;
  const Similarity::Query query_;
  const VectorSource& source_;
  std::vector<Ordinal> sorted_;
  std::vector<Ordinal> unreadable_;
  std::vector<float> rows_;
  uint64_t read_ = 0;
};

// What may be among the best, by the bounds that its code gives.
struct Candidate {
  float high = 0;  // Its exact similarity is not above.
  Ordinal ordinal = kNoOrdinal;
};

struct Reranked {
  std::vector<SearchHit> hits;  // The best k of the candidates; by similarity descending, then ordinal ascending.
  uint64_t read = 0;            // Vectors that the codes could not rule out.
  uint64_t unreadable = 0;      // Of those, the ones that could not be read and may be among the best.
};

// Reads `candidates`, which it puts into the order of their promise, until what is left cannot be among the best k.
Reranked RerankBest(Metric metric, std::span<const float> query, const VectorSource& source,
                    std::vector<Candidate>& candidates, uint32_t k);

}  // namespace engram
