#include "config/print.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "config/fault.h"
#include "config/parse_value.h"
#include "config/setting_table.h"

namespace engram {
namespace {

std::vector<std::string_view> Parts(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t dot = path.find('.');
    parts.push_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

// How many groups from the root two paths share.
size_t SharedGroups(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  size_t shared = 0;
  while (shared + 1 < a.size() && shared + 1 < b.size() && a[shared] == b[shared]) ++shared;
  return shared;
}

bool IsWords(SettingType type) {
  return type == SettingType::kText || type == SettingType::kAddress || type == SettingType::kAddresses;
}

// Double quotes with escapes that mean the same in JSON and in YAML. Text settings hold no control characters; a file
// name in an origin may.
std::string InQuotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string YamlValue(const SettingRow& row, const Settings& settings) {
  const std::string text = row.format(settings);
  return IsWords(row.type) ? InQuotes(text) : text;
}

std::string JsonValue(const SettingRow& row, const Settings& settings) {
  const std::string text = row.format(settings);
  switch (row.type) {
    case SettingType::kCount:
    case SettingType::kRatio:
    case SettingType::kMillis:
    case SettingType::kFlag:
      return text;
    case SettingType::kBytes:
      return fmt::format("{}", ParseBytes(text).value_or(0));
    default:
      return InQuotes(text);
  }
}

struct YamlLine {
  std::string text;
  std::string origin;
};

std::string OriginOf(const std::map<std::string, std::string>& origins, std::string_view path) {
  const auto found = origins.find(std::string(path));
  return found == origins.end() ? std::string() : Printable(found->second);
}

}  // namespace

std::string RenderYaml(const Settings& settings, const std::map<std::string, std::string>& origins) {
  std::vector<YamlLine> lines{{"profile: " + settings.profile, OriginOf(origins, "profile")}};
  std::vector<std::string_view> before;
  for (const SettingRow& row : SettingTable()) {
    const std::vector<std::string_view> parts = Parts(row.path);
    size_t depth = SharedGroups(before, parts);
    for (; depth + 1 < parts.size(); ++depth)
      lines.push_back({fmt::format("{:{}}{}:", "", 2 * depth, parts[depth]), ""});
    lines.push_back({fmt::format("{:{}}{}: {}", "", 2 * depth, parts.back(), YamlValue(row, settings)),
                     OriginOf(origins, row.path)});
    before = parts;
  }
  size_t width = 0;
  for (const YamlLine& line : lines) width = std::max(width, line.text.size());
  std::string out;
  for (const YamlLine& line : lines) {
    out += line.origin.empty() ? line.text + "\n" : fmt::format("{:<{}}  # {}\n", line.text, width, line.origin);
  }
  return out;
}

std::string RenderJson(const Settings& settings, const std::map<std::string, std::string>& origins) {
  std::string out = fmt::format("{{\n  \"profile\": {},\n  \"settings\": {{", InQuotes(settings.profile));
  std::vector<std::string_view> before;
  bool first_in_map = true;
  const auto begin_entry = [&](size_t depth, std::string_view key) {
    out += fmt::format("{}\n{:{}}{}: ", first_in_map ? "" : ",", "", 2 * depth + 4, InQuotes(key));
    first_in_map = false;
  };
  const auto close_down_to = [&](size_t from, size_t depth) {
    for (; from > depth; --from) out += fmt::format("\n{:{}}}}", "", 2 * from + 2);
    first_in_map = false;
  };
  for (const SettingRow& row : SettingTable()) {
    const std::vector<std::string_view> parts = Parts(row.path);
    size_t depth = SharedGroups(before, parts);
    if (!before.empty()) close_down_to(before.size() - 1, depth);
    for (; depth + 1 < parts.size(); ++depth) {
      begin_entry(depth, parts[depth]);
      out += "{";
      first_in_map = true;
    }
    begin_entry(depth, parts.back());
    out += JsonValue(row, settings);
    before = parts;
  }
  close_down_to(before.size(), 0);
  out += ",\n  \"origins\": {";
  first_in_map = true;
  for (const auto& [path, origin] : origins) {
    begin_entry(0, path);
    out += InQuotes(Printable(origin));
  }
  return out + "\n  }\n}\n";
}

}  // namespace engram
