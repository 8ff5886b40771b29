#include "core/metrics/metrics.h"

#include <algorithm>

namespace engram {
namespace {

using Cells = std::vector<uint64_t>;

// The upper bounds of each metric in observed units. Bounds are decimal fractions, the units powers of ten: rounding
// makes them exact.
using Bounds = std::array<std::vector<int64_t>, kMetricCount>;
const Bounds& BoundsOfAll() {
  static const Bounds kBounds = [] {
    Bounds bounds;
    for (const MetricRow& row : MetricRows()) {
      for (const double bound : row.buckets) {
        bounds[static_cast<size_t>(row.id)].push_back(static_cast<int64_t>(bound / row.unit + 0.5));
      }
    }
    return bounds;
  }();
  return kBounds;
}

bool AnyNonzero(const Cells& cells) {
  return std::any_of(cells.begin(), cells.end(), [](uint64_t n) { return n != 0; });
}

// into += from; an empty `from` is nothing.
void AddTo(Cells& into, const Cells& from) {
  if (into.size() < from.size()) into.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) into[i] += from[i];
}

Cells Minus(Cells cells, const Cells& before) {
  for (size_t i = 0; i < before.size(); ++i) cells[i] -= before[i];
  return cells;
}

// What decides who gets a place: observations and recalls, taken or not.
uint64_t TrafficOf(const Series& series) {
  uint64_t traffic = 0;
  for (const MetricId id : {MetricId::kObservations, MetricId::kRejected, MetricId::kRecallRequests}) {
    const size_t seconds = LayoutOf(MetricOwner::kSpace).seconds[static_cast<size_t>(id)];
    for (size_t second = 0; second < seconds; ++second) traffic += series.Count(id, second);
  }
  return traffic;
}

// Gauges that are worse the lower they are: over several spaces the lowest counts.
bool OfWorst(MetricId id) { return id == MetricId::kRecallCanaryMean || id == MetricId::kRecallCanaryLeast; }

std::vector<std::pair<std::string, std::string>> LabelsOf(const MetricRow& row, std::string_view owner, size_t second) {
  std::vector<std::pair<std::string, std::string>> labels;
  if (const std::string_view name = OwnerLabelName(row.labels); !name.empty()) labels.emplace_back(name, owner);
  if (const std::string_view name = SecondLabelName(row.labels); !name.empty()) {
    labels.emplace_back(name, SecondLabelValues(row.labels)[second]);
  }
  return labels;
}

// The samples of one counter or histogram out of one owner's cells.
void AppendSamples(const MetricRow& row, std::string_view owner, const Cells& cells, Metrics::Family& family) {
  const CellLayout& layout = LayoutOf(OwnerOf(row.labels));
  const auto id = static_cast<size_t>(row.id);
  for (size_t second = 0; second < layout.seconds[id]; ++second) {
    const uint64_t* cell = cells.data() + layout.first[id] + second * layout.stride[id];
    Metrics::Sample sample;
    sample.labels = LabelsOf(row, owner, second);
    if (row.type == MetricType::kHistogram) {
      const size_t buckets = row.buckets.size() + 1;
      sample.counts.assign(cell, cell + buckets);
      sample.sum = static_cast<double>(cell[buckets]) * row.unit;
    } else {
      sample.value = static_cast<double>(*cell);
    }
    family.samples.push_back(std::move(sample));
  }
}

}  // namespace

void Series::Observe(MetricId id, int64_t value, uint64_t times, size_t second) {
  const std::vector<int64_t>& bounds = BoundsOfAll()[static_cast<size_t>(id)];
  value = std::max<int64_t>(value, 0);
  const auto bucket = static_cast<size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin());
  Cell* cells = &cells_[At(id, second)];
  cells[bucket].fetch_add(times, std::memory_order_relaxed);
  cells[bounds.size() + 1].fetch_add(static_cast<uint64_t>(value) * times, std::memory_order_relaxed);
}

Series::Histogram Series::ReadHistogram(MetricId id, size_t second) const {
  const Cell* cells = &cells_[At(id, second)];
  Histogram histogram;
  const size_t buckets = RowOf(id).buckets.size() + 1;
  for (size_t i = 0; i < buckets; ++i) histogram.counts.push_back(cells[i].load(std::memory_order_relaxed));
  histogram.sum = static_cast<int64_t>(cells[buckets].load(std::memory_order_relaxed));
  return histogram;
}

std::vector<uint64_t> Series::ReadCells() const {
  std::vector<uint64_t> cells(layout_.cells);
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = cells_[i].load(std::memory_order_relaxed);
  return cells;
}

Metrics::Metrics(size_t workers, size_t max_spaces)
    : max_spaces_(max_spaces), departed_(LayoutOf(MetricOwner::kSpace).cells) {
  for (size_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Series>(MetricOwner::kWorker));
}

std::shared_ptr<Series> Metrics::AddSpace(std::string_view name) {
  auto cells = std::make_shared<SpaceCells>();
  {
    MutexLock lock(mu_);
    if (spaces_.size() >= sweep_at_) {
      SweepDeparted();
      sweep_at_ = std::max<size_t>(64, 2 * spaces_.size());
    }
    if (auto place = places_.find(name); place != places_.end()) {
      ++place->second.living;
      place->second.vacant = false;
    }
    spaces_.push_back({.name = std::string(name), .cells = cells});
  }
  Series* series = &cells->series;
  return {series, [cells = std::move(cells)](Series*) { cells->departed.store(true, std::memory_order_release); }};
}

void Metrics::AddGaugeSource(GaugeSource source) {
  MutexLock lock(sources_mu_);
  sources_.push_back(std::move(source));
}

void Metrics::ClearGaugeSources() {
  MutexLock lock(sources_mu_);
  sources_.clear();
}

void Metrics::SweepDeparted() {
  std::erase_if(spaces_, [&](SpaceEntry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!entry.cells->departed.load(std::memory_order_acquire)) return false;
    const Cells cells = entry.cells->series.ReadCells();
    if (auto place = places_.find(entry.name); place != places_.end()) {
      AddTo(place->second.ended, Minus(cells, entry.before));
      AddTo(departed_, entry.before);
      --place->second.living;
    } else {
      AddTo(departed_, cells);
    }
    return true;
  });
}

bool Metrics::TryGivePlace(const std::string& name) {
  if (places_.size() >= max_spaces_) {
    auto vacant = std::find_if(places_.begin(), places_.end(), [](const auto& entry) { return entry.second.vacant; });
    if (vacant == places_.end()) return false;
    places_.erase(vacant);
  }
  Place& place = places_[name];
  for (SpaceEntry& entry : spaces_) {
    if (entry.name != name) continue;
    ++place.living;
    if (entry.shown_in_other) entry.before = entry.cells->series.ReadCells();
  }
  return true;
}

void Metrics::NameSpaces() {
  struct Candidate {
    uint64_t traffic;
    std::string_view name;
  };
  std::vector<Candidate> candidates;
  size_t living = 0;
  for (const auto& [name, place] : places_) living += place.living > 0 ? 1 : 0;
  for (const SpaceEntry& entry : spaces_) {
    if (entry.name == kOtherSpaces || places_.contains(entry.name)) continue;
    candidates.push_back({TrafficOf(entry.cells->series), entry.name});
  }
  // With room for all, even those nobody has used yet; otherwise an idle one would take the place of a busy one for good.
  const bool room_for_all = living + candidates.size() <= max_spaces_;
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.traffic != b.traffic ? a.traffic > b.traffic : a.name < b.name;
  });
  for (const Candidate& candidate : candidates) {
    if (candidate.traffic == 0 && !room_for_all) break;
    // Two spaces of one name, the older one about to go, share a place.
    if (places_.contains(candidate.name)) continue;
    if (!TryGivePlace(std::string(candidate.name))) break;
  }
}

std::map<std::string, Cells> Metrics::SumSpaces() {
  std::map<std::string, Cells> sums;
  const size_t width = LayoutOf(MetricOwner::kSpace).cells;
  Cells other = departed_;
  for (auto& [name, place] : places_) {
    Cells& sum = sums[name];
    sum.resize(width);
    AddTo(sum, place.ended);
    place.vacant = place.living == 0;
  }
  for (SpaceEntry& entry : spaces_) {
    Cells cells = entry.cells->series.ReadCells();
    if (auto sum = sums.find(entry.name); sum != sums.end()) {
      AddTo(other, entry.before);
      AddTo(sum->second, Minus(std::move(cells), entry.before));
    } else {
      if (!entry.shown_in_other) entry.shown_in_other = AnyNonzero(cells);
      AddTo(other, cells);
    }
  }
  sums[std::string(kOtherSpaces)] = std::move(other);
  return sums;
}

std::vector<Metrics::Family> Metrics::Collect() {
  std::vector<GaugeReading> readings;
  std::map<std::string, Cells> spaces;
  {
    MutexLock sources_lock(sources_mu_);
    const GaugeSink sink = [&](MetricId id, std::string_view owner, size_t second, double value) {
      readings.push_back({id, std::string(owner), second, value});
    };
    for (const GaugeSource& source : sources_) source(sink);
    MutexLock lock(mu_);
    SweepDeparted();
    NameSpaces();
    spaces = SumSpaces();
  }

  std::vector<Family> families;
  for (const MetricRow& row : MetricRows()) families.push_back({.row = &row});

  // Gauges: one value per owner and second label, whoever told it.
  std::array<std::map<std::pair<std::string, size_t>, double>, kMetricCount> gauges;
  for (GaugeReading& reading : readings) {
    const MetricRow& row = RowOf(reading.id);
    ENGRAM_CHECK(row.type == MetricType::kGauge || row.type == MetricType::kSampledCounter);
    auto& values = gauges[static_cast<size_t>(reading.id)];
    if (OwnerOf(row.labels) == MetricOwner::kSpace) {
      // A recall of 0 that nobody measured would be an alarm.
      if (!OfWorst(reading.id)) values.try_emplace({std::string(kOtherSpaces), reading.second}, 0.0);
      if (!spaces.contains(reading.owner)) reading.owner = kOtherSpaces;
    }
    const auto [at, first] = values.try_emplace({std::move(reading.owner), reading.second}, reading.value);
    double& value = at->second;
    if (first) continue;
    if (OfWorst(reading.id)) {
      value = std::min(value, reading.value);
    } else if (reading.id == MetricId::kBackpressureState || reading.id == MetricId::kRecallFollowLag) {
      value = std::max(value, reading.value);
    } else {
      value += reading.value;
    }
  }

  const Cells process = process_.ReadCells();
  std::vector<Cells> workers;
  for (const auto& worker : workers_) workers.push_back(worker->ReadCells());
  for (Family& family : families) {
    const MetricRow& row = *family.row;
    for (const auto& [key, value] : gauges[static_cast<size_t>(row.id)]) {
      family.samples.push_back({.labels = LabelsOf(row, key.first, key.second), .value = value});
    }
    if (row.type == MetricType::kGauge || row.type == MetricType::kSampledCounter) continue;
    switch (OwnerOf(row.labels)) {
      case MetricOwner::kProcess:
        AppendSamples(row, {}, process, family);
        break;
      case MetricOwner::kWorker:
        for (size_t i = 0; i < workers.size(); ++i) AppendSamples(row, std::to_string(i), workers[i], family);
        break;
      case MetricOwner::kSpace:
        for (const auto& [name, cells] : spaces) AppendSamples(row, name, cells, family);
        break;
    }
  }
  return families;
}

Series::Histogram Metrics::TotalOverSpaces(MetricId id) {
  const CellLayout& layout = LayoutOf(MetricOwner::kSpace);
  const size_t first = layout.first[static_cast<size_t>(id)];
  const size_t buckets = RowOf(id).buckets.size() + 1;
  Series::Histogram total{.counts = std::vector<uint64_t>(buckets)};
  const auto add = [&](const Cells& cells) {
    if (cells.empty()) return;
    for (size_t i = 0; i < buckets; ++i) total.counts[i] += cells[first + i];
    total.sum += static_cast<int64_t>(cells[first + buckets]);
  };
  MutexLock lock(mu_);
  add(departed_);
  for (const auto& [name, place] : places_) add(place.ended);
  for (const SpaceEntry& entry : spaces_) {
    const Series::Histogram own = entry.cells->series.ReadHistogram(id);
    for (size_t i = 0; i < buckets; ++i) total.counts[i] += own.counts[i];
    total.sum += own.sum;
  }
  return total;
}

}  // namespace engram
