// The cells behind /metrics, laid out by metrics.def.
//
// Threads:  any thread moves a cell; the exporter reads at scrape. All cells are relaxed atomics: each is a sum by itself,
//           nothing is inferred from two of them.
// Ownership: Metrics outlives everybody who moves the cells of the process or of a worker; a space's Series is shared with
//           the space and may outlive Metrics.
// Blocking: cells never; AddSpace takes a short mutex; Collect also calls the gauge sources, one Collect at a time.
// Errors:   none. A cell asked of the wrong owner, or a second label out of range, is a broken invariant.
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

#include "core/base/check.h"
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

// A sampled counter is counted elsewhere (by the kernel): read at scrape as a gauge is, exposed as a counter.
enum class MetricType : uint8_t { kCounter, kGauge, kHistogram, kSampledCounter };

// Which labels a metric carries; the first word names the Series that holds its cells.
enum class LabelSet : uint8_t {
  kNone,
  kPriority,
  kStage,
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
  kDiskFull,         // storage.hard_free_bytes.
  kMemoryFull,       // limits.memory_hard.
  kRecallBudget,     // recall.budget_ms: linking did not catch up within queue.max_wait.
  kCount
};
// Values of `stage`: the way of an observation, then of a recall. docs/observability.md says what each covers.
enum class Stage : uint8_t { kAdmit, kQueue, kEncode, kJournal, kPublish, kLink, kWalk, kScan, kRerank, kCount };
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
// Its name: "priority", "reason", "level", "code", "error_type", "stage", or empty.
std::string_view SecondLabelName(LabelSet labels);
// The name of the label that says whose the series is: "memory_space", "worker_id", or empty.
std::string_view OwnerLabelName(LabelSet labels);
// Where spaces without series of their own are summed. A space of this name never gets any.
inline constexpr std::string_view kOtherSpaces = "other";

// The `second` of a cell, by what it stands for. A gRPC status code is its own place.
constexpr size_t SecondOf(Priority priority) { return priority == Priority::kHigh ? 0 : 1; }
constexpr size_t SecondOf(PressureLevel level) { return static_cast<size_t>(level) - 1; }
constexpr size_t SecondOf(RejectReason reason) { return static_cast<size_t>(reason); }
constexpr size_t SecondOf(Stage stage) { return static_cast<size_t>(stage); }
constexpr size_t SecondOf(BatchError error) { return static_cast<size_t>(error); }

// Which label sets have their cells in which Series.
enum class MetricOwner : uint8_t { kProcess, kWorker, kSpace };
MetricOwner OwnerOf(LabelSet labels);

// Where the cells of a metric lie in a Series; the same for every Series of an owner.
struct CellLayout {
  std::array<uint16_t, kMetricCount> first{};   // Of its cells.
  std::array<uint16_t, kMetricCount> stride{};  // Cells per `second`: 1, or a histogram's buckets and its sum.
  std::array<uint16_t, kMetricCount> seconds{};  // 0: the owner has no cells of this metric.
  size_t cells = 0;
};
const CellLayout& LayoutOf(MetricOwner owner);

// The cells of one owner (the process, one worker or one space).
class Series {
 public:
  using Owner = MetricOwner;

  explicit Series(Owner owner) : owner_(owner), layout_(LayoutOf(owner)), cells_(new Cell[layout_.cells]{}) {}

  // `second` is the place in SecondLabelValues.
  void Add(MetricId id, uint64_t n = 1, size_t second = 0) {
    cells_[At(id, second)].fetch_add(n, std::memory_order_relaxed);
  }
  // Counts `times` observations of `value` (nanoseconds or a size); one below zero counts as zero.
  void Observe(MetricId id, int64_t value, uint64_t times = 1, size_t second = 0);

  uint64_t Count(MetricId id, size_t second = 0) const {
    return cells_[At(id, second)].load(std::memory_order_relaxed);
  }

  struct Histogram {
    std::vector<uint64_t> counts;  // Per bucket, the last one above all bounds. Not cumulative.
    int64_t sum = 0;               // In observed units.
  };
  Histogram ReadHistogram(MetricId id, size_t second = 0) const;
  // Every cell, in the order of the layout.
  std::vector<uint64_t> ReadCells() const;

  Owner owner() const { return owner_; }

 private:
  using Cell = std::atomic<uint64_t>;

  size_t At(MetricId id, size_t second) const {
    const auto row = static_cast<size_t>(id);
    ENGRAM_CHECK(second < layout_.seconds[row]);
    return layout_.first[row] + second * layout_.stride[row];
  }

