#include "config/file_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <system_error>
#include <utility>

#include "config/profiles.h"
#include "config/suggest.h"
#include "config/yaml_reader.h"

namespace engram {
namespace {

constexpr std::string_view kProfileKey = "profile";

std::string Joined(std::string_view prefix, std::string_view key) {
  return prefix.empty() ? std::string(key) : fmt::format("{}.{}", prefix, key);
}

// Every path and group that a key could have been meant to be.
std::vector<std::string_view> KnownKeys() {
  std::vector<std::string_view> known{kProfileKey};
  for (const SettingRow& row : SettingTable()) {
    known.push_back(row.path);
    for (size_t dot = row.path.find('.'); dot != std::string_view::npos; dot = row.path.find('.', dot + 1)) {
      const std::string_view group = row.path.substr(0, dot);
      if (std::find(known.begin(), known.end(), group) == known.end()) known.push_back(group);
    }
  }
  return known;
}

// The settings below a group, for the fault that says what belongs there.
std::string SettingsBelow(std::string_view group) {
  std::string out;
  for (const SettingRow& row : SettingTable()) {
    if (!row.path.starts_with(group) || row.path.size() <= group.size() || row.path[group.size()] != '.') continue;
    out += (out.empty() ? "" : ", ") + std::string(row.path.substr(group.size() + 1));
  }
  return out;
}

class SettingsReader {
 public:
  SettingsReader(std::string_view name, FileSource& out) : name_(Printable(name)), out_(out) {}

  void ReadRoot(const YamlNode& root) {
    switch (root.kind) {
      case YamlNode::Kind::kEmpty:
      case YamlNode::Kind::kNull:
        return;
      case YamlNode::Kind::kMap:
        RefuseTag(root, "");
        return ReadMap(root, "");
      default:
        return Report(root, "", "the file does not hold settings; allowed: lines like `num_workers: 4`");
    }
  }

  void Report(const YamlNode& at, std::string_view key, std::string message) {
    Report(at.line, at.column, key, std::move(message));
  }
  void Report(int line, int column, std::string_view key, std::string message) {
    found_.push_back({{line, column}, {Where(line, column), Printable(key), std::move(message)}});
  }

  // Hands the faults over, by their lines.
  void Finish() {
    const auto earlier = [](const Found& a, const Found& b) { return a.place < b.place; };
    std::stable_sort(found_.begin(), found_.end(), earlier);
    for (Found& found : found_) {
      if (out_.faults.size() == kMaxFaultsOfFile) {
        out_.faults.push_back({name_, "", fmt::format("{} more faults", found_.size() - kMaxFaultsOfFile)});
        break;
      }
      out_.faults.push_back(std::move(found.fault));
    }
  }

 private:
  // Line and column.
  using Place = std::pair<int, int>;
  struct Found {
    Place place;
    Fault fault;
  };

  std::string Where(int line, int column) const { return fmt::format("{}:{}:{}", name_, line, column); }

  void ReadMap(const YamlNode& map, const std::string& prefix) {
    std::map<std::string_view, Place> keys;
    for (const auto& [key, value] : map.entries) {
      if (key.kind != YamlNode::Kind::kScalar) {
        Report(key, prefix, "a key that is not a word; allowed: the name of a setting");
        continue;
      }
      if (key.text == "<<" && !key.quoted) {
        Report(key, Joined(prefix, key.text), "merge keys are not supported; write the settings out");
        continue;
      }
      const auto [first, inserted] = keys.try_emplace(key.text, Place{key.line, key.column});
      const std::string path = Joined(prefix, key.text);
      if (!inserted) ReportTwice(key, path, first->second);
      ReadEntry(key, value, path, inserted);
    }
  }

  void ReadEntry(const YamlNode& key, const YamlNode& value, const std::string& path, bool first_in_map) {
    if (path == kProfileKey) return ReadProfile(key, value, first_in_map);
    if (const SettingRow* row = FindSetting(path)) {
      const auto [first, inserted] = given_.try_emplace(row->path, Place{key.line, key.column});
      // Within one map ReportTwice has been called already.
      if (!inserted && first_in_map) ReportTwice(key, path, first->second);
      return ReadSetting(*row, key, value, inserted);
    }
    if (IsSettingGroup(path)) return ReadGroup(key, value, path);
    Report(key, path, "no such setting" + Suggestion(path));
  }

  std::string Suggestion(const std::string& path) const {
    if (found_.size() > kMaxFaultsOfFile) return {};
    const size_t dot = path.rfind('.');
    const std::string group = path.substr(0, dot == std::string::npos ? 0 : dot);
    const std::string_view meant = Closest(path, known_);
    if (!meant.empty() && meant != group) return fmt::format("; did you mean {}?", meant);
    if (!IsSettingGroup(group)) return "; engramd --print-config names them all";
    return fmt::format("; allowed below {}: {}", group, SettingsBelow(group));
  }

