// From candidates that codes have chosen to hits with their exact similarity.
//
// Threads:  any. Blocking: as the source does.
// Errors:   the source's status. What the source cannot read is left out and counted.
// Why:      one place decides what a hit's similarity is, however the hit was found.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <span>
#include <vector>

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
  absl::Status Offer(std::span<const Ordinal> ordinals, TopK& top);
  uint64_t read() const { return read_; }              // How many were asked for.
  uint64_t unreadable() const { return unreadable_; }  // How many of them could not be read.

 private:
  const uint32_t dimension_;
  const Similarity similarity_;
  const Similarity::Query query_;
  const VectorSource& source_;
  std::vector<Ordinal> sorted_;
  std::vector<float> rows_;
  uint64_t read_ = 0;
  uint64_t unreadable_ = 0;
};

}  // namespace engram
