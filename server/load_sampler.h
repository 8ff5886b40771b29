// How busy the daemon has been lately: latencies of the last ten seconds, the lanes' busy share of the last one. When
// nothing has come for a while, what the last stream's buffers took goes back to the kernel.
//
// Threads:   Read from any; one thread of its own looks once a second at the histograms behind /metrics.
// Ownership: engine, metrics and clock outlive it. Blocking: a mutex. Errors: none.
// Why:       the histograms only grow, and their difference over a window needs a past to subtract, also for somebody
//            who asks only once. Percentiles are interpolated inside a bucket, so they are as fine as the buckets are.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/memory_limit.h"
#include "core/engine.h"
#include "core/metrics/metrics.h"
#include "server/ingest_pause.h"

namespace engram {

struct LatencySummary {
  Duration p50{0};
  Duration p99{0};
  uint64_t count = 0;
};

// Of what `later` has counted beyond `earlier`; a bucket that shrank counts as zero.
LatencySummary SummarizeLatency(MetricId id, const std::vector<uint64_t>& earlier, const std::vector<uint64_t>& later);

class LoadSampler {
 public:
  struct Load {
    LatencySummary observe;
    LatencySummary recall;
    // Per lane, 0..1.
    std::vector<double> utilization;
  };

  LoadSampler(Engine* engine, Metrics* metrics, Clock* clock,
              std::function<void()> return_free_memory = ReturnFreeMemory);
  ~LoadSampler();

  Load Read() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Sample {
    MonotonicTime at;
    std::vector<uint64_t> observe;
    std::vector<uint64_t> recall;
    std::vector<Duration> busy;
  };

  Sample Take();
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Engine* const engine_;
  Metrics* const metrics_;
  Clock* const clock_;
  const std::function<void()> return_free_memory_;
  // The thread's own.
  IngestPause pause_;

  Mutex mu_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Oldest first, a second apart; the front one is the last that is ten seconds old or more, once there is one.
  std::deque<Sample> samples_ ABSL_GUARDED_BY(mu_);

  std::jthread thread_;
};

}  // namespace engram
