// The cells behind /metrics, laid out by metrics.def.
//
// Threads:  any thread moves a cell; the exporter reads at scrape. All cells are relaxed atomics: each is a sum by itself,
//           nothing is inferred from two of them.
// Ownership: Metrics outlives everybody who holds a Series of it; a space's Series is shared with the space.
// Blocking: cells never; AddSpace and Collect take a mutex.
// Why:      everything on the hot path is counted once a batch, so one atomic add per batch and cell is cheap enough, and a
//           cell is found by array index, never by name. A Prometheus Histogram takes a mutex per observation.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/types.h"

namespace engram {

enum class MetricId : uint8_t {
#define METRIC(id, type, name, labels, buckets, help) id,
#include "core/metrics/metrics.def"
#undef METRIC
  kCount
};
inline constexpr size_t kMetricCount = static_cast<size_t>(MetricId::kCount);

enum class MetricType : uint8_t { kCounter, kGauge, kHistogram };

// Which labels a metric carries; the first word names the Series that holds its cells.
enum class LabelSet : uint8_t {
  kNone,
  kPriority,
  kWorker,
  kWorkerError,
  kSpace,
  kSpacePriority,
  kSpaceReason,
  kSpaceLevel,
  kSpaceCode,
};

// Values of `reason`, in the order of their cells.
enum class RejectReason : uint8_t {
  kOverCapacity,     // The queue had no room within queue.max_wait.
  kRateLimited,      // limits.max_rate_per_tenant.
  kQuota,            // limits.per_space_quotas.
  kInvalid,          // A bad observation: INVALID_ARGUMENT.
  kInvalidSequence,  // Past the next expected sequence.
  kDuplicate,        // Sent again on the same stream; stored once.
  kDraining,         // The daemon does not admit any more.
  kFailed,           // It made its batch fail: INTERNAL.
  kSpaceDropped,     // Its space was deleted meanwhile.
  kCount
};
// Values of `error_type`.
enum class BatchError : uint8_t { kException, kStatus, kCount };

// One row of metrics.def.
struct MetricRow {
  MetricId id;
  MetricType type;
  std::string_view name;
  LabelSet labels;
  std::span<const double> buckets;  // Upper bounds as exposed: seconds, or a plain size.
  double unit;                      // What one observed unit is as exposed: 1e-9 for durations, 1 for sizes.
  std::string_view help;
};
std::span<const MetricRow> MetricRows();
const MetricRow& RowOf(MetricId id);

// The words of the second label ("high", "normal"; "over_capacity", ...; status codes by gRPC number 0..16), in cell order.
// Empty for label sets without one.
std::span<const std::string_view> SecondLabelValues(LabelSet labels);
// Its name: "priority", "reason", "level", "code", "error_type", or empty.
std::string_view SecondLabelName(LabelSet labels);

// The cells of one owner (the process, one worker or one space).
class Series {
 public:
  // Which label sets have their cells here.
  enum class Owner : uint8_t { kProcess, kWorker, kSpace };

  explicit Series(Owner owner);

  // `second` is the place in SecondLabelValues.
  void Add(MetricId id, uint64_t n = 1, size_t second = 0) {
    cells_[offsets_[static_cast<size_t>(id)] + second].fetch_add(n, std::memory_order_relaxed);
  }
  // Counts `times` observations of `value` (nanoseconds or a size).
  void Observe(MetricId id, int64_t value, uint64_t times = 1, size_t second = 0);

  uint64_t Count(MetricId id, size_t second = 0) const {
    return cells_[offsets_[static_cast<size_t>(id)] + second].load(std::memory_order_relaxed);
  }

  struct Histogram {
    std::vector<uint64_t> counts;  // Per bucket, the last one above all bounds. Not cumulative.
    int64_t sum = 0;               // In observed units.
  };
  Histogram ReadHistogram(MetricId id, size_t second = 0) const;

  Owner owner() const { return owner_; }

 private:
  // Constant after construction.
  const Owner owner_;
  std::array<uint16_t, kMetricCount> offsets_{};
  // Atomic: sums moved by any thread. A histogram is its counts followed by its sum.
  std::unique_ptr<std::atomic<uint64_t>[]> cells_;
};

// Where gauges are put at scrape. `owner` is the space's name or the worker's number, empty for the process.
using GaugeSink = std::function<void(MetricId id, std::string_view owner, size_t second, double value)>;
using GaugeSource = std::function<void(const GaugeSink&)>;

class Metrics {
 public:
  // `max_spaces` spaces get series of their own, first come by traffic at scrape and for as long as they live; the rest
  // are summed under memory_space="other". A space that is promoted starts from zero: what it counted before stays in
  // "other", so every series only grows.
  Metrics(size_t workers, size_t max_spaces);

  Series& process() { return process_; }
  Series& worker(size_t index) { return *workers_[index]; }
  size_t workers() const { return workers_.size(); }
  // The cells of a new space. When the last other holder lets go, its counts are kept in "other" (or its own series ends).
  std::shared_ptr<Series> AddSpace(std::string_view name) ABSL_LOCKS_EXCLUDED(mu_);

  // Asked at every Collect, in the order added. The source must outlive the Metrics or be removed.
  void AddGaugeSource(GaugeSource source) ABSL_LOCKS_EXCLUDED(mu_);
  void ClearGaugeSources() ABSL_LOCKS_EXCLUDED(mu_);

  struct Sample {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;                // Counters and gauges.
    std::vector<uint64_t> counts;    // Histograms: per bucket, not cumulative.
    double sum = 0;
  };
  struct Family {
    const MetricRow* row = nullptr;
    std::vector<Sample> samples;
  };
  // All families of the table, in its order.
  std::vector<Family> Collect() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct SpaceEntry {
    std::string name;
    std::shared_ptr<Series> series;
    bool named = false;
    // What it had counted when it was promoted; subtracted from its own series and kept in "other".
    std::unique_ptr<Series> before;
  };

  // Constant after construction.
  const size_t max_spaces_;
  std::vector<std::unique_ptr<Series>> workers_;
  // Own synchronisation.
  Series process_{Series::Owner::kProcess};

  Mutex mu_;
  std::vector<SpaceEntry> spaces_ ABSL_GUARDED_BY(mu_);
  // Counts of spaces that are gone and never had a name of their own.
  Series departed_ ABSL_GUARDED_BY(mu_){Series::Owner::kSpace};
  std::vector<GaugeSource> gauges_ ABSL_GUARDED_BY(mu_);
};

// docs/metrics.md.
std::string MetricsReference();

}  // namespace engram
