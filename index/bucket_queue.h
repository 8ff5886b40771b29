// The queue of a best-first walk whose distances are small integers: what is open, and where the best end.
//
// Threads:  one. Blocking: never. Errors: std::bad_alloc from Reset and Push.
// Why:      a list for each distance replaces two heaps, so that pushing and popping take a few instructions whatever the
//           width of the walk; linking a node pushes a few hundred. docs/decisions/0015.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/types.h"

namespace engram {

class BucketQueue {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Empty, for distances below `buckets`, walks of width `ef`, at least 1, and the best `most` of what they meet, no fewer.
  void Reset(uint32_t buckets, uint32_t ef, uint32_t most) {
    head_.assign(buckets, kNone);
    count_.assign(buckets, 0);
    entries_.clear();
    ef_ = ef;
    most_ = most;
    Clear();
  }

  // Distances from here on do not improve the walk.
  uint32_t limit() const { return limit_; }

  // Opens a node; `kept`: it is also one of those the walk is for. REQUIRES: distance < limit().
  void Push(Ordinal node, uint32_t distance, float exact, bool kept) {
    entries_.push_back({node, head_[distance], kept ? distance : kNone, exact});
    head_[distance] = static_cast<uint32_t>(entries_.size()) - 1;
    lowest_ = std::min(lowest_, distance);
    if (!kept) return;
    ++count_[distance];
    ++kept_;
    wide_ += distance <= edge_;
    Narrow();
  }

  // The closest node that is still open, unless it is farther than the best `ef`: then kNoOrdinal.
  Ordinal Pop() {
    while (lowest_ <= edge_) {
      const uint32_t first = head_[lowest_];
      if (first == kNone) {
        ++lowest_;
        continue;
      }
      head_[lowest_] = std::exchange(entries_[first].next, kClosed);
      return entries_[first].node;
    }
    return kNoOrdinal;
  }

  // Counts the same nodes by other integers: `distance_of(exact)`, below the number of buckets.
  template <typename DistanceOf>
  void Recount(const DistanceOf& distance_of) {
    const auto buckets = static_cast<uint32_t>(head_.size());
    head_.assign(buckets, kNone);
    count_.assign(buckets, 0);
    Clear();
    for (uint32_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = entries_[i];
      const uint32_t distance = distance_of(entry.exact);
      if (entry.next != kClosed) {
        entry.next = std::exchange(head_[distance], i);
        lowest_ = std::min(lowest_, distance);
      }
      if (entry.kept_at == kNone) continue;
      entry.kept_at = distance;
      ++count_[distance];
      ++kept_;
    }
    wide_ = kept_;
    Narrow();
  }

  // Whether there are as many kept ones as are wanted.
  bool full() const { return kept_ >= most_; }
  // All that were pushed.
  size_t size() const { return entries_.size(); }
  uint32_t buckets() const { return static_cast<uint32_t>(head_.size()); }

  // Calls `take(node, exact)` for the best `most` kept ones, and for all at the distance of the last of them.
  template <typename Take>
  void ForEachBest(const Take& take) const {
    for (const Entry& entry : entries_) {
      if (entry.kept_at <= top_) take(entry.node, entry.exact);
    }
  }

  template <typename Take>
  void ForEach(const Take& take) const {
    for (const Entry& entry : entries_) take(entry.node, entry.exact);
  }

  size_t resident_bytes() const {
    return entries_.capacity() * sizeof(Entry) + (head_.capacity() + count_.capacity()) * sizeof(uint32_t);
  }

 private:
  struct Entry {
    Ordinal node;
    uint32_t next;     // In the list of its distance.
    uint32_t kept_at;  // Its distance, or kNone.
    float exact;       // What the integer stands for, where that is known.
  };

  static constexpr uint32_t kClosed = UINT32_MAX - 1;

  void Clear() {
    limit_ = lowest_ = buckets();
    top_ = edge_ = buckets() - 1;
    kept_ = wide_ = 0;
  }
  void Narrow() {
    if (wide_ >= ef_) {
      while (wide_ - count_[edge_] >= ef_) wide_ -= count_[edge_--];
    }
    if (kept_ < most_) return;
    while (kept_ - count_[top_] >= most_) kept_ -= count_[top_--];
    limit_ = top_;
  }

  std::vector<Entry> entries_;
  std::vector<uint32_t> head_;   // Of each distance: the last opened, or kNone.
  std::vector<uint32_t> count_;  // Of each distance: the kept ones.
  uint32_t ef_ = 1;
  uint32_t most_ = 1;
  uint32_t limit_ = 0;
  uint32_t top_ = 0;     // The distance at which the best `most` end; the last before there are that many.
  uint32_t edge_ = 0;    // The same for the best `ef`, behind which nothing is opened.
  uint32_t lowest_ = 0;  // No open node is closer.
  uint32_t kept_ = 0;    // At `top_` or closer.
  uint32_t wide_ = 0;    // At `edge_` or closer.
};

}  // namespace engram
