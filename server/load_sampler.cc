#include "server/load_sampler.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "core/base/thread_name.h"

namespace engram {
namespace {

constexpr Duration kPeriod = std::chrono::seconds(1);
constexpr Duration kWindow = std::chrono::seconds(10);

// Where the `share` of all lies, in seconds: linear inside its bucket, the last bound for what is above all bounds.
double Percentile(std::span<const double> bounds, const std::vector<uint64_t>& counts, uint64_t total, double share) {
  const double wanted = share * static_cast<double>(total);
  double below = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= wanted) {
      const double least = i == 0 ? 0 : bounds[i - 1];
      return least + (bounds[i] - least) * (wanted - below) / here;
    }
    below += here;
  }
  return bounds.empty() ? 0 : bounds.back();
}

}  // namespace

LatencySummary SummarizeLatency(MetricId id, const std::vector<uint64_t>& earlier, const std::vector<uint64_t>& later) {
  std::vector<uint64_t> counts(later.size());
  uint64_t total = 0;
  for (size_t i = 0; i < later.size(); ++i) {
    const uint64_t before = i < earlier.size() ? earlier[i] : 0;
    counts[i] = later[i] > before ? later[i] - before : 0;
    total += counts[i];
  }
  if (total == 0) return {};
  const auto at = [&](double share) {
    return Duration(static_cast<int64_t>(1e6 * Percentile(RowOf(id).buckets, counts, total, share)));
  };
  return {.p50 = at(0.5), .p99 = at(0.99), .count = total};
}

LoadSampler::LoadSampler(Engine* engine, Metrics* metrics, Clock* clock, std::function<void()> return_free_memory)
    : engine_(engine), metrics_(metrics), clock_(clock), return_free_memory_(std::move(return_free_memory)) {
  samples_.push_back(Take());
  thread_ = std::jthread([this] {
    NameThread("sampler");
    Run();
  });
}

LoadSampler::~LoadSampler() {
  MutexLock lock(mu_);
  stopping_ = true;
  stop_.NotifyAll();
}

LoadSampler::Sample LoadSampler::Take() {
  Sample sample{.at = clock_->Now(),
                .observe = metrics_->TotalOverSpaces(MetricId::kObservationLatency).counts,
                .recall = metrics_->TotalOverSpaces(MetricId::kRecallLatency).counts};
  for (const LaneReading& lane : engine_->ReadStatus().lanes) sample.busy.push_back(lane.busy);
  return sample;
}

LoadSampler::Load LoadSampler::Read() {
  const Sample now = Take();
  MutexLock lock(mu_);
  Load load{.observe = SummarizeLatency(MetricId::kObservationLatency, samples_.front().observe, now.observe),
            .recall = SummarizeLatency(MetricId::kRecallLatency, samples_.front().recall, now.recall)};
  // The latest sample that is a period old.
  auto base = samples_.rbegin();
  while (std::next(base) != samples_.rend() && now.at - base->at < kPeriod) ++base;
  const auto passed = std::chrono::duration<double>(now.at - base->at).count();
  for (size_t i = 0; i < now.busy.size(); ++i) {
    const auto busy = std::chrono::duration<double>(now.busy[i] - base->busy[i]).count();
    load.utilization.push_back(passed > 0 ? std::clamp(busy / passed, 0.0, 1.0) : 0.0);
  }
  return load;
}

void LoadSampler::Run() {
  MonotonicTime next = clock_->Now() + kPeriod;
  for (;;) {
    {
      MutexLock lock(mu_);
      while (!stopping_ && clock_->Now() < next) clock_->WaitUntil(stop_, mu_, next);
      if (stopping_) return;
    }
    Sample sample = Take();
    next = std::max(next + kPeriod, sample.at);
    const uint64_t observed = std::accumulate(sample.observe.begin(), sample.observe.end(), uint64_t{0});
    if (pause_.HasLasted(observed, sample.at)) return_free_memory_();
    MutexLock lock(mu_);
    samples_.push_back(std::move(sample));
    while (samples_.size() > 1 && samples_.back().at - samples_[1].at >= kWindow) samples_.pop_front();
  }
}

}  // namespace engram
