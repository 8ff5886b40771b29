#include "loadtest/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace engram {
namespace {

constexpr double kMilli = 1e6;
constexpr double kQuantiles[] = {0.5, 0.9, 0.99, 0.999};
constexpr const char* kQuantileNames[] = {"p50", "p90", "p99", "p999"};

}  // namespace

void Report::Heading(const std::string& text) { Line(fmt::format("\n{}\n{:-<{}}", text, "", text.size())); }

void Report::Line(const std::string& text) {
  if (json_) return;
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void Report::Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < row.size(); ++i) {
      line += i == 0 ? fmt::format(" {:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    Line(line);
  }
}

void Report::AddBar(Bar bar) { bars_.push_back(std::move(bar)); }

void Report::Put(const std::string& path, nlohmann::ordered_json value) {
  figures_[nlohmann::ordered_json::json_pointer("/" + path)] = std::move(value);
}

bool Report::AllPassed() const {
  return std::all_of(bars_.begin(), bars_.end(), [](const Bar& bar) { return bar.Passed(); });
}

void Report::Finish() {
  if (json_) {
    auto bars = nlohmann::ordered_json::array();
    for (const Bar& bar : bars_) {
      bars.push_back({{"name", bar.name},
                      {"value", bar.value},
                      {bar.at_least ? "at_least" : "at_most", bar.limit},
                      {"unit", bar.unit},
                      {"passed", bar.Passed()}});
    }
    figures_["bars"] = std::move(bars);
    fmt::print("{}\n", figures_.dump(2));
    return;
  }
  if (bars_.empty()) return;
  Heading("Bars");
  std::vector<std::vector<std::string>> rows;
  for (const Bar& bar : bars_) {
    rows.push_back({bar.name, fmt::format("{:.4g} {}", bar.value, bar.unit),
                    fmt::format("{} {:g} {}", bar.at_least ? ">=" : "<=", bar.limit, bar.unit),
                    bar.Passed() ? "PASS" : "MISS"});
  }
  Table(rows);
}

Spread SpreadOf(std::vector<double> values) {
  if (values.empty()) return {};
  // A figure that is missing in one round is missing.
  for (const double value : values) {
    if (std::isnan(value)) return {value, value, value};
  }
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

nlohmann::ordered_json ToJson(const Spread& spread) {
  return {{"median", spread.median}, {"least", spread.least}, {"most", spread.most}};
}

std::string Milliseconds(int64_t nanos) {
  const double ms = static_cast<double>(nanos) / kMilli;
  return fmt::format("{:.{}f}", ms, ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

std::string Grouped(double value) {
  std::string digits = fmt::format("{}", static_cast<int64_t>(std::llround(value)));
  for (int at = static_cast<int>(digits.size()) - 3; at > (digits[0] == '-' ? 1 : 0); at -= 3) {
    digits.insert(static_cast<size_t>(at), 1, ' ');
  }
  return digits;
}

std::vector<std::string> PercentileCells(const Histogram& histogram) {
  std::vector<std::string> cells;
  for (const double quantile : kQuantiles) cells.push_back(Milliseconds(histogram.Percentile(quantile)));
  cells.push_back(Milliseconds(histogram.max()));
  return cells;
}

nlohmann::ordered_json PercentilesToJson(const Histogram& histogram) {
  nlohmann::ordered_json json = {{"count", histogram.count()}};
  for (size_t i = 0; i < std::size(kQuantiles); ++i) {
    json[fmt::format("{}_ms", kQuantileNames[i])] = static_cast<double>(histogram.Percentile(kQuantiles[i])) / kMilli;
  }
  json["max_ms"] = static_cast<double>(histogram.max()) / kMilli;
  return json;
}

}  // namespace engram
