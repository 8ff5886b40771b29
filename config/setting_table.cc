#include "config/setting_table.h"

#include <absl/status/statusor.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "config/address.h"
#include "config/fault.h"
#include "config/parse_value.h"
#include "config/suggest.h"
#include "core/base/status.h"

namespace engram {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

absl::Status Refused(std::string_view problem, std::string_view allowed) {
  return absl::InvalidArgumentError(fmt::format("{}; allowed: {}", problem, allowed));
}

// What `parse` makes of the text when it lies from `least` to `most`; else what is wrong, then what is allowed.
template <typename Value, typename Number, typename Parse>
absl::StatusOr<Value> InRange(std::string_view text, Number least, Number most, std::string_view allowed, Parse parse) {
  const auto parsed = parse(text);
  if (!parsed.ok()) return Refused(MessageOf(parsed.status()), allowed);
  if (*parsed < least || *parsed > most) {
    return Refused(fmt::format("{} is {} the limit", Quoted(text), *parsed < least ? "below" : "above"), allowed);
  }
  return Value(*parsed);
}

// One struct for each type of settings.def: how its text is checked, read and written.

struct CountType {
  static constexpr std::string_view kUnit = "whole number";
  static std::string Range(uint64_t least, uint64_t most) { return fmt::format("{} to {}", least, most); }
  static absl::StatusOr<uint64_t> Parse(std::string_view text, uint64_t least, uint64_t most) {
    return InRange<uint64_t>(text, least, most, fmt::format("a whole number from {} to {}", least, most), ParseCount);
  }
  static std::string Format(uint64_t value) { return fmt::format("{}", value); }
};

struct RatioType {
  static constexpr std::string_view kUnit = "ratio";
  static std::string Range(double least, double most) {
    return fmt::format("{} to {}", FormatRatio(least), FormatRatio(most));
  }
  static absl::StatusOr<double> Parse(std::string_view text, double least, double most) {
    return InRange<double>(text, least, most, fmt::format("a number from {}", Range(least, most)), ParseRatio);
  }
  static std::string Format(double value) { return FormatRatio(value); }
};

struct BytesType {
  static constexpr std::string_view kUnit = "size";
  static std::string Range(uint64_t least, uint64_t most) {
    return fmt::format("{} to {}", FormatBytes(least), FormatBytes(most));
  }
  static absl::StatusOr<uint64_t> Parse(std::string_view text, uint64_t least, uint64_t most) {
    return InRange<uint64_t>(
        text, least, most, fmt::format("{}, in bytes or with B, KiB, MiB, GiB or TiB", Range(least, most)), ParseBytes);
  }
  static std::string Format(uint64_t value) { return FormatBytes(value); }
};

struct MicrosType {
  static constexpr std::string_view kUnit = "duration";
  static std::string Range(int64_t least, int64_t most) {
    return fmt::format("{} to {}", FormatDuration(microseconds(least)), FormatDuration(microseconds(most)));
  }
  static absl::StatusOr<microseconds> Parse(std::string_view text, int64_t least, int64_t most) {
    return InRange<microseconds>(text, microseconds(least), microseconds(most),
                                 fmt::format("{}, with a unit: us, ms, s or m", Range(least, most)),
                                 [](std::string_view t) { return ParseDuration(t, BareNumber::kRefused); });
  }
  static std::string Format(microseconds value) { return FormatDuration(value); }
};

struct MillisType {
  static constexpr std::string_view kUnit = "milliseconds";
  static std::string Range(int64_t least, int64_t most) { return fmt::format("{} to {}", least, most); }
  static absl::StatusOr<milliseconds> Parse(std::string_view text, int64_t least, int64_t most) {
    const std::string allowed =
        fmt::format("{} in whole milliseconds, or with a unit: us, ms, s or m", Range(least, most));
    const absl::StatusOr<microseconds> micros =
        InRange<microseconds>(text, microseconds(milliseconds(least)), microseconds(milliseconds(most)), allowed,
                              [](std::string_view t) { return ParseDuration(t, BareNumber::kMillis); });
    if (!micros.ok()) return micros.status();
    if (micros->count() % 1000 != 0)
      return Refused(fmt::format("{} is finer than a millisecond", Quoted(text)), allowed);
    return std::chrono::duration_cast<milliseconds>(*micros);
  }
  static std::string Format(milliseconds value) { return fmt::format("{}", value.count()); }
};

struct FlagType {
  static constexpr std::string_view kUnit = "flag";
  static std::string Range(int, int) { return "true or false"; }
  static absl::StatusOr<bool> Parse(std::string_view text, int, int) {
    const absl::StatusOr<bool> parsed = ParseFlag(text);
    if (!parsed.ok()) return Refused(MessageOf(parsed.status()), "true or false");
    return parsed;
  }
  static std::string Format(bool value) { return value ? "true" : "false"; }
};

struct TextType {
  [[maybe_unused]] static constexpr std::string_view kUnit = "text";
  static std::string Range(size_t least, size_t most) { return fmt::format("{} to {} bytes", least, most); }
  static absl::StatusOr<std::string> Parse(std::string_view text, size_t least, size_t most) {
    const std::string allowed = fmt::format("{} to {} bytes of text without control characters", least, most);
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (!IsUtf8(text) || std::any_of(text.begin(), text.end(), control)) {
      return Refused(fmt::format("{} has bytes that are not text", Quoted(text)), allowed);
    }
    if (text.size() < least || text.size() > most) {
      return Refused(text.empty() ? "is empty" : fmt::format("has {} bytes", text.size()), allowed);
    }
    return std::string(text);
  }
  static std::string Format(const std::string& value) { return value; }
};

struct ChoiceType {
  static constexpr std::string_view kUnit = "word";
  static std::vector<std::string_view> Words(std::string_view words) {
    std::vector<std::string_view> out;
    while (true) {
      const size_t bar = words.find('|');
      out.push_back(words.substr(0, bar));
      if (bar == std::string_view::npos) return out;
      words.remove_prefix(bar + 1);
    }
  }
  static std::string Range(int, std::string_view words) { return OneOf(Words(words)); }
  static absl::StatusOr<std::string> Parse(std::string_view text, int, std::string_view words) {
    const std::vector<std::string_view> choices = Words(words);
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return std::string(text);
    return Refused(text.empty() ? "is empty" : fmt::format("{} is none of the choices", Quoted(text)),
                   OneOf(choices) + DidYouMean(text, choices));
  }
  static std::string Format(const std::string& value) { return value; }
};

struct AddressType {
  static constexpr std::string_view kUnit = "address";
  static std::string Range(size_t least, size_t) { return least == 0 ? "HOST:PORT or empty" : "HOST:PORT"; }
  static absl::StatusOr<std::string> Parse(std::string_view text, size_t least, size_t most) {
    constexpr std::string_view kAllowed = "IPV4:PORT, [IPV6]:PORT or HOST:PORT";
    if (text.empty() && least == 0) return std::string();
    if (text.size() > most) return Refused(fmt::format("has {} bytes, more than {}", text.size(), most), kAllowed);
    if (const absl::Status status = CheckAddress(text); !status.ok()) return Refused(MessageOf(status), kAllowed);
    return std::string(text);
  }
  static std::string Format(const std::string& value) { return value; }
};

struct AddressesType {
  static constexpr std::string_view kUnit = "addresses";
  static std::string Range(size_t, size_t) { return "HOST:PORT or unix:PATH, several with commas"; }
  static absl::StatusOr<std::string> Parse(std::string_view text, size_t, size_t most) {
    constexpr std::string_view kAllowed = "IPV4:PORT, [IPV6]:PORT, HOST:PORT or unix:PATH, several separated by commas";
    if (text.size() > most) return Refused(fmt::format("has {} bytes, more than {}", text.size(), most), kAllowed);
    if (const absl::Status status = CheckAddresses(text); !status.ok()) return Refused(MessageOf(status), kAllowed);
    return std::string(text);
  }
  static std::string Format(const std::string& value) { return value; }
};

std::vector<SettingRow> MakeTable() {
  std::vector<SettingRow> table = {
#define SETTING(member, path, type, value, least, most, apply, help)                                      \
  SettingRow{path,                                                                                        \
             SettingType::k##type,                                                                        \
             SettingApply::apply,                                                                         \
             help,                                                                                        \
             type##Type::kUnit,                                                                           \
             type##Type::Range(least, most),                                                              \
             std::string(),                                                                               \
             EnvironmentName(path),                                                                       \
             [](std::string_view text, Settings& settings) -> absl::Status {                              \
               ENGRAM_ASSIGN_OR_RETURN(settings.member, type##Type::Parse(text, least, most));            \
               return absl::OkStatus();                                                                   \
             },                                                                                           \
             [](const Settings& settings) -> std::string { return type##Type::Format(settings.member); }, \
             [](const Settings& from, Settings& to) { to.member = from.member; }},
#include "config/settings.def"
#undef SETTING
  };
  const Settings defaults;
  for (SettingRow& row : table) row.default_text = row.format(defaults);
  return table;
}

}  // namespace

std::span<const SettingRow> SettingTable() {
  // Never destroyed: read until the last thread ends.
  static const std::vector<SettingRow>& table = *new std::vector<SettingRow>(MakeTable());
  return table;
}

const SettingRow* FindSetting(std::string_view path) {
  for (const SettingRow& row : SettingTable()) {
    if (row.path == path) return &row;
  }
  return nullptr;
}

bool IsSettingGroup(std::string_view path) {
  const auto inside = [&](const SettingRow& row) {
    return row.path.size() > path.size() && row.path.starts_with(path) && row.path[path.size()] == '.';
  };
  return std::any_of(SettingTable().begin(), SettingTable().end(), inside);
}

std::string EnvironmentName(std::string_view path) {
  std::string name = "ENGRAM_";
  for (const char c : path) {
    name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

}  // namespace engram
