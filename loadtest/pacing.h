// Nanoseconds of the monotonic clock, and waiting for an instant of it.
//
// Why: an open-loop load is sent at instants fixed beforehand. Sleeping for a duration would let every oversleep push
// the
//      rest of the schedule back; sleeping until an instant does not.
#pragma once

#include <time.h>

#include <cerrno>
#include <cstdint>

namespace engram {

inline constexpr int64_t kNanosPerSecond = 1'000'000'000;

inline int64_t NowNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kNanosPerSecond + now.tv_nsec;
}

inline void SleepUntilNanos(int64_t instant) {
  const timespec until{static_cast<time_t>(instant / kNanosPerSecond), static_cast<long>(instant % kNanosPerSecond)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

inline double Seconds(int64_t nanos) { return static_cast<double>(nanos) / kNanosPerSecond; }

}  // namespace engram
