// A log-linear histogram: 128 buckets per power of two, so a percentile is off by at most 0.4 %.
//
// Threads: one at a time. Memory: 58 KiB, fixed. Values: 0 .. 2^63-1 of any unit; negative ones count as 0.
// Why:     percentiles of an open-loop run must not depend on how many samples fit in memory.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace engram {

class Histogram {
 public:
  void Record(int64_t value, uint64_t times = 1) {
    const uint64_t v = value < 0 ? 0 : static_cast<uint64_t>(value);
    counts_[IndexOf(v)] += times;
    count_ += times;
    sum_ += static_cast<double>(v) * static_cast<double>(times);
    max_ = std::max(max_, v);
  }

  void Merge(const Histogram& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  // The value that a share `quantile` (0..1) of the samples does not exceed; 0 without samples.
  int64_t Percentile(double quantile) const {
    if (count_ == 0) return 0;
    const double exact_rank = quantile * static_cast<double>(count_);
    auto rank = static_cast<uint64_t>(exact_rank);
    if (static_cast<double>(rank) < exact_rank) ++rank;
    rank = std::clamp<uint64_t>(rank, 1, count_);
    if (rank == count_) return static_cast<int64_t>(max_);
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return static_cast<int64_t>(std::min(MiddleOf(i), max_));
    }
    return static_cast<int64_t>(max_);
  }

  // Calls `each(largest value, count)` for each bucket that counted something, from the least.
  template <class Each>
  void ForEach(const Each& each) const {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > 0) each(static_cast<int64_t>(std::min(LargestOf(i), max_)), counts_[i]);
    }
  }

  uint64_t count() const { return count_; }
  int64_t max() const { return static_cast<int64_t>(max_); }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

 private:
  static constexpr int kSubBits = 7;
  static constexpr size_t kSubBuckets = size_t{1} << kSubBits;
  static constexpr size_t kExact = 2 * kSubBuckets;  // Below this every value has its own bucket.
  static constexpr size_t kBuckets = kExact + (63 - kSubBits - 1) * kSubBuckets;

  static size_t IndexOf(uint64_t v) {
    if (v < kExact) return v;
    const int shift = std::bit_width(v) - 1 - kSubBits;
    return kExact + static_cast<size_t>(shift - 1) * kSubBuckets + (static_cast<size_t>(v >> shift) - kSubBuckets);
  }
  static uint64_t LargestOf(size_t index) {
    if (index < kExact) return index;
    const size_t shift = (index - kExact) / kSubBuckets + 1;
    const uint64_t sub = (index - kExact) % kSubBuckets + kSubBuckets;
    return ((sub + 1) << shift) - 1;
  }
  static uint64_t MiddleOf(size_t index) {
    if (index < kExact) return index;
    const size_t shift = (index - kExact) / kSubBuckets + 1;
    const uint64_t sub = (index - kExact) % kSubBuckets + kSubBuckets;
    return (sub << shift) + (uint64_t{1} << (shift - 1));
  }

  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBuckets);
  uint64_t count_ = 0;
  double sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace engram
