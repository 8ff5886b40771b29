// From candidates that codes have chosen to hits with their exact similarity.
//
// Threads:  any. Blocking: as the source does.
// Errors:   std::bad_alloc. What the source cannot read is left out and counted.
// Why:      one place decides what a hit's similarity is, however the hit was found.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/types.h"
#include "index/similarity.h"
#include "index/space_index.h"
#include "index/top_k.h"
#include "index/vector_source.h"

namespace engram {

// So many rows are in memory at once, beside those that are hits so far.
inline constexpr size_t kMostRowsRead = 256;

// How many are read next: the first k in any case, and then ever fewer at a time.
class ReadSteps {
 public:
  explicit ReadSteps(size_t k) : first_(k), step_(k) {}

  size_t Next() {
    if (const size_t some = std::min(first_, kMostRowsRead); some != 0) {
      first_ -= some;
      return some;
    }
    step_ = std::max<size_t>(4, step_ / 2);
    return std::min(step_, kMostRowsRead);
  }

 private:
  size_t first_;
  size_t step_;
};

class Reranker {
 public:
  // The dimension is the query's. All outlive the reranker.
  Reranker(Metric metric, std::span<const float> query, const VectorSource& source);

  // Reads some, at most kMostRowsRead, and calls take(hit) for each with its exact similarity.
  template <class Take>
  void Compare(std::span<const Ordinal> ordinals, const Take& take);
  void Offer(std::span<const Ordinal> ordinals, TopK& top) {
    Compare(ordinals, [&top](SearchHit hit) { top.Offer(hit); });
  }
  uint64_t read() const { return read_; }  // How many were asked for.

  // The source may hold more that was read than it should: time to tell it what is still of use.
  bool holds_many() const { return read_ - told_at_ >= kMostRowsRead; }
  void KeepOnly(std::vector<Ordinal>& ordinals);

  // Those that could not be read.
  std::span<const Ordinal> unreadable() const { return unreadable_; }
  // How many of them `list` counts, given what counts one.
  template <class List>
  uint64_t CountUnreadable(const List& list);

 private:
  // Puts the rows of sorted_ into rows_.
  void Read(std::span<const Ordinal> ordinals);

  const uint32_t dimension_;
  const Similarity similarity_;
  const Similarity::Query query_;
  const VectorSource& source_;
  std::vector<Ordinal> sorted_;
  std::vector<Ordinal> unreadable_;
  std::vector<float> rows_;
  uint64_t read_ = 0;
  uint64_t told_at_ = 0;
};

template <class Take>
void Reranker::Compare(std::span<const Ordinal> ordinals, const Take& take) {
  Read(ordinals);
  for (size_t i = 0; i < sorted_.size(); ++i) {
    const float* const row = rows_.data() + i * dimension_;
    if (std::isnan(row[0])) {
      unreadable_.push_back(sorted_[i]);
      continue;
    }
    take(SearchHit{sorted_[i], similarity_.Of(query_, row, similarity_.InverseNorm(row))});
  }
}

template <class List>
uint64_t Reranker::CountUnreadable(const List& list) {
  if (unreadable_.empty()) return 0;
  std::sort(unreadable_.begin(), unreadable_.end());
  uint64_t counted = 0;
  list([&](Ordinal ordinal) { counted += std::binary_search(unreadable_.begin(), unreadable_.end(), ordinal); });
  return counted;
}

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
