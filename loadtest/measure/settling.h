// Waits for a daemon to finish what it was left to do, for a while, and gives up on one that never does.
//
// Threads:  one. Ownership: none. Blocking: Await for `patience` at most, and for one question more.
// Errors:   the question's own.
// Why:      a daemon that others use is never quiet. One that was not quiet in time once is not waited for again, or each
//           part of a benchmark would cost the whole patience.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "core/base/status.h"
#include "loadtest/pacing.h"

namespace engram {

class Settling {
 public:
  using Question = std::function<absl::StatusOr<bool>()>;

  // Nanoseconds. The clock is another in tests.
  Settling(int64_t patience, int64_t between, std::function<int64_t()> now = NowNanos,
           std::function<void(int64_t)> pause_until = SleepUntilNanos)
      : patience_(patience), between_(between), now_(std::move(now)), pause_until_(std::move(pause_until)) {}

  // Asks at once, and again after each `between`. True when the answer was; false when time is up, and from then on.
  absl::StatusOr<bool> Await(const Question& quiet) {
    const int64_t deadline = now_() + patience_;
    while (!given_up_) {
      ENGRAM_ASSIGN_OR_RETURN(const bool is, quiet());
      if (is) return true;
      given_up_ = now_() >= deadline;
      if (!given_up_) pause_until_(now_() + between_);
    }
    return false;
  }

 private:
  const int64_t patience_, between_;
  const std::function<int64_t()> now_;
  const std::function<void(int64_t)> pause_until_;
  bool given_up_ = false;
};

}  // namespace engram
