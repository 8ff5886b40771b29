#include "config/parse_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <system_error>

#include "config/fault.h"

namespace engram {
namespace {

struct Unit {
  std::string_view name;
  uint64_t size;
};

constexpr Unit kByteUnits[] = {
    {"TiB", uint64_t{1} << 40},
    {"GiB", uint64_t{1} << 30},
    {"MiB", uint64_t{1} << 20},
    {"KiB", uint64_t{1} << 10},
    {"B", 1},
};
constexpr Unit kDurationUnits[] = {{"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}};

absl::Status Wrong(std::string_view text, std::string_view problem) {
  return absl::InvalidArgumentError(fmt::format("{} {}", Quoted(text), problem));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The digits `text` starts with.
std::string_view Digits(std::string_view text) {
  return text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// What is wrong with `text` as a number, when it is one of the traps that other programs fall into; else empty.
std::string_view NumberTrap(std::string_view text) {
  if (text.empty()) return "is empty";
  const std::string lower = Lower(text);
  if (text.front() == ' ' || text.back() == ' ') return "has a space at its start or end";
  if (lower.find("nan") != std::string::npos || lower.find("inf") != std::string::npos) return "is not a finite number";
  if (text.front() == '+' || text.front() == '-') return "has a sign";
  if (lower.starts_with("0x") || lower.starts_with("0o") || lower.starts_with("0b")) return "is not in decimal";
  if (text.size() > 1 && text[0] == '0' && IsDigit(text[1])) return "has a leading zero, which some read as octal";
  const std::string_view digits = Digits(text);
  const std::string_view rest = std::string_view(lower).substr(digits.size());
  if (digits.empty() || rest.size() < 2) return {};
  const bool digit_follows = IsDigit(rest[1]);
  if ((rest[0] == '_' || rest[0] == ',' || rest[0] == '\'') && digit_follows)
    return "has a separator between its digits";
  if (rest[0] == 'e' && (digit_follows || rest[1] == '+' || rest[1] == '-')) return "has an exponent";
  return {};
}

absl::StatusOr<uint64_t> DigitsToCount(std::string_view text, std::string_view digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return Wrong(text, "is too large");
  return value;
}

struct NumberWithUnit {
  uint64_t number = 0;
  std::string_view unit;
};

absl::StatusOr<NumberWithUnit> SplitUnit(std::string_view text, std::string_view kind) {
  if (const std::string_view trap = NumberTrap(text); !trap.empty()) return Wrong(text, trap);
  const std::string_view digits = Digits(text);
  if (digits.empty()) return Wrong(text, fmt::format("is not a {}", kind));
  std::string_view unit = text.substr(digits.size());
  if (unit.starts_with('.')) return Wrong(text, "has a fraction; write it whole in a smaller unit");
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  const absl::StatusOr<uint64_t> number = DigitsToCount(text, digits);
  if (!number.ok()) return number.status();
  return NumberWithUnit{*number, unit};
}

// `number` in the smallest of `units`; the text is refused when the unit is none of them.
absl::StatusOr<uint64_t> Scale(std::string_view text, const NumberWithUnit& parsed, std::span<const Unit> units,
                               uint64_t most) {
  for (const Unit& unit : units) {
    if (unit.name != parsed.unit) continue;
    if (parsed.number > most / unit.size) return Wrong(text, "is too large");
    return parsed.number * unit.size;
  }
  for (const Unit& unit : units) {
    if (Lower(unit.name) == Lower(parsed.unit)) {
      return Wrong(text, fmt::format("has the unit {} in the wrong case, which is written {}", parsed.unit, unit.name));
    }
  }
  return Wrong(text, fmt::format("has the unit {}, which is none here", Quoted(parsed.unit)));
}

}  // namespace

absl::StatusOr<uint64_t> ParseCount(std::string_view text) {
  if (const std::string_view trap = NumberTrap(text); !trap.empty()) return Wrong(text, trap);
  const std::string_view digits = Digits(text);
  if (digits.empty()) return Wrong(text, "is not a whole number");
  if (digits.size() != text.size()) {
    const char next = text[digits.size()];
    if (next == '.' && text.find_first_not_of("0123456789.") == std::string_view::npos) {
      return Wrong(text, "has a fraction");
    }
    if (next == ' ' || (next >= 'A' && next <= 'z') || next == '%')
      return Wrong(text, "has a unit, and this is a count");
    return Wrong(text, "is not a whole number");
  }
  return DigitsToCount(text, digits);
}

absl::StatusOr<double> ParseRatio(std::string_view text) {
  if (const std::string_view trap = NumberTrap(text); !trap.empty()) return Wrong(text, trap);
  if (text.ends_with('%')) return Wrong(text, "is a percentage; write 10% as 0.1");
  const std::string_view whole = Digits(text);
  std::string_view rest = text.substr(whole.size());
  bool well_formed = !whole.empty();
  if (well_formed && rest.starts_with('.')) {
    rest.remove_prefix(1);
    const std::string_view fraction = Digits(rest);
    well_formed = !fraction.empty();
    rest.remove_prefix(fraction.size());
  }
  if (well_formed && Lower(rest).starts_with('e')) return Wrong(text, "has an exponent");
  if (!well_formed || !rest.empty()) return Wrong(text, "is not a decimal number");
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  // Too many digits to the left overflow; a fraction too small to be told from 0 is refused too rather than rounded
  // away.
  if (error != std::errc() || end != text.data() + text.size()) return Wrong(text, "is out of what a number can hold");
  return value;
}

absl::StatusOr<uint64_t> ParseBytes(std::string_view text) {
  const absl::StatusOr<NumberWithUnit> parsed = SplitUnit(text, "size");
  if (!parsed.ok()) return parsed.status();
  if (parsed->unit.empty()) return parsed->number;
  constexpr std::array<std::string_view, 8> kAmbiguous = {"k", "kb", "m", "mb", "g", "gb", "t", "tb"};
  if (std::find(kAmbiguous.begin(), kAmbiguous.end(), Lower(parsed->unit)) != kAmbiguous.end()) {
    const char prefix = static_cast<char>(parsed->unit[0] & ~0x20);
    return Wrong(text,
                 fmt::format("has the unit {0}, which some read as 1000s and some as 1024s; write {1}iB for 1024s",
                             parsed->unit, prefix));
  }
  return Scale(text, *parsed, kByteUnits, std::numeric_limits<uint64_t>::max());
}

absl::StatusOr<std::chrono::microseconds> ParseDuration(std::string_view text, BareNumber bare) {
  const absl::StatusOr<NumberWithUnit> parsed = SplitUnit(text, "duration");
  if (!parsed.ok()) return parsed.status();
  NumberWithUnit with_unit = *parsed;
  if (with_unit.unit.empty()) {
    if (with_unit.number != 0 && bare == BareNumber::kRefused) {
      return Wrong(text, fmt::format("has no unit; write {0}us, {0}ms, {0}s or {0}m", with_unit.number));
    }
    with_unit.unit = "ms";
  }
  const absl::StatusOr<uint64_t> micros =
      Scale(text, with_unit, kDurationUnits, static_cast<uint64_t>(std::chrono::microseconds::max().count()));
  if (!micros.ok()) return micros.status();
  return std::chrono::microseconds(static_cast<int64_t>(*micros));
}

absl::StatusOr<bool> ParseFlag(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  const std::string lower = Lower(text);
  for (const std::string_view word : {"true", "yes", "on", "y", "1", "enabled"}) {
    if (lower == word) return Wrong(text, "is not a flag; write true");
  }
  for (const std::string_view word : {"false", "no", "off", "n", "0", "disabled"}) {
    if (lower == word) return Wrong(text, "is not a flag; write false");
  }
  return Wrong(text, text.empty() ? "is empty" : "is not a flag");
}

std::string FormatRatio(double value) {
  // Fixed notation of the smallest double takes 1077 characters.
  std::array<char, 1100> buffer;
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  return std::string(buffer.data(), error == std::errc() ? end : buffer.data());
}

std::string FormatBytes(uint64_t value) {
  for (const Unit& unit : kByteUnits) {
    if (unit.size > 1 && value != 0 && value % unit.size == 0) return fmt::format("{}{}", value / unit.size, unit.name);
  }
  return fmt::format("{}", value);
}

std::string FormatDuration(std::chrono::microseconds value) {
  if (value.count() == 0) return "0s";
  const auto micros = static_cast<uint64_t>(value.count());
  for (const Unit& unit : kDurationUnits) {
    if (micros % unit.size == 0) return fmt::format("{}{}", micros / unit.size, unit.name);
  }
  return fmt::format("{}us", micros);
}

}  // namespace engram
