// Durations and instants as people write them and as they are printed back. All values are microseconds, as on the
// wire. Pure functions, any thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace engram {

// "250ms", "10s", "1h30m", "2d", "1.5s": numbers each with one of d, h, m, s, ms, us. "0" alone needs no unit.
// INVALID_ARGUMENT names the text and what is missing; negative durations are refused.
absl::StatusOr<int64_t> ParseDuration(std::string_view text);

// The shortest exact form ParseDuration reads back: 5400000000 -> "1h30m".
std::string FormatDuration(int64_t micros);

// Three figures for the eye: "1.24 ms", "12.3 s", "2 h 13 m".
std::string FormatDurationRough(double micros);

// A latency the daemon read off its histogram. Below its first bound, 1 ms, the daemon only guesses: "< 1 ms".
std::string FormatLatency(int64_t micros);

// RFC 3339 ("2026-03-01T12:00:00.5Z", "2026-03-01 12:00:00+02:00"), a day ("2026-03-01", midnight UTC), "now", a
// duration back from `now_us` ("-24h"), or a whole number of microseconds since the epoch. A time without a zone is
// UTC. INVALID_ARGUMENT names the text and the form expected.
absl::StatusOr<int64_t> ParseInstant(std::string_view text, int64_t now_us);

// RFC 3339 in UTC, with as many fractional digits (0, 3 or 6) as the value has.
std::string FormatInstant(int64_t micros);

}  // namespace engram
