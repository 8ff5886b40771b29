#include "loadtest/measure/metric_page.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>

namespace engram {
namespace {

std::string_view NameOf(std::string_view series) { return series.substr(0, series.find('{')); }

// The text behind `key="` up to the next quote; nullopt when there is no such label.
std::optional<std::string_view> LabelOf(std::string_view series, std::string_view key) {
  for (size_t at = series.find(key); at != std::string_view::npos; at = series.find(key, at + 1)) {
    const bool begins = at > 0 && (series[at - 1] == '{' || series[at - 1] == ',');
    const size_t value = at + key.size() + 2;
    if (!begins || series.substr(at + key.size(), 2) != "=\"") continue;
    return series.substr(value, series.find('"', value) - value);
  }
  return std::nullopt;
}

}  // namespace

MetricPage::MetricPage(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    // A label's value may hold blanks, so the number is looked for behind the last brace.
    const size_t labels = line.rfind('}');
    const size_t space = line.find(' ', labels == std::string_view::npos ? 0 : labels);
    if (space == std::string_view::npos) continue;
    series_[std::string(line.substr(0, space))] += std::strtod(std::string(line.substr(space + 1)).c_str(), nullptr);
  }
}

MetricPage MetricPage::Since(const MetricPage& before) const {
  MetricPage moved = *this;
  for (auto& [series, value] : moved.series_) {
    const auto was = before.series_.find(series);
    if (was != before.series_.end()) value -= was->second;
  }
  return moved;
}

void MetricPage::Add(const MetricPage& other) {
  for (const auto& [series, value] : other.series_) series_[series] += value;
}

MetricPage MetricPage::Only(std::string_view name, std::string_view label) const {
  MetricPage only;
  for (auto at = series_.lower_bound(name); at != series_.end() && at->first.compare(0, name.size(), name) == 0; ++at) {
    if (at->first.find(label) != std::string::npos) only.series_.insert(*at);
  }
  return only;
}

std::optional<double> MetricPage::Sum(std::string_view name, std::string_view label) const {
  std::optional<double> sum;
  for (auto at = series_.lower_bound(name); at != series_.end() && at->first.compare(0, name.size(), name) == 0; ++at) {
    if (NameOf(at->first) != name || at->first.find(label) == std::string::npos) continue;
    sum = sum.value_or(0) + at->second;
  }
  return sum;
}

std::optional<double> MetricPage::Quantile(std::string_view name, double quantile, std::string_view label) const {
  const std::string bucket = std::string(name) + "_bucket";
  std::map<double, double> through;  // Counted up to and with each bound.
  for (auto at = series_.lower_bound(bucket); at != series_.end() && NameOf(at->first) == bucket; ++at) {
    const std::optional<std::string_view> bound = LabelOf(at->first, "le");
    if (!bound || at->first.find(label) == std::string::npos) continue;
    const double upper = *bound == "+Inf" ? std::numeric_limits<double>::infinity()
                                          : std::strtod(std::string(*bound).c_str(), nullptr);
    through[upper] += at->second;
  }
  if (through.empty() || through.rbegin()->second <= 0) return std::nullopt;
  const double rank = quantile * through.rbegin()->second;
  double lower = 0, below = 0;
  for (const auto& [upper, count] : through) {
    if (count >= rank && count > below) {
      if (upper == std::numeric_limits<double>::infinity()) return lower;
      return lower + (upper - lower) * (rank - below) / (count - below);
    }
    lower = upper;
    below = count;
  }
  return lower;
}

std::vector<std::string> MetricPage::LabelValues(std::string_view name, std::string_view key) const {
  std::set<std::string> values;
  for (auto at = series_.lower_bound(name); at != series_.end() && at->first.compare(0, name.size(), name) == 0; ++at) {
    const std::optional<std::string_view> value = LabelOf(at->first, key);
    if (value) values.emplace(*value);
  }
  return {values.begin(), values.end()};
}

}  // namespace engram
