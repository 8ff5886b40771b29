// What a benchmark found: one JSON document, and figures in it by their path.
//
// Threads: one at a time. Ownership: values. Errors: INVALID_ARGUMENT from Parse, naming the file.
// Why:     stored, compared, printed and drawn are the same thing; keys are a promise, docs/benchmarking.md lists them.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {

using Json = nlohmann::ordered_json;

// Counts up when a key goes, or one that is compared comes to mean something else.
inline constexpr int kBenchFormat = 2;

class BenchDocument {
 public:
  BenchDocument() : json_(Json::object()) {}
  explicit BenchDocument(Json json) : json_(std::move(json)) {}
  // `name` is what the text is called in an error. Another format is refused: its keys mean something else.
  static absl::StatusOr<BenchDocument> Parse(const std::string& text, const std::string& name);

  // "latency.recall.p50_seconds": steps by dots. What cannot be had (NaN, infinity) is left out.
  void Put(std::string_view path, Json value);
  const Json* Find(std::string_view path) const;
  std::optional<double> Number(std::string_view path) const;
  // Empty when it is no text.
  std::string Text(std::string_view path) const;

  // One value for each round, from which the spread of a figure follows. The paths are keys with dots.
  void PutRounds(const std::string& path, const std::vector<double>& values);
  std::vector<double> Rounds(const std::string& path) const;

  const Json& json() const { return json_; }

 private:
  Json json_;
};

}  // namespace engram
