// What tests of the worker pool start from.
#pragma once

#include <memory>
#include <vector>

#include "core/stream/worker_pool.h"
#include "tests/core/stream/slices.h"

namespace engram::testing {

inline constexpr MonotonicTime kForever = MonotonicTime::max();

inline WorkerTuning Tuning(uint64_t min_batch, uint64_t max_batch, Duration idle_sleep = std::chrono::hours(1),
                           uint64_t steal_threshold = 1'000'000) {
  WorkerTuning tuning;
  tuning.min_batch = min_batch;
  tuning.max_batch = max_batch;
  tuning.idle_sleep = idle_sleep;
  tuning.steal_threshold = steal_threshold;
  return tuning;
}

inline std::vector<std::shared_ptr<TestSpace>> MakeSpaces(int count) {
  std::vector<std::shared_ptr<TestSpace>> spaces;
  for (int i = 0; i < count; ++i) spaces.push_back(std::make_shared<TestSpace>(i));
  return spaces;
}

}  // namespace engram::testing
