// The recall of the last checks of one space.
//
// Threads: any. Blocking: a short mutex. Errors: std::bad_alloc from the first kChecks Adds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "core/base/mutex.h"

namespace engram {

class CanaryWindow {
 public:
  static constexpr size_t kChecks = 100;

  // `recall` in 0..1.
  void Add(float recall) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (recalls_.size() < kChecks) {
      recalls_.push_back(recall);
    } else {
      recalls_[oldest_++ % kChecks] = recall;
    }
  }

  struct Reading {
    double mean = 0;
    double least = 0;
  };
  // Nothing before the first check.
  std::optional<Reading> Read() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (recalls_.empty()) return std::nullopt;
    return Reading{std::accumulate(recalls_.begin(), recalls_.end(), 0.0) / static_cast<double>(recalls_.size()),
                   *std::min_element(recalls_.begin(), recalls_.end())};
  }

 private:
  mutable Mutex mu_;
  // Grows to kChecks: most spaces have no graph and are never checked.
  std::vector<float> recalls_ ABSL_GUARDED_BY(mu_);
  uint64_t oldest_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram
