#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "loadtest/runbook.h"

namespace engram {
namespace {

constexpr uint64_t kMostPoints = 4'000'000'000;

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<uint64_t> NumberAt(const YAML::Node& map, const std::string& key, const std::string& where,
                                  uint64_t limit) {
  const YAML::Node node = map[key];
  if (!node) return Bad(fmt::format("{}: {} is missing", where, key));
  uint64_t number = 0;
  // A minus would be taken for a huge number.
  if (!node.IsScalar() || node.Scalar().starts_with("-") || !YAML::convert<uint64_t>::decode(node, number) ||
      number > limit) {
    return Bad(fmt::format("{}: {} is {}; allowed: 0 to {}", where, key, node.IsScalar() ? node.Scalar() : "no number",
                           limit));
  }
  return number;
}

struct Range {
  uint64_t start, end;
};

absl::StatusOr<Range> RangeAt(const YAML::Node& map, const std::string& prefix, const std::string& where,
                              uint64_t limit) {
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t start, NumberAt(map, prefix + "start", where, limit));
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t end, NumberAt(map, prefix + "end", where, limit));
  if (start >= end) return Bad(fmt::format("{}: nothing lies between {} and {}", where, start, end));
  return Range{start, end};
}

absl::StatusOr<RunbookStep> StepFrom(const YAML::Node& node, const std::string& where, uint64_t max_points) {
  if (!node.IsMap() || !node["operation"] || !node["operation"].IsScalar()) {
    return Bad(fmt::format("{}: no operation", where));
  }
  using Kind = RunbookStep::Kind;
  const std::string operation = node["operation"].Scalar();
  if (operation == "search") return RunbookStep{};
  if (operation == "insert" || operation == "delete") {
    ENGRAM_ASSIGN_OR_RETURN(const Range range, RangeAt(node, "", where, max_points));
    return RunbookStep{operation == "insert" ? Kind::kInsert : Kind::kDelete, range.start, range.end, range.start};
  }
  if (operation != "replace") {
    return Bad(fmt::format("{}: operation {}; allowed: insert, delete, replace, search", where, operation));
  }
  ENGRAM_ASSIGN_OR_RETURN(const Range tags, RangeAt(node, "tags_", where, max_points));
  ENGRAM_ASSIGN_OR_RETURN(const Range rows, RangeAt(node, "ids_", where, max_points));
  if (tags.end - tags.start != rows.end - rows.start) {
    return Bad(fmt::format("{}: {} tags are replaced by {} rows", where, tags.end - tags.start, rows.end - rows.start));
  }
  return RunbookStep{Kind::kReplace, tags.start, tags.end, rows.start};
}

absl::StatusOr<Runbook> FromTree(const YAML::Node& root, const std::string& dataset) {
  if (!root.IsMap() || root.size() == 0) return Bad("not a runbook: no dataset");
  if (dataset.empty() && root.size() > 1) {
    return Bad(fmt::format("{} datasets; one of them must be named", root.size()));
  }
  Runbook runbook;
  runbook.dataset = dataset.empty() ? root.begin()->first.Scalar() : dataset;
  const YAML::Node book = root[runbook.dataset];
  if (!book) return absl::NotFoundError(fmt::format("no dataset {}", runbook.dataset));
  if (!book.IsMap()) return Bad(fmt::format("dataset {}: no steps", runbook.dataset));
  ENGRAM_ASSIGN_OR_RETURN(runbook.max_points, NumberAt(book, "max_pts", "dataset " + runbook.dataset, kMostPoints));

  for (size_t number = 1; const YAML::Node node = book[std::to_string(number)]; ++number) {
    ENGRAM_ASSIGN_OR_RETURN(const RunbookStep step, StepFrom(node, fmt::format("step {}", number), runbook.max_points));
    runbook.steps.push_back(step);
  }
  // A gap in the numbers would silently cut the book short.
  size_t numbered = 0;
  for (const auto& entry : book) {
    uint64_t number = 0;
    if (YAML::convert<uint64_t>::decode(entry.first, number)) ++numbered;
  }
  if (runbook.steps.empty() || numbered != runbook.steps.size()) {
    return Bad(fmt::format("dataset {}: {} steps, of which {} follow one another from 1", runbook.dataset, numbered,
                           runbook.steps.size()));
  }
  return runbook;
}

}  // namespace

std::string_view NameOf(RunbookStep::Kind kind) {
  switch (kind) {
    case RunbookStep::Kind::kInsert:
      return "insert";
    case RunbookStep::Kind::kDelete:
      return "delete";
    case RunbookStep::Kind::kReplace:
      return "replace";
    case RunbookStep::Kind::kSearch:
      return "search";
  }
  return "";
}

absl::StatusOr<Runbook> ParseRunbook(const std::string& text, const std::string& dataset) {
  try {
    return FromTree(YAML::Load(text), dataset);
  } catch (const YAML::Exception& error) {
    return Bad(fmt::format("not YAML: {}", error.what()));
  }
}

absl::StatusOr<Runbook> ReadRunbook(const std::filesystem::path& file, const std::string& dataset) {
  std::ifstream in(file);
  if (!in) return absl::NotFoundError(fmt::format("cannot read {}", file.string()));
  std::ostringstream text;
  text << in.rdbuf();
  absl::StatusOr<Runbook> runbook = ParseRunbook(text.str(), dataset);
  if (!runbook.ok()) {
    return absl::Status(runbook.status().code(), fmt::format("{}: {}", file.string(), std::string(runbook.status().message())));
  }
  return runbook;
}

}  // namespace engram
