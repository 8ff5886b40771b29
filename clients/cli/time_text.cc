#include "clients/cli/time_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

#include "core/base/status.h"

namespace engram {
namespace {

struct Unit {
  std::string_view name;
  int64_t micros;
};

constexpr int64_t kDayMicros = 86'400'000'000;

// Longest names first where one begins another.
constexpr std::array<Unit, 6> kUnits = {
    {{"ms", 1'000}, {"us", 1}, {"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}}};

absl::Status BadDuration(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      fmt::format("\"{}\" is not a duration: {}; write it like 250ms, 10s, 1h30m or 2d", text, why));
}

absl::Status BadInstant(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format(
      "\"{}\" is not a time: {}; write it like 2026-03-01, 2026-03-01T12:00:00Z, -24h, now, or microseconds since 1970",
      text, why));
}

// Takes exactly `digits` digits off the front of `rest`.
bool TakeNumber(std::string_view& rest, int digits, int* out) {
  if (rest.size() < static_cast<size_t>(digits)) return false;
  int value = 0;
  for (int i = 0; i < digits; ++i) {
    if (rest[i] < '0' || rest[i] > '9') return false;
    value = value * 10 + (rest[i] - '0');
  }
  rest.remove_prefix(digits);
  *out = value;
  return true;
}

bool Take(std::string_view& rest, std::string_view any_of) {
  if (rest.empty() || any_of.find(rest.front()) == std::string_view::npos) return false;
  rest.remove_prefix(1);
  return true;
}

// The part after the date: time of day, fraction and zone, in microseconds to add.
absl::StatusOr<int64_t> ParseTimeOfDay(std::string_view text, std::string_view rest) {
  int hour = 0, minute = 0, second = 0;
  if (!TakeNumber(rest, 2, &hour) || !Take(rest, ":") || !TakeNumber(rest, 2, &minute)) {
    return BadInstant(text, "after the date comes HH:MM:SS");
  }
  if (Take(rest, ":") && !TakeNumber(rest, 2, &second)) return BadInstant(text, "after the date comes HH:MM:SS");
  if (hour > 23 || minute > 59 || second > 59) return BadInstant(text, "the time of day goes to 23:59:59");
  int64_t micros = ((hour * 60 + minute) * 60 + second) * int64_t{1'000'000};
  if (Take(rest, ".")) {
    int64_t scale = 100'000;
    if (rest.empty() || rest.front() < '0' || rest.front() > '9') return BadInstant(text, "digits follow the point");
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      micros += (rest.front() - '0') * scale;
      scale /= 10;
      rest.remove_prefix(1);
    }
  }
  if (rest.empty() || rest == "Z" || rest == "z") return micros;
  const int sign = rest.front() == '-' ? 1 : -1;
  int zone_hour = 0, zone_minute = 0;
  if (!Take(rest, "+-") || !TakeNumber(rest, 2, &zone_hour)) return BadInstant(text, "the zone is Z or like +02:00");
  Take(rest, ":");
  if (!TakeNumber(rest, 2, &zone_minute) || !rest.empty() || zone_hour > 23 || zone_minute > 59) {
    return BadInstant(text, "the zone is Z or like +02:00");
  }
  return micros + sign * (zone_hour * 60 + zone_minute) * int64_t{60'000'000};
}

}  // namespace

absl::StatusOr<int64_t> ParseDuration(std::string_view text) {
  if (text.empty()) return BadDuration(text, "it is empty");
  if (text == "0") return 0;
  if (text.front() == '-') return BadDuration(text, "it is negative");
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || rest.front() == '-' || !std::isfinite(number)) {
      return BadDuration(text, "a number is missing");
    }
    rest.remove_prefix(end - rest.data());
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (rest.substr(0, candidate.name.size()) == candidate.name) {
        unit = &candidate;
        break;
      }
    }
    if (unit == nullptr)
      return BadDuration(text, rest.empty() ? "it has no unit" : "its unit is none of d h m s ms us");
    rest.remove_prefix(unit->name.size());
    total += number * static_cast<double>(unit->micros);
  }
  if (total > 9.0e18) return BadDuration(text, "it is longer than 285,000 years");
  return static_cast<int64_t>(std::llround(total));
}

std::string FormatDuration(int64_t micros) {
  if (micros == 0) return "0";
  std::string out;
  for (std::string_view name : {"d", "h", "m", "s", "ms", "us"}) {
    for (const Unit& unit : kUnits) {
      if (unit.name != name || micros < unit.micros) continue;
      out += fmt::format("{}{}", micros / unit.micros, name);
      micros %= unit.micros;
    }
  }
  return out;
}

std::string FormatDurationRough(double micros) {
  const auto figure = [](double value, const char* unit) {
    return value < 9.995   ? fmt::format("{:.2f} {}", value, unit)
           : value < 99.95 ? fmt::format("{:.1f} {}", value, unit)
                           : fmt::format("{:.0f} {}", value, unit);
  };
  if (micros < 999.5) return fmt::format("{:.0f} us", micros);
  if (micros < 999'500) return figure(micros / 1e3, "ms");
  if (micros < 59'950'000) return figure(micros / 1e6, "s");
  const int64_t seconds = std::llround(micros / 1e6);
  if (seconds < 3600) return fmt::format("{} m {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds % 86400 / 3600);
}

std::string FormatLatency(int64_t micros) {
  constexpr int64_t kFirstBoundMicros = 1000;
  return micros < kFirstBoundMicros ? "< 1 ms" : FormatDurationRough(static_cast<double>(micros));
}

absl::StatusOr<int64_t> ParseInstant(std::string_view text, int64_t now_us) {
  if (text.empty()) return BadInstant(text, "it is empty");
  if (text == "now") return now_us;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  if (text.front() == '-') {
    ENGRAM_ASSIGN_OR_RETURN(const int64_t back, ParseDuration(text.substr(1)));
    return now_us - back;
  }
  std::string_view rest = text;
  int year = 0, month = 0, day = 0;
  if (!TakeNumber(rest, 4, &year) || !Take(rest, "-") || !TakeNumber(rest, 2, &month) || !Take(rest, "-") ||
      !TakeNumber(rest, 2, &day)) {
    return BadInstant(text, "it does not begin with YYYY-MM-DD");
  }
  const auto date = std::chrono::year(year) / month / day;
  if (!date.ok()) return BadInstant(text, "the calendar has no such day");
  const int64_t midnight = std::chrono::sys_days(date).time_since_epoch().count() * kDayMicros;
  if (rest.empty()) return midnight;
  if (!Take(rest, "Tt ")) return BadInstant(text, "T comes between date and time");
  ENGRAM_ASSIGN_OR_RETURN(const int64_t of_day, ParseTimeOfDay(text, rest));
  return midnight + of_day;
}

std::string FormatInstant(int64_t micros) {
  int64_t days = micros / kDayMicros;
  int64_t rest = micros % kDayMicros;
  if (rest < 0) {
    rest += kDayMicros;
    --days;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  const int64_t seconds = rest / 1'000'000;
  const int64_t fraction = rest % 1'000'000;
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", int{date.year()}, unsigned{date.month()},
                                unsigned{date.day()}, seconds / 3600, seconds % 3600 / 60, seconds % 60);
  if (fraction % 1000 != 0) {
    out += fmt::format(".{:06}", fraction);
  } else if (fraction != 0) {
    out += fmt::format(".{:03}", fraction / 1000);
  }
  return out + "Z";
}

}  // namespace engram
