#include "loadtest/measure/series.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr double kSlotSeconds = 0.25;

// Latencies that came within a slot of time.
struct SlotLatencies {
  uint64_t total = 0;
  std::vector<std::pair<int64_t, uint64_t>> each;

  void Take(const StreamOutcome::Arrival& arrival) {
    total += arrival.observations;
    each.emplace_back(arrival.latency, arrival.observations);
  }
  // null where nothing came: there is no latency then. REQUIRES: each is sorted.
  Json Quantile(double share) const {
    uint64_t seen = 0;
    for (const auto& [latency, count] : each) {
      seen += count;
      if (static_cast<double>(seen) >= share * static_cast<double>(total)) return Seconds(latency);
    }
    return nullptr;
  }
};

// A part over time, in slots of a quarter of a second.
struct Slot {
  SlotLatencies observed, recalled;
  double depth = 0;
};

std::vector<Slot> SlotsOf(const PartOutcome& part, const std::vector<StreamOutcome::Arrival>& arrivals,
                          const std::vector<StreamOutcome::Arrival>& recalls) {
  std::vector<Slot> slots(static_cast<size_t>(part.Wall() / kSlotSeconds) + 1);
  const auto slot = [&](int64_t instant) -> Slot& {
    const double seconds = std::max(0.0, Seconds(instant - part.began));
    return slots[std::min(static_cast<size_t>(seconds / kSlotSeconds), slots.size() - 1)];
  };
  for (const StreamOutcome::Arrival& arrival : arrivals) slot(arrival.instant).observed.Take(arrival);
  for (const StreamOutcome::Arrival& recall : recalls) slot(recall.instant).recalled.Take(recall);
  for (const Look& look : part.looks) slot(look.instant).depth = std::max(slot(look.instant).depth, look.queue_depth);
  for (Slot& of : slots) {
    for (SlotLatencies* latencies : {&of.observed, &of.recalled}) std::sort(latencies->each.begin(), latencies->each.end());
  }
  return slots;
}

}  // namespace

void PutSeries(const Measured& measured, BenchDocument& document) {
  std::vector<Slot> slots;
  const auto append = [&](std::vector<Slot> more) {
    slots.insert(slots.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  for (const RoundOutcome& round : measured.rounds) append(SlotsOf(round.steady_part, round.steady.arrivals, round.steady.recalls));
  for (const RoundOutcome& round : measured.rounds) append(SlotsOf(round.burst_part, round.burst.arrivals, {}));
  Json at = Json::array(), rate = Json::array(), p50 = Json::array(), p99 = Json::array(), depth = Json::array();
  Json recall_p50 = Json::array(), recall_p99 = Json::array();
  for (size_t i = 0; i < slots.size(); ++i) {
    at.push_back(static_cast<double>(i) * kSlotSeconds);
    rate.push_back(static_cast<double>(slots[i].observed.total) / kSlotSeconds);
    p50.push_back(slots[i].observed.Quantile(0.5));
    p99.push_back(slots[i].observed.Quantile(0.99));
    recall_p50.push_back(slots[i].recalled.Quantile(0.5));
    recall_p99.push_back(slots[i].recalled.Quantile(0.99));
    depth.push_back(slots[i].depth);
  }
  document.Put("series.seconds", std::move(at));
  document.Put("series.observations_per_second", std::move(rate));
  document.Put("series.p50_seconds", std::move(p50));
  document.Put("series.p99_seconds", std::move(p99));
  document.Put("series.recall_p50_seconds", std::move(recall_p50));
  document.Put("series.recall_p99_seconds", std::move(recall_p99));
  document.Put("series.queue_depth", std::move(depth));
}

}  // namespace engram
