// Adds up what the parts of a search take.
//
// Threads:  one at a time. Ownership: clock and sum outlive it.
#pragma once

#include <chrono>
#include <utility>

#include "core/base/clock.h"

namespace engram {

// Adds to `sum` what passes until it is stopped or gone. Without a clock it adds nothing.
class Stopwatch {
 public:
  Stopwatch(const Clock* clock, std::chrono::nanoseconds* sum)
      : clock_(clock), sum_(sum), begin_(clock == nullptr ? MonotonicTime{} : clock->Now()) {}
  ~Stopwatch() { Stop(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // What passed. It runs no more.
  std::chrono::nanoseconds Stop() {
    if (clock_ == nullptr) return std::chrono::nanoseconds(0);
    const std::chrono::nanoseconds passed = std::exchange(clock_, nullptr)->Now() - begin_;
    *sum_ += passed;
    return passed;
  }

 private:
  const Clock* clock_;
  std::chrono::nanoseconds* const sum_;
  const MonotonicTime begin_;
};

}  // namespace engram
