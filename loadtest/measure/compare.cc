#include "loadtest/measure/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include "loadtest/report.h"

namespace engram {
namespace {

// A figure that both sides may have.
struct Figure {
  std::string path;
  bool more_is_better;
  // Which limit of the machine excuses it, as far as that moved; empty: none.
  std::string limit;
  // A change of the ratio that the figure has by itself where no rounds tell its spread.
  double grain;
  // False: told, not judged. One stall of the machine decides the rarest latencies, one cue the least recall.
  bool judged = true;
  // A change by less than this is none, whatever the ratio.
  double least = 0;
};

constexpr const char *kSink = "grpc_sink", *kDisk = "disk_sync", *kMemory = "memory_scan";
constexpr const char* kLimits[] = {kSink, kDisk, kMemory};
// The daemon's own histograms have buckets, and a median wanders within one.
constexpr double kBucketGrain = 0.3, kLeastStage = 50e-6;

std::string LimitPath(const std::string& limit) { return "limits." + limit + ".observations_per_second"; }

std::string LimitOfStage(const std::string& stage) {
  if (stage == "recall" || stage == "walk" || stage == "scan" || stage == "rerank") return kMemory;
  const bool waits_for_disk = stage == "journal" || stage == "durable" || stage == "publish" || stage == "acknowledge";
  return waits_for_disk ? kDisk : kSink;
}

// All that has a better and a worse, of what both have.
std::vector<Figure> FiguresOf(const BenchDocument& base, const BenchDocument& now) {
  std::vector<Figure> all = {
      {"throughput.observations_per_second", true, kSink, 0.02},
      {"throughput.bytes_per_second", true, kSink, 0.02, false},
      {"throughput.kept_per_second", true, kSink, 0.02},
  };
  const std::pair<const char*, const char*> latencies[] = {
      {"observe", kDisk}, {"durable", kDisk}, {"indexed", kDisk}, {"recall", kMemory}};
  for (const auto& [name, limit] : latencies) {
    const std::string path = std::string("latency.") + name;
    all.push_back({path + ".p50_seconds", false, limit, 0.05});
    all.push_back({path + ".p90_seconds", false, limit, 0.05});
    all.push_back({path + ".p95_seconds", false, limit, 0.1});
    all.push_back({path + ".p99_seconds", false, limit, 0.1});
    all.push_back({path + ".p999_seconds", false, limit, 0.1, false});
    all.push_back({path + ".max_seconds", false, limit, 0.1, false});
  }
  if (const Json* stages = now.Find("stages"); stages != nullptr) {
    for (const auto& [name, unused] : stages->items()) {
      const std::string path = "stages." + name;
      all.push_back({path + ".p50_seconds", false, LimitOfStage(name), kBucketGrain, true, kLeastStage});
      all.push_back({path + ".p99_seconds", false, LimitOfStage(name), kBucketGrain, false});
    }
  }
  const Figure rest[] = {{"recall.at_10", true, "", 0.01},
                         {"recall.min_at_10", true, "", 0.01, false},
                         {"resources.daemon_cpu_seconds_per_million", false, kSink, 0.02},
                         {"resources.steady_cpu_cores", false, kSink, 0.02, false},
                         {"resources.copies_per_observation", false, "", 0.02},
                         {"resources.peak_memory_bytes", false, "", 0.05}};
  all.insert(all.end(), std::begin(rest), std::end(rest));
  std::erase_if(all, [&](const Figure& figure) {
    const auto was = base.Number(figure.path), is = now.Number(figure.path);
    return !was || !is || *was <= 0;
  });
  return all;
}

struct Sample {
  double mean = 0, deviation = 0;
  size_t count = 0;
};

Sample SampleOf(const std::vector<double>& values) {
  Sample sample;
  sample.count = values.size();
  for (const double value : values) sample.mean += value / static_cast<double>(values.size());
  if (values.size() < 2) return sample;
  double squares = 0;
  for (const double value : values) squares += (value - sample.mean) * (value - sample.mean);
  sample.deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return sample;
}

// Student's t that chance exceeds once in a hundred, one-sided.
double StudentOf(size_t freedom) {
  constexpr double kTable[] = {31.8, 6.96, 4.54, 3.75, 3.36, 3.14, 3.0, 2.9, 2.82, 2.76};
  if (freedom == 0) return kTable[0];
  return freedom <= std::size(kTable) ? kTable[freedom - 1] : 2.6;
}

Compared::Verdict VerdictOf(const Compared& compared, const Figure& figure, double threshold) {
  if (!figure.judged) return Compared::Verdict::kTold;
  const double change = std::abs(compared.ratio - 1);
  if (change <= threshold || change <= compared.noise) return Compared::Verdict::kSame;
  if (std::abs(compared.now - compared.base) < figure.least) return Compared::Verdict::kSame;
  return (compared.ratio > 1) == figure.more_is_better ? Compared::Verdict::kBetter : Compared::Verdict::kWorse;
}

std::vector<Drift> DriftsOf(const BenchDocument& base, const BenchDocument& now) {
  std::vector<Drift> drifts;
  for (const char* limit : kLimits) {
    const auto was = base.Number(LimitPath(limit)), is = now.Number(LimitPath(limit));
    if (was && is && *was > 0 && *is > 0) drifts.push_back({limit, *was, *is});
  }
  return drifts;
}

// What a drift excuses of a change: the machine became slower and the figure worse, or faster and better.
double ExcusedBy(const Drift& drift, const Figure& figure, const Compared& compared) {
  const bool worse = (compared.ratio > 1) != figure.more_is_better;
  return worse == (drift.Ratio() < 1) ? drift.Size() : 0;
}

template <class Noise>
Comparison Compare(const BenchDocument& base, const BenchDocument& now, double threshold, std::vector<Drift> drifts,
                   const Noise& noise) {
  Comparison comparison;
  comparison.threshold = threshold;
  comparison.drifts = std::move(drifts);
  for (const Figure& figure : FiguresOf(base, now)) {
    Compared compared;
    compared.path = figure.path;
    compared.base = *base.Number(figure.path);
    compared.now = *now.Number(figure.path);
    compared.ratio = compared.least = compared.most = compared.now / compared.base;
    noise(figure, compared);
    for (const Drift& drift : comparison.drifts) {
      if (drift.limit == figure.limit) compared.noise += ExcusedBy(drift, figure, compared);
    }
    compared.verdict = VerdictOf(compared, figure, threshold);
    const bool moved = std::any_of(comparison.drifts.begin(), comparison.drifts.end(), [&](const Drift& drift) {
      return drift.limit == figure.limit && drift.Size() > kMostDrift;
    });
    if (moved && figure.judged) compared.verdict = Compared::Verdict::kMachine;
    comparison.figures.push_back(std::move(compared));
  }
  return comparison;
}

const char* NameOf(Compared::Verdict verdict) {
  switch (verdict) {
    case Compared::Verdict::kBetter:
      return "better";
    case Compared::Verdict::kWorse:
      return "worse";
    case Compared::Verdict::kTold:
      return "told";
    case Compared::Verdict::kMachine:
      return "machine";
    default:
      return "same";
  }
}

bool HasVerdict(const std::vector<Compared>& figures, Compared::Verdict verdict) {
  return std::any_of(figures.begin(), figures.end(), [&](const Compared& figure) { return figure.verdict == verdict; });
}

}  // namespace

bool Comparison::Regressed() const { return HasVerdict(figures, Compared::Verdict::kWorse); }
bool Comparison::Incomparable() const { return HasVerdict(figures, Compared::Verdict::kMachine); }

Comparison CompareStored(const BenchDocument& base, const BenchDocument& now, double threshold) {
  const auto noise = [&](const Figure& figure, Compared& compared) {
    const Sample was = SampleOf(base.Rounds(figure.path)), is = SampleOf(now.Rounds(figure.path));
    compared.noise = figure.grain;
    if (was.count < 2 || is.count < 2 || was.mean <= 0) return;
    const double error = std::sqrt(was.deviation * was.deviation / static_cast<double>(was.count) +
                                   is.deviation * is.deviation / static_cast<double>(is.count));
    compared.noise =
        std::max(compared.noise, StudentOf(std::min(was.count, is.count) - 1) * error / was.mean);
  };
  return Compare(base, now, threshold, DriftsOf(base, now), noise);
}

Comparison CompareAlternating(const BenchDocument& base, const BenchDocument& now, double threshold) {
  const auto noise = [&](const Figure& figure, Compared& compared) {
    const std::vector<double> was = base.Rounds(figure.path), is = now.Rounds(figure.path);
    compared.noise = figure.grain;
    std::vector<double> ratios;
    for (size_t i = 0; i < std::min(was.size(), is.size()); ++i) {
      if (was[i] > 0) ratios.push_back(is[i] / was[i]);
    }
    if (ratios.size() < 2) return;
    const Spread spread = SpreadOf(ratios);
    const Sample sample = SampleOf(ratios);
    compared.ratio = spread.median;
    compared.least = spread.least;
    compared.most = spread.most;
    compared.noise = std::max(compared.noise, StudentOf(sample.count - 1) * sample.deviation /
                                                  std::sqrt(static_cast<double>(sample.count)));
  };
  Comparison comparison = Compare(base, now, threshold, {}, noise);
  comparison.alternating = true;
  return comparison;
}

std::vector<std::string> DifferencesOf(const BenchDocument& base, const BenchDocument& now) {
  std::vector<std::string> differences;
  for (const char* path : {"environment.daemon.machine", "environment.daemon.cpu", "environment.daemon.cores",
                           "environment.client.cpu", "config.profile", "config.settings", "config.durability", "config.arguments.dimension",
                           "config.arguments.batch", "config.arguments.streams", "config.arguments.rate",
                           "config.arguments.recalls_per_second", "config.arguments.preload", "config.arguments.k"}) {
    const Json *was = base.Find(path), *is = now.Find(path);
    if (was == nullptr || is == nullptr || *was == *is) continue;
    std::string name = std::string(path).substr(std::string(path).rfind('.') + 1);
    if (std::string_view(path).starts_with("environment.client.")) name = "the client's " + name;
    differences.push_back(fmt::format("{}: {} before, {} now", name, was->dump(), is->dump()));
  }
  return differences;
}

void PutComparison(const Comparison& comparison, const std::string& base, BenchDocument& document) {
  Json figures = Json::array();
  for (const Compared& figure : comparison.figures) {
    Json one = {{"figure", figure.path},   {"base", figure.base},   {"now", figure.now},
                {"ratio", figure.ratio},   {"noise", figure.noise}, {"verdict", NameOf(figure.verdict)}};
    if (comparison.alternating) {
      one["ratio_least"] = figure.least;
      one["ratio_most"] = figure.most;
    }
    figures.push_back(std::move(one));
  }
  Json drifts = Json::array();
  for (const Drift& drift : comparison.drifts) {
    drifts.push_back({{"limit", drift.limit},
                      {"base", drift.base},
                      {"now", drift.now},
                      {"ratio", drift.Ratio()},
                      {"comparable", drift.Size() <= kMostDrift}});
  }
  document.Put("comparison", Json{{"base", base},
                                  {"alternating", comparison.alternating},
                                  {"threshold", comparison.threshold},
                                  {"regressed", comparison.Regressed()},
                                  {"incomparable", comparison.Incomparable()},
                                  {"machine", std::move(drifts)},
                                  {"figures", std::move(figures)}});
}

}  // namespace engram
