// What a load looks like from outside, ten times a second: the daemon's memory, and whether anything is late.
//
// Threads: one of its own until Stop; the readings after it. Ownership: target and streams outlive it. Errors: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "loadtest/load_stream.h"
#include "loadtest/load_target.h"
#include "loadtest/pacing.h"

namespace engram {

class LoadSampler {
 public:
  // How often, and for how long something has to have waited to be late.
  static constexpr int64_t kPeriod = 100'000'000, kLate = kNanosPerSecond;

  LoadSampler(LoadTarget* target, const std::vector<std::unique_ptr<LoadStream>>* streams)
      : target_(target), streams_(streams) {
    thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  }

  void Stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  uint64_t peak_bytes() const { return peak_bytes_; }
  // The last instant at which something was late; 0: never.
  int64_t last_late() const { return last_late_; }

 private:
  void Run(const std::stop_token& stop) {
    for (int64_t next = NowNanos(); !stop.stop_requested(); next += kPeriod) {
      SleepUntilNanos(next);
      peak_bytes_ = std::max(peak_bytes_, target_->ResidentBytes());
      const int64_t now = NowNanos();
      for (const auto& stream : *streams_) {
        if (!stream->slow_reader() && stream->LagNanos(now) > kLate) last_late_ = now;
      }
    }
  }

  LoadTarget* const target_;
  const std::vector<std::unique_ptr<LoadStream>>* const streams_;
  uint64_t peak_bytes_ = 0;
  int64_t last_late_ = 0;
  std::jthread thread_;
};

}  // namespace engram