  // Constant after construction.
  const Owner owner_;
  const CellLayout& layout_;
  // Atomic: sums moved by any thread. A histogram is its counts followed by its sum.
  std::unique_ptr<Cell[]> cells_;
};

// Where gauges are put at scrape. `owner` is the space's name or the worker's number, empty for the process.
using GaugeSink = std::function<void(MetricId id, std::string_view owner, size_t second, double value)>;
using GaugeSource = std::function<void(const GaugeSink&)>;

class Metrics {
 public:
  // `max_spaces` spaces have series of their own; the rest are summed under memory_space="other".
  //
  // While there are no more spaces than that, each has its own. Beyond it, the busiest get the places that are free at a
  // scrape and keep them for as long as they live. What a scrape has shown under "other" stays there, so every series
  // only grows and their sum is what was counted. A deleted space's series stay, at least for one scrape, until a living
  // space needs the place; made again under the same name, it goes on counting where it was.
  Metrics(size_t workers, size_t max_spaces);

  Series& process() { return process_; }
  Series& worker(size_t index) { return *workers_[index]; }
  size_t workers() const { return workers_.size(); }
  // The cells of a new space. It is gone when the last holder lets go.
  std::shared_ptr<Series> AddSpace(std::string_view name) ABSL_LOCKS_EXCLUDED(mu_);

  // Asked at every Collect, in the order added, without mu_: a source may take locks under which AddSpace is called, but
  // must not call Collect or these two. A source lives until ClearGaugeSources returns or Metrics is gone.
  void AddGaugeSource(GaugeSource source) ABSL_LOCKS_EXCLUDED(sources_mu_);
  void ClearGaugeSources() ABSL_LOCKS_EXCLUDED(sources_mu_);

  struct Sample {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;                // Counters and gauges.
    std::vector<uint64_t> counts;    // Histograms: per bucket, not cumulative.
    double sum = 0;
  };
  struct Family {
    const MetricRow* row = nullptr;
    std::vector<Sample> samples;  // None: a gauge that no source told.
  };
  // All families of the table, in its order. A space's gauges follow its counters: those of unnamed spaces are summed
  // under "other"; of pressure and a follower's lag the highest counts, of the canary's recall the lowest.
  std::vector<Family> Collect() ABSL_LOCKS_EXCLUDED(sources_mu_, mu_);

  // The sum of a histogram over all spaces there are and were, without a scrape's side effects. May shrink when a deleted
  // space's series end.
  Series::Histogram TotalOverSpaces(MetricId id) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Cells = std::vector<uint64_t>;

  struct SpaceCells {
    Series series{MetricOwner::kSpace};
    // Release/acquire: set by the last holder, so that whoever sees it sees all it counted.
    std::atomic<bool> departed{false};
  };
  struct SpaceEntry {
    std::string name;
    std::shared_ptr<SpaceCells> cells;
    // Some scrape has shown a count of it under "other".
    bool shown_in_other = false;
    // What "other" keeps of it since it was named; empty is nothing.
    Cells before;
  };
  // A name with series of its own.
  struct Place {
    // What spaces of this name that are gone had counted under it.
    Cells ended;
    size_t living = 0;
    // A scrape has shown all of `ended` and nobody lives under the name: free when it is needed.
    bool vacant = false;
  };
  struct GaugeReading {
    MetricId id;
    std::string owner;
    size_t second;
    double value;
  };

  void SweepDeparted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NameSpaces() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Gives `name` a place if one is free or vacant.
  bool TryGivePlace(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The cells to show per name, "other" among them.
  std::map<std::string, Cells> SumSpaces() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const size_t max_spaces_;
  std::vector<std::unique_ptr<Series>> workers_;
  // Own synchronisation.
  Series process_{MetricOwner::kProcess};

  // Held while the sources run. Before mu_ and before any lock of a source.
  Mutex sources_mu_ ABSL_ACQUIRED_BEFORE(mu_);
  std::vector<GaugeSource> sources_ ABSL_GUARDED_BY(sources_mu_);

  Mutex mu_;
  std::vector<SpaceEntry> spaces_ ABSL_GUARDED_BY(mu_);
  // AddSpace sweeps when there are this many entries, so that spaces that come and go unscraped take no memory.
  size_t sweep_at_ ABSL_GUARDED_BY(mu_) = 64;
  std::map<std::string, Place, std::less<>> places_ ABSL_GUARDED_BY(mu_);
  // What "other" keeps of spaces that are gone.
  Cells departed_ ABSL_GUARDED_BY(mu_);
};

// docs/metrics.md.
std::string MetricsReference();

}  // namespace engram
