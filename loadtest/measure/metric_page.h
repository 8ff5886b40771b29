// A /metrics page as numbers: what moved between two of them, and percentiles of its histograms.
//
// Threads: one at a time. Ownership: values. Errors: none; a metric that is not there has no value.
// Why:     the daemon's own histograms say what each stage took; nothing has to be measured twice.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

class MetricPage {
 public:
  MetricPage() = default;
  explicit MetricPage(std::string_view text);

  bool empty() const { return series_.empty(); }
  // Each series less its value in `before`.
  MetricPage Since(const MetricPage& before) const;
  void Add(const MetricPage& other);
  // The series of a metric, its buckets included, whose labels contain `label`.
  MetricPage Only(std::string_view name, std::string_view label) const;

  // Over all series of `name` whose labels contain `label` (`stage="encode"`; empty: any).
  std::optional<double> Sum(std::string_view name, std::string_view label = "") const;
  // Of the histogram `name`: the value that a share `quantile` of what it counted does not exceed, read off its buckets
  // by a straight line within one. nullopt when it counted nothing; of the last bucket its lower bound.
  std::optional<double> Quantile(std::string_view name, double quantile, std::string_view label = "") const;
  // The values that `key` has among the labels of `name`.
  std::vector<std::string> LabelValues(std::string_view name, std::string_view key) const;

 private:
  std::map<std::string, double, std::less<>> series_;  // By name and labels, as the page spells them.
};

// A stage of an observation's or a recall's way, and the histogram that times it.
struct StageMetric {
  const char* stage;
  const char* metric;
};
inline constexpr StageMetric kStageMetrics[] = {
    {"queue", "engram_streaming_queue_wait_time_seconds"},
    {"sync", "engram_journal_sync_seconds"},
    {"durable", "engram_streaming_time_to_durable_seconds"},
    {"searchable", "engram_streaming_time_to_searchable_seconds"},
    {"acknowledge", "engram_streaming_observation_latency_seconds"},
    {"recall", "engram_streaming_recall_latency_seconds"},
};
// A histogram with a label `stage`, where the daemon has it: each of its stages is reported under its own name, and of
// `queue` it says the same.
inline constexpr const char* kStageFamily = "engram_stage_seconds";
// The order in which they are gone through.
inline constexpr const char* kStagesInOrder[] = {"admit", "queue", "encode", "journal", "publish",
                                                 "link",  "walk",  "scan",   "rerank"};

}  // namespace engram
