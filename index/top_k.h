// The best k hits of a search so far.
//
// Threads: one. Order: similarity descending, then ordinal ascending; the same for the order in which hits are offered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "index/space_index.h"

namespace engram {

class TopK {
 public:
  // `most`: how many hits there can be at all, so that a huge k costs nothing.
  TopK(uint32_t k, uint64_t most) : k_(k) { heap_.reserve(static_cast<size_t>(std::min<uint64_t>(k, most))); }

  // Below this nothing is taken.
  float floor() const { return heap_.size() < k_ ? -std::numeric_limits<float>::infinity() : heap_.front().similarity; }
  size_t size() const { return heap_.size(); }
  uint32_t k() const { return k_; }
  // In no order.
  std::span<const SearchHit> hits() const { return heap_; }

  void Offer(SearchHit hit) {
    if (heap_.size() < k_) {
      heap_.push_back(hit);
      std::push_heap(heap_.begin(), heap_.end(), Better);
    } else if (Better(hit, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), Better);
      heap_.back() = hit;
      std::push_heap(heap_.begin(), heap_.end(), Better);
    }
  }

  void Clear() { heap_.clear(); }

  std::vector<SearchHit> Take() {
    std::sort_heap(heap_.begin(), heap_.end(), Better);
    return std::move(heap_);
  }

 private:
  static bool Better(const SearchHit& a, const SearchHit& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.ordinal < b.ordinal;
  }

  const uint32_t k_;
  std::vector<SearchHit> heap_;  // The worst in front.
};

}  // namespace engram
