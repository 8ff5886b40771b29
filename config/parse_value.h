// One value of one setting, as a person writes it: numbers, durations, sizes. No setting is named here.
//
// Accepted, and nothing else:
//   whole numbers   digits without a leading zero: 500
//   ratios          digits, or digits.digits: 0.1
//   sizes           a whole number of bytes, or one with B, KiB, MiB, GiB or TiB: 64MiB. KB and MB are refused: half of
//                   their readers take them for 1000s.
//   durations       a whole number with us, ms, s or m: 250us. A bare number is taken where the key says the
//                   unit (..._ms), and 0 everywhere.
//   flags           true or false
// A single space may stand before a unit. Signs, hexadecimal, octal, exponents and digit separators are refused by
// name.
//
// Threads: pure functions. Errors: InvalidArgument that says what is wrong with the text; the caller adds what is
// allowed.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace engram {

enum class BareNumber { kRefused, kMillis };

absl::StatusOr<uint64_t> ParseCount(std::string_view text);
absl::StatusOr<double> ParseRatio(std::string_view text);
absl::StatusOr<uint64_t> ParseBytes(std::string_view text);
absl::StatusOr<std::chrono::microseconds> ParseDuration(std::string_view text, BareNumber bare);
absl::StatusOr<bool> ParseFlag(std::string_view text);

// The shortest text that parses back to the same value.
std::string FormatRatio(double value);
std::string FormatBytes(uint64_t value);
std::string FormatDuration(std::chrono::microseconds value);

}  // namespace engram
