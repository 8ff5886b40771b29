// The recall of the last checks of one space.
//
// Threads: any. Blocking: a short mutex. Errors: none.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>

#include "core/base/mutex.h"

namespace engram {

class CanaryWindow {
 public:
  static constexpr size_t kChecks = 100;

  // `recall` in 0..1.
  void Add(float recall) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    recalls_[next_++ % kChecks] = recall;
  }

  struct Reading {
    double mean = 0;
    double least = 0;
  };
  // Nothing before the first check.
  std::optional<Reading> Read() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (next_ == 0) return std::nullopt;
    const auto end = recalls_.begin() + static_cast<ptrdiff_t>(std::min<uint64_t>(next_, kChecks));
    return Reading{std::accumulate(recalls_.begin(), end, 0.0) / static_cast<double>(end - recalls_.begin()),
                   *std::min_element(recalls_.begin(), end)};
  }

 private:
  mutable Mutex mu_;
  std::array<float, kChecks> recalls_ ABSL_GUARDED_BY(mu_){};
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram
