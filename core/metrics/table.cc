// metrics.def as data: the rows, the words of the labels, and where each metric's cells lie.
#include <cstddef>

#include "core/metrics/metrics.h"

namespace engram {
namespace {

// Upper bounds, inclusive. Those that the alerts' thresholds (0.1 s, 0.05 s) lie on.
constexpr std::array<double, 8> kObservationBuckets = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0};
constexpr std::array<double, 7> kRecallBuckets = {0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5};
constexpr std::array<double, 7> kSizeBuckets = {1, 10, 50, 100, 250, 500, 1000};
constexpr std::array<double, 7> kWaitBuckets = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0};
// A walk takes tens of microseconds, a sync or a queue that is full milliseconds.
constexpr std::array<double, 15> kStageBuckets = {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                                  0.005,   0.01,     0.025,   0.05,   0.1,     0.5,    1.0};
constexpr std::array<double, 0> kNoBuckets = {};

constexpr double UnitOf(std::string_view name, MetricType type) {
  return type == MetricType::kHistogram && name.ends_with("_seconds") ? 1e-9 : 1.0;
}

constexpr std::array<MetricRow, kMetricCount> kRows = {{
#define METRIC(id, type, name, labels, buckets, help)                                                       \
  {MetricId::id, MetricType::k##type, name, LabelSet::k##labels, buckets, UnitOf(name, MetricType::k##type), help},
#include "core/metrics/metrics.def"
#undef METRIC
}};

constexpr std::array<std::string_view, 2> kPriorities = {"high", "normal"};
constexpr std::array<std::string_view, static_cast<size_t>(RejectReason::kCount)> kReasons = {
    "over_capacity", "rate_limited", "quota",         "invalid",   "invalid_sequence", "duplicate",
    "draining",      "failed",       "space_dropped", "disk_full", "memory_full",
    "recall_budget"};
constexpr std::array<std::string_view, 4> kLevels = {"normal", "warning", "critical", "overloaded"};
constexpr std::array<std::string_view, static_cast<size_t>(BatchError::kCount)> kErrors = {"exception", "status"};
constexpr std::array<std::string_view, static_cast<size_t>(Stage::kCount)> kStages = {
    "admit", "queue", "encode", "journal", "publish", "link", "walk", "scan", "rerank"};
constexpr std::array<std::string_view, 17> kCodes = {"OK",
                                                     "CANCELLED",
                                                     "UNKNOWN",
                                                     "INVALID_ARGUMENT",
                                                     "DEADLINE_EXCEEDED",
                                                     "NOT_FOUND",
                                                     "ALREADY_EXISTS",
                                                     "PERMISSION_DENIED",
                                                     "RESOURCE_EXHAUSTED",
                                                     "FAILED_PRECONDITION",
                                                     "ABORTED",
                                                     "OUT_OF_RANGE",
                                                     "UNIMPLEMENTED",
                                                     "INTERNAL",
                                                     "UNAVAILABLE",
                                                     "DATA_LOSS",
                                                     "UNAUTHENTICATED"};

CellLayout LayOut(MetricOwner owner) {
  CellLayout layout;
  for (const MetricRow& row : kRows) {
    const bool has_cells = row.type == MetricType::kCounter || row.type == MetricType::kHistogram;
    if (!has_cells || OwnerOf(row.labels) != owner) continue;
    const auto i = static_cast<size_t>(row.id);
    const size_t words = SecondLabelValues(row.labels).size();
    layout.first[i] = static_cast<uint16_t>(layout.cells);
    layout.seconds[i] = static_cast<uint16_t>(words == 0 ? 1 : words);
    layout.stride[i] = static_cast<uint16_t>(row.type == MetricType::kHistogram ? row.buckets.size() + 2 : 1);
    layout.cells += size_t{layout.seconds[i]} * layout.stride[i];
  }
  return layout;
}

}  // namespace

std::span<const MetricRow> MetricRows() { return kRows; }

const MetricRow& RowOf(MetricId id) { return kRows[static_cast<size_t>(id)]; }

std::span<const std::string_view> SecondLabelValues(LabelSet labels) {
  switch (labels) {
    case LabelSet::kPriority:
    case LabelSet::kSpacePriority:
      return kPriorities;
    case LabelSet::kStage:
      return kStages;
    case LabelSet::kSpaceReason:
      return kReasons;
    case LabelSet::kSpaceLevel:
      return kLevels;
    case LabelSet::kSpaceCode:
      return kCodes;
    case LabelSet::kWorkerError:
      return kErrors;
    case LabelSet::kNone:
    case LabelSet::kWorker:
    case LabelSet::kSpace:
      break;
  }
  return {};
}

std::string_view SecondLabelName(LabelSet labels) {
  switch (labels) {
    case LabelSet::kPriority:
    case LabelSet::kSpacePriority:
      return "priority";
    case LabelSet::kStage:
      return "stage";
    case LabelSet::kSpaceReason:
      return "reason";
    case LabelSet::kSpaceLevel:
      return "level";
    case LabelSet::kSpaceCode:
      return "code";
    case LabelSet::kWorkerError:
      return "error_type";
    case LabelSet::kNone:
    case LabelSet::kWorker:
    case LabelSet::kSpace:
      break;
  }
  return {};
}

MetricOwner OwnerOf(LabelSet labels) {
  switch (labels) {
    case LabelSet::kNone:
    case LabelSet::kPriority:
    case LabelSet::kStage:
      return MetricOwner::kProcess;
    case LabelSet::kWorker:
    case LabelSet::kWorkerError:
      return MetricOwner::kWorker;
    case LabelSet::kSpace:
    case LabelSet::kSpacePriority:
    case LabelSet::kSpaceReason:
    case LabelSet::kSpaceLevel:
    case LabelSet::kSpaceCode:
      break;
  }
  return MetricOwner::kSpace;
}

std::string_view OwnerLabelName(LabelSet labels) {
  switch (OwnerOf(labels)) {
    case MetricOwner::kProcess:
      return {};
    case MetricOwner::kWorker:
      return "worker_id";
    case MetricOwner::kSpace:
      break;
  }
  return "memory_space";
}

const CellLayout& LayoutOf(MetricOwner owner) {
  static const std::array<CellLayout, 3> kLayouts = {LayOut(MetricOwner::kProcess), LayOut(MetricOwner::kWorker),
                                                     LayOut(MetricOwner::kSpace)};
  return kLayouts[static_cast<size_t>(owner)];
}

}  // namespace engram
