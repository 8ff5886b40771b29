// How busy each worker was between two scrapes.
//
// Threads: any. Ownership: none. Blocking: never, but for a short mutex. Errors: std::bad_alloc.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/metrics/metrics.h"

namespace engram {

class WorkerUtilization {
 public:
  // `busy`: of each worker, in all, by `now`.
  void Tell(const GaugeSink& sink, MonotonicTime now, std::vector<Duration> busy) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    busy_.resize(busy.size());
    const double elapsed = std::chrono::duration<double>(now - at_).count();
    for (size_t i = 0; i < busy.size(); ++i) {
      const double share = std::chrono::duration<double>(busy[i] - busy_[i]).count() / elapsed;
      sink(MetricId::kWorkerUtilization, fmt::format("{}", i), 0, std::clamp(share * 100, 0.0, 100.0));
    }
    at_ = now;
    busy_ = std::move(busy);
  }

 private:
  Mutex mu_;
  // As of the last scrape.
  MonotonicTime at_ ABSL_GUARDED_BY(mu_){};
  std::vector<Duration> busy_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
