// A scrape of our own: HTTP by hand, and a parser of Prometheus' text format that accepts nothing else.
//
// Threads: any. Blocking: until the server has answered. Errors: a failed test expectation and an empty page.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace engram::testing {

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
};
// GET http://`address``path`; `address` is IPv4:port or [IPv6]:port.
HttpAnswer HttpGet(const std::string& address, const std::string& path);

// Sorted by name.
using LabelList = std::vector<std::pair<std::string, std::string>>;

struct ExpositionSample {
  std::string name;  // With _bucket, _sum, _count.
  LabelList labels;
  double value = 0;
};
struct ExpositionFamily {
  std::string name;
  std::string type;
  std::string help;
  std::vector<ExpositionSample> samples;
};

class Exposition {
 public:
  // Expects every line to be right: HELP and TYPE once and before the samples, samples of the family's name, no label set
  // twice, histograms cumulative with +Inf equal to the count.
  static Exposition Parse(const std::string& text);
  // GET /metrics, parsed.
  static Exposition Scrape(const std::string& address);

  const ExpositionFamily* Find(const std::string& name) const;
  // Of the sample with exactly these labels, in any order; nothing when there is none.
  std::optional<double> Value(const std::string& sample, LabelList labels = {}) const;
  // Over every sample of the name that carries these labels among others.
  double Sum(const std::string& sample, const LabelList& labels = {}) const;
  const std::vector<ExpositionFamily>& families() const { return families_; }

 private:
  std::vector<ExpositionFamily> families_;
  std::map<std::pair<std::string, LabelList>, double> values_;
};

}  // namespace engram::testing
