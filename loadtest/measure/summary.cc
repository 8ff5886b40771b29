#include "loadtest/measure/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "loadtest/measure/environment.h"
#include "loadtest/measure/series.h"
#include "loadtest/pacing.h"
#include "loadtest/report.h"

namespace engram {
namespace {

constexpr std::pair<const char*, double> kQuantiles[] = {{"p50", 0.5},   {"p90", 0.9},    {"p95", 0.95},
                                                         {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};

// The four latencies, and where a round keeps each.
struct LatencyPart {
  const char* name;
  Histogram SteadyOutcome::*of;
};
constexpr LatencyPart kLatencies[] = {{"observe", &SteadyOutcome::observe},
                                      {"durable", &SteadyOutcome::durable},
                                      {"indexed", &SteadyOutcome::indexed},
                                      {"recall", &SteadyOutcome::recall}};

double MedianOf(const std::vector<double>& values) { return values.empty() ? NAN : SpreadOf(values).median; }

template <class Of>
std::vector<double> EachRound(const Measured& measured, const Of& of) {
  std::vector<double> values;
  for (const RoundOutcome& round : measured.rounds) values.push_back(of(round));
  return values;
}

// Not where it is missing in one: the rounds of two reports would not go together.
void PutIfWhole(const std::string& path, const std::vector<double>& rounds, BenchDocument& document) {
  if (std::all_of(rounds.begin(), rounds.end(), [](double of) { return std::isfinite(of); })) {
    document.PutRounds(path, rounds);
  }
}

double SecondsAt(const Histogram& histogram, double quantile) {
  return histogram.count() == 0 ? NAN : Seconds(histogram.Percentile(quantile));
}

void PutLatencies(const Measured& measured, BenchDocument& document) {
  for (const LatencyPart& part : kLatencies) {
    const std::string path = std::string("latency.") + part.name;
    Histogram all;
    for (const RoundOutcome& round : measured.rounds) all.Merge(round.steady.*part.of);
    if (all.count() == 0) continue;
    document.Put(path + ".count", all.count());
    for (const auto& [name, quantile] : kQuantiles) {
      document.Put(path + "." + name + "_seconds", SecondsAt(all, quantile));
    }
    for (const auto& [name, quantile] : {std::pair("p50", 0.5), std::pair("p90", 0.9), std::pair("p95", 0.95),
                                        std::pair("p99", 0.99)}) {
      PutIfWhole(path + "." + name + "_seconds", EachRound(measured, [&, q = quantile](const RoundOutcome& round) {
                   return SecondsAt(round.steady.*part.of, q);
                 }), document);
    }
    Json bounds = Json::array(), counts = Json::array();
    all.ForEach([&](int64_t upper, uint64_t count) {
      bounds.push_back(Seconds(upper));
      counts.push_back(count);
    });
    document.Put(std::string("histogram.") + part.name + ".upper_seconds", std::move(bounds));
    document.Put(std::string("histogram.") + part.name + ".count", std::move(counts));
  }
}

void PutStages(const Measured& measured, const MetricPage& steady, BenchDocument& document) {
  const auto put = [&](const std::string& stage, const char* metric, const std::string& label) {
    const auto count = static_cast<uint64_t>(steady.Sum(std::string(metric) + "_count", label).value_or(0));
    if (count > 0) document.Put("stages." + stage + ".count", count);
    for (const auto& [name, quantile] : {std::pair("p50", 0.5), std::pair("p99", 0.99)}) {
      const std::string path = "stages." + stage + "." + name + "_seconds";
      const auto value = steady.Quantile(metric, quantile, label);
      if (!value) continue;
      document.Put(path, *value);
      PutIfWhole(path, EachRound(measured, [&, q = quantile](const RoundOutcome& round) {
                   return round.steady_part.moved.Quantile(metric, q, label).value_or(NAN);
                 }), document);
    }
  };
  // First, so that they come in their order, and last, so that a daemon that tells its stages is believed.
  const auto put_family = [&] {
    for (const char* stage : kStagesInOrder) put(stage, kStageFamily, fmt::format("stage=\"{}\"", stage));
  };
  put_family();
  for (const StageMetric& stage : kStageMetrics) put(stage.stage, stage.metric, "");
  put_family();
}

void PutLimits(const Measured& measured, double throughput, BenchDocument& document) {
  const LimitSamples& limits = measured.limits;
  const bool unsynced = measured.status.durability() == v1::DURABILITY_MEMORY;
  const std::tuple<const char*, const std::vector<double>*, bool> parts[] = {
      {"grpc_sink", &limits.grpc_sink, true},
      {"disk_sync", &limits.disk_sync, !unsynced},
      {"memory_scan", &limits.memory_scan, true}};
  for (const auto& [name, samples, bounds] : parts) {
    if (samples->empty()) continue;
    const std::string path = std::string("limits.") + name;
    document.Put(path + ".observations_per_second", MedianOf(*samples));
    if (bounds) document.Put(path + ".share", throughput / MedianOf(*samples));
    document.PutRounds(path + ".observations_per_second", *samples);
  }
}

// What was asked once, behind the steady parts: each round has the cues of its number, the same in every report.
void PutRecall(const Measured& measured, BenchDocument& document) {
  const RecallQuality& quality = measured.quality;
  if (quality.latency.count() == 0) return;
  document.Put("recall.at_10", quality.mean);
  document.Put("recall.min_at_10", quality.least);
  document.Put("recall.graph_candidates", quality.graph_candidates);
  document.Put("recall.tail_scanned", quality.tail_scanned);
  const size_t rounds = std::max<size_t>(measured.rounds.size(), 1);
  std::vector<double> sums(rounds, 0), counts(rounds, 0);
  for (size_t cue = 0; cue < quality.shares.size(); ++cue) {
    sums[cue % rounds] += quality.shares[cue];
    counts[cue % rounds] += 1;
  }
  for (size_t round = 0; round < rounds; ++round) sums[round] /= counts[round];
  PutIfWhole("recall.at_10", sums, document);
}

// Out of gRPC's slices into a buffer, from there into the journal's group, and from that into the kernel; NAN without a
// journal.
double CopiesOf(const MetricPage& burst) {
  const auto sum = [&](const char* name) { return burst.Sum(name).value_or(NAN); };
  return (sum("engram_pool_copied_bytes_total") + 2 * sum("engram_journal_bytes_total")) /
         sum("engram_journal_payload_bytes_total");
}

void PutResources(const Measured& measured, const MetricPage& burst, const MetricPage& steady,
                  BenchDocument& document) {
  double daemon = 0, client = 0, wall = 0, steady_daemon = 0, steady_wall = 0, observations = 0, payload = 0;
  for (const RoundOutcome& round : measured.rounds) {
    daemon += round.burst_part.daemon_cpu;
    client += round.burst_part.client_cpu;
    wall += round.burst_part.Wall();
    steady_daemon += round.steady_part.daemon_cpu;
    steady_wall += round.steady_part.Wall();
    observations += static_cast<double>(round.burst.observations);
    payload += round.burst.payload_bytes;
  }
  document.Put("resources.client_cpu_cores", client / wall);
  document.Put("resources.client_cpu_seconds_per_million", client / observations * 1e6);
  if (daemon > 0) {
    document.Put("resources.daemon_cpu_cores", daemon / wall);
    document.Put("resources.daemon_cpu_seconds_per_million", daemon / observations * 1e6);
    document.Put("resources.steady_cpu_cores", steady_daemon / steady_wall);
    document.PutRounds("resources.daemon_cpu_seconds_per_million", EachRound(measured, [](const RoundOutcome& round) {
                         return round.burst_part.daemon_cpu / static_cast<double>(round.burst.observations) * 1e6;
                       }));
  }
  MetricPage both = burst;
  both.Add(steady);
  const auto sum = [](const MetricPage& page, const char* name) { return page.Sum(name).value_or(NAN); };
  const double reuses = sum(both, "engram_pool_reuses_total") + sum(both, "engram_pool_commit_reuses_total");
  const double fallbacks = sum(both, "engram_pool_fallbacks_total") + sum(both, "engram_pool_commit_fallbacks_total");
  document.Put("resources.allocations", fallbacks);
  document.Put("resources.pool_reuse_rate", reuses / (reuses + fallbacks));
  const double written = sum(burst, "engram_journal_bytes_total"), synced = sum(burst, "engram_journal_syncs_total");
  if (written > 0) {
    const double sent = sum(burst, "engram_journal_payload_bytes_total");
    document.Put("resources.written_per_byte", written / sent);
    document.Put("resources.copies_per_observation", CopiesOf(burst));
    PutIfWhole("resources.copies_per_observation", EachRound(measured, [](const RoundOutcome& round) {
                 return CopiesOf(round.burst_part.moved);
               }), document);
    document.Put("resources.bytes_per_sync", written / synced);
    document.Put("resources.journal_busy_share", sum(burst, "engram_journal_sync_seconds_sum") / wall);
  }
  double peak = static_cast<double>(measured.peak_resident_bytes);
  if (peak == 0) peak = sum(measured.last_page, "process_resident_memory_bytes");
  document.Put("resources.peak_memory_bytes", peak);
  document.Put("resources.memory_used_share",
               sum(measured.last_page, "engram_memory_used_bytes") / sum(measured.last_page, "engram_memory_limit_bytes"));
  if (document.Find("resources.copies_per_observation") == nullptr) {
    // Without a journal the contents are copied into the index, and nothing counts that.
    document.Put("resources.copies_per_observation", nullptr);
  }
  document.Put("resources.payload_bytes_per_observation", payload / observations);
}

void PutScheduling(const Measured& measured, const MetricPage& burst, const MetricPage& steady,
                   BenchDocument& document) {
  MetricPage both = burst;
  both.Add(steady);
  const auto put = [&](const char* path, std::optional<double> value) {
    if (value) document.Put(path, *value);
  };
  const auto batches = both.Sum("engram_streaming_batches_processed_total");
  put("scheduling.batches", batches);
  put("scheduling.batch_size_p50", both.Quantile("engram_streaming_batch_size", 0.5));
  put("scheduling.burst_batch_size_p50", burst.Quantile("engram_streaming_batch_size", 0.5));
  if (batches) {
    document.Put("scheduling.stolen_share", both.Sum("engram_streaming_work_stolen_total").value_or(0) / *batches);
  }
  // A return to normal ends an episode and is none.
  constexpr const char* kTold = "engram_streaming_backpressure_activations_total";
  if (const auto told = both.Sum(kTold)) {
    document.Put("scheduling.pressure_events", *told - both.Sum(kTold, "level=\"normal\"").value_or(0));
  }
  put("scheduling.refused", both.Sum("engram_streaming_observations_rejected_total"));
  double peak = 0, backlog = 0, looks = 0, pressed = 0;
  uint64_t wakeups = 0, again = 0;
  for (const RoundOutcome& round : measured.rounds) {
    for (const PartOutcome* part : {&round.steady_part, &round.burst_part}) {
      for (const Look& look : part->looks) {
        peak = std::max(peak, look.queue_depth);
        backlog = std::max(backlog, look.link_backlog);
        if (part == &round.burst_part) looks += 1, pressed += look.pressed ? 1 : 0;
      }
      wakeups += part->wakeups;
    }
    again += round.burst.sent_again + round.steady.sent_again;
  }
  document.Put("scheduling.queue_peak", peak);
  document.Put("scheduling.queue_capacity", measured.status.queue_capacity());
  document.Put("scheduling.pressed_share", pressed / looks);
  document.Put("scheduling.link_backlog_peak", backlog);
  document.Put("scheduling.sent_again", again);
  if (wakeups > 0) document.Put("scheduling.wakeups", wakeups);
}

void PutConfig(const BenchPlan& plan, const Measured& measured, BenchDocument& document) {
  PutDaemonConfig(measured.status, document);
  document.Put("config.settings", measured.spec.settings);
  document.Put("config.arguments",
               Json{{"seconds", plan.seconds},
                    {"warmup_seconds", plan.warmup_seconds},
                    {"rounds", measured.rounds.size()},
                    {"dimension", plan.dimension},
                    {"batch", plan.batch_size},
                    {"streams", plan.streams},
                    {"rate", measured.rounds.empty() ? 0 : measured.rounds.front().steady.offered_per_second},
                    {"recalls_per_second", plan.recalls_per_second},
                    {"preload", plan.preload},
                    {"k", plan.k},
                    {"seed", plan.seed}});
}

}  // namespace

BenchDocument Summarise(const BenchPlan& plan, const Measured& measured) {
  BenchDocument document;
  document.Put("format", kBenchFormat);
  double observations = 0, payload = 0;
  for (const RoundOutcome& round : measured.rounds) {
    observations += static_cast<double>(round.burst.observations);
    payload += round.burst.payload_bytes;
  }
  // The median round: one that the machine was busy with something else in does not move it.
  const auto rates = EachRound(measured, [](const RoundOutcome& round) { return round.burst.Rate(); });
  const double throughput = MedianOf(rates);
  document.Put("throughput.observations_per_second", throughput);
  document.Put("throughput.bytes_per_second", throughput * payload / observations);
  document.PutRounds("throughput.observations_per_second", rates);
  const auto kept = EachRound(measured, [](const RoundOutcome& round) { return round.steady.acknowledged_per_second; });
  document.Put("throughput.offered_per_second",
               measured.rounds.empty() ? 0 : measured.rounds.front().steady.offered_per_second);
  document.Put("throughput.kept_per_second", MedianOf(kept));
  document.PutRounds("throughput.kept_per_second", kept);
  PutLatencies(measured, document);
  MetricPage burst, steady;
  for (const RoundOutcome& round : measured.rounds) {
    burst.Add(round.burst_part.moved);
    steady.Add(round.steady_part.moved);
  }
  PutStages(measured, steady, document);
  PutRecall(measured, document);
  PutLimits(measured, throughput, document);
  PutResources(measured, burst, steady, document);
  PutScheduling(measured, burst, steady, document);
  PutSeries(measured, document);
  PutConfig(plan, measured, document);
  PutEnvironment(measured.status, measured.spec.address.empty() ? measured.spec.program : std::filesystem::path(),
                 document);
  return document;
}

}  // namespace engram
