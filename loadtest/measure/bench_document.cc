#include "loadtest/measure/bench_document.h"

#include <fmt/format.h>

#include <cmath>

namespace engram {

absl::StatusOr<BenchDocument> BenchDocument::Parse(const std::string& text, const std::string& name) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object() || !json.contains("throughput")) {
    return absl::InvalidArgumentError(fmt::format("{} is no report of a benchmark", name));
  }
  if (const Json format = json.value("format", Json()); format != kBenchFormat) {
    return absl::InvalidArgumentError(
        fmt::format("{} is a report of format {}, and this program reads format {}: measure again with it, or read the "
                    "report with the program that wrote it",
                    name, format.dump(), kBenchFormat));
  }
  return BenchDocument(std::move(json));
}

void BenchDocument::Put(std::string_view path, Json value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) return;
  Json* at = &json_;
  while (true) {
    const size_t dot = path.find('.');
    at = &(*at)[std::string(path.substr(0, dot))];
    if (dot == std::string_view::npos) break;
    path.remove_prefix(dot + 1);
  }
  *at = std::move(value);
}

const Json* BenchDocument::Find(std::string_view path) const {
  const Json* at = &json_;
  while (true) {
    const size_t dot = path.find('.');
    if (!at->is_object()) return nullptr;
    const auto found = at->find(std::string(path.substr(0, dot)));
    if (found == at->end()) return nullptr;
    at = &*found;
    if (dot == std::string_view::npos) return at;
    path.remove_prefix(dot + 1);
  }
}

std::optional<double> BenchDocument::Number(std::string_view path) const {
  const Json* found = Find(path);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::string BenchDocument::Text(std::string_view path) const {
  const Json* found = Find(path);
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

void BenchDocument::PutRounds(const std::string& path, const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) {
    if (std::isfinite(value)) list.push_back(value);
  }
  json_["rounds"][path] = std::move(list);
}

std::vector<double> BenchDocument::Rounds(const std::string& path) const {
  std::vector<double> values;
  const Json* rounds = Find("rounds");
  if (rounds == nullptr || !rounds->is_object()) return values;
  const auto found = rounds->find(path);
  if (found == rounds->end() || !found->is_array()) return values;
  for (const Json& value : *found) {
    if (value.is_number()) values.push_back(value.get<double>());
  }
  return values;
}

}  // namespace engram
