// What a run found, as text for people and as JSON for programs.
//
// Threads: one. Why: every figure with a bar goes through here, so that none is printed without saying whether it
//          passed.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loadtest/histogram.h"

namespace engram {

// A target and what was measured against it.
struct Bar {
  std::string name;
  double value = 0;
  // The value passes when it is not above this; with `at_least`, not below. NaN, a figure that could not be had, misses.
  double limit = 0;
  bool at_least = false;
  std::string unit;

  bool Passed() const { return at_least ? value >= limit : value <= limit; }
};

class Report {
 public:
  // Text goes to standard output at once, or, with `json`, nowhere.
  explicit Report(bool json) : json_(json) {}

  void Heading(const std::string& text);
  void Line(const std::string& text);
  // Columns as wide as their widest cell; the first to the left, the others to the right.
  void Table(const std::vector<std::vector<std::string>>& rows);
  void AddBar(Bar bar);
  // A figure under a path such as "ingest/128d" (a step of digits alone would be an array's index).
  void Put(const std::string& path, nlohmann::ordered_json value);

  // The bars as a table, or the whole as one JSON object on standard output.
  void Finish();
  bool AllPassed() const;

 private:
  const bool json_;
  nlohmann::ordered_json figures_ = nlohmann::ordered_json::object();
  std::vector<Bar> bars_;
};

struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;
};
// NaN when a value is NaN.
Spread SpreadOf(std::vector<double> values);
nlohmann::ordered_json ToJson(const Spread& spread);

// Nanoseconds as milliseconds with three digits that count.
std::string Milliseconds(int64_t nanos);
// 1234567 -> "1 234 567".
std::string Grouped(double value);
// p50, p90, p99, p99.9, max of nanoseconds; milliseconds in JSON.
std::vector<std::string> PercentileCells(const Histogram& histogram);
nlohmann::ordered_json PercentilesToJson(const Histogram& histogram);

}  // namespace engram