  void ReadProfile(const YamlNode& key, const YamlNode& value, bool first) {
    const std::optional<std::string> text = Scalar(key, value, kProfileKey, "the name of a profile");
    if (!text) return;
    if (FindProfile(*text) == nullptr) return Report(value, kProfileKey, UnknownProfile(*text));
    if (!first) return;
    out_.profile = *text;
    out_.profile_where = Where(value.line, value.column);
  }

  void ReadSetting(const SettingRow& row, const YamlNode& key, const YamlNode& value, bool first) {
    const std::optional<std::string> text = Scalar(key, value, row.path, row.range_text);
    if (!text) {
      out_.refused.push_back(row.path);
      return;
    }
    if (const absl::Status status = row.parse(*text, scratch_); !status.ok()) {
      Report(value, row.path, std::string(MessageOf(status)));
      out_.refused.push_back(row.path);
      return;
    }
    if (first) out_.assignments.push_back({&row, *text, Where(value.line, value.column)});
  }

  void ReadGroup(const YamlNode& key, const YamlNode& value, const std::string& path) {
    // A group whose settings are all commented out is no fault.
    if (value.kind == YamlNode::Kind::kNull) return;
    RefuseTag(value, path);
    if (value.kind == YamlNode::Kind::kMap) return ReadMap(value, path);
    if (value.kind == YamlNode::Kind::kAlias) return ReportAlias(value, path);
    Report(value.kind == YamlNode::Kind::kSequence ? key : value, path,
           fmt::format("is a group of settings, not one; allowed below it: {}", SettingsBelow(path)));
  }

  // The text of a value that has to be a scalar; a fault and nothing otherwise.
  std::optional<std::string> Scalar(const YamlNode& key, const YamlNode& value, std::string_view path,
                                    std::string_view allowed) {
    switch (value.kind) {
      case YamlNode::Kind::kScalar:
        RefuseTag(value, path);
        return value.text;
      case YamlNode::Kind::kAlias:
        ReportAlias(value, path);
        return std::nullopt;
      case YamlNode::Kind::kSequence:
        Report(
            value, path,
            fmt::format("a list where one value belongs; allowed: {}; text that starts with [ needs quotes", allowed));
        return std::nullopt;
      case YamlNode::Kind::kMap:
        Report(value, path, fmt::format("a map where one value belongs; allowed: {}", allowed));
        return std::nullopt;
      default:
        // yaml-cpp places a value that is not there at whatever comes next.
        Report(key, path, fmt::format("has no value; allowed: {}", allowed));
        return std::nullopt;
    }
  }

  void RefuseTag(const YamlNode& node, std::string_view path) {
    if (node.tag.empty()) return;
    Report(node, path,
           fmt::format("has the tag {}; tags are not supported, the setting knows its type", Quoted(node.tag)));
  }

  void ReportAlias(const YamlNode& node, std::string_view path) {
    Report(node, path, "aliases are not supported; write the value out");
  }

  void ReportTwice(const YamlNode& key, std::string_view path, Place first) {
    Report(key, path, fmt::format("given twice; the first is on line {}", first.first));
  }

  const std::string name_;
  FileSource& out_;
  std::vector<Found> found_;
  const std::vector<std::string_view> known_ = KnownKeys();
  // Settings seen so far, in either form.
  std::map<std::string_view, Place> given_;
  Settings scratch_;
};

}  // namespace

FileSource ReadSettings(std::string_view name, std::string_view text) {
  FileSource out;
  SettingsReader reader(name, out);
  if (text.size() > kMaxConfigFileBytes) {
    out.faults.push_back({Printable(name), "", fmt::format("is larger than {} bytes", kMaxConfigFileBytes)});
    out.incomplete = true;
    return out;
  }
  if (size_t bad = 0; !IsUtf8(text, &bad)) {
    const std::string_view before = text.substr(0, bad);
    const size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    const auto line = static_cast<int>(std::count(before.begin(), before.end(), '\n') + 1);
    reader.Report(line, static_cast<int>(bad - line_start + 1), "",
                  fmt::format("byte 0x{:02x} is not text; allowed: UTF-8", static_cast<unsigned char>(text[bad])));
    reader.Finish();
    out.incomplete = true;
    return out;
  }
  const ParsedYaml parsed = ParseYaml(text);
  reader.ReadRoot(parsed.root);
  for (const YamlError& error : parsed.errors) reader.Report(error.line, error.column, "", error.message);
  reader.Finish();
  out.incomplete = !parsed.errors.empty();
  return out;
}

std::string ReadConfigFile(const std::string& path, std::vector<Fault>& faults) {
  const auto fail = [&](int error) {
    faults.push_back({path.empty() ? "--config" : Printable(path), "",
                      fmt::format("cannot be read: {}", std::generic_category().message(error))});
    return std::string();
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return fail(errno);
  std::string text;
  std::array<char, 16384> buffer;
  // One byte over the limit is enough for ReadSettings to refuse it, whatever endless thing the path names.
  while (text.size() <= kMaxConfigFileBytes) {
    const ssize_t got = ::read(file, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      ::close(file);
      return fail(error);
    }
    if (got == 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  ::close(file);
  return text;
}

}  // namespace engram
