#include "loadtest/measure/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <string_view>
#include <utility>

#include "loadtest/measure/chance.h"
#include "loadtest/report.h"

namespace engram {
namespace {

// A figure that both sides may have.
struct Figure {
  std::string path;
  bool more_is_better;
  // Which limit of the machine it hangs on; empty: none.
  std::string limit;
  // False: told, not judged. Each that is judged makes chance wider for all, so only what the others do not show is.
  bool judged = true;
};

constexpr const char *kSink = "grpc_sink", *kDisk = "disk_sync", *kMemory = "memory_scan";
constexpr const char* kLimits[] = {kSink, kDisk, kMemory};
// Of all judged figures together, how often chance may call one worse; and as often one better.
constexpr double kChance = 0.01;
// So wide a chance is as good as none known, and a median of nothing has no ratio; numbers, for the report.
constexpr double kMostNoise = 1e6, kLeastBase = 1e-12;

std::string LimitPath(const std::string& limit) { return "limits." + limit + ".observations_per_second"; }

bool SyncsNothing(const BenchDocument& document) { return document.Text("config.durability") == "memory"; }

// All that has a better and a worse, of what both have.
std::vector<Figure> FiguresOf(const BenchDocument& base, const BenchDocument& now) {
  std::vector<Figure> all = {{"throughput.observations_per_second", true, kSink},
                             {"throughput.bytes_per_second", true, kSink, false},
                             {"throughput.kept_per_second", true, kSink}};
  // What is acknowledged without a sync does not wait for the disk.
  const char* acknowledged = SyncsNothing(base) && SyncsNothing(now) ? kSink : kDisk;
  const std::pair<const char*, const char*> latencies[] = {
      {"observe", acknowledged}, {"durable", acknowledged}, {"indexed", acknowledged}, {"recall", kMemory}};
  for (const auto& [name, limit] : latencies) {
    for (const char* quantile : {"p50", "p90", "p95", "p99", "p999", "max"}) {
      const bool judged = std::string_view(quantile) == "p50" || std::string_view(quantile) == "p99";
      all.push_back({fmt::format("latency.{}.{}_seconds", name, quantile), false, limit, judged});
    }
  }
  if (const Json* stages = now.Find("stages"); stages != nullptr) {
    for (const auto& [name, unused] : stages->items()) {
      for (const char* quantile : {"p50", "p99"}) {
        all.push_back({fmt::format("stages.{}.{}_seconds", name, quantile), false, "", false});
      }
    }
  }
  // Bursts last a time and not a number of observations, so peak memory grows with the throughput.
  const Figure rest[] = {{"recall.at_10", true, ""},
                         {"recall.min_at_10", true, "", false},
                         {"resources.daemon_cpu_seconds_per_million", false, kSink},
                         {"resources.steady_cpu_cores", false, kSink, false},
                         {"resources.copies_per_observation", false, ""},
                         {"resources.peak_memory_bytes", false, "", false}};
  all.insert(all.end(), std::begin(rest), std::end(rest));
  std::erase_if(all, [&](const Figure& figure) {
    const auto was = base.Number(figure.path), is = now.Number(figure.path);
    return !was || !is || *was <= 0;
  });
  return all;
}

std::vector<Drift> DriftsOf(const BenchDocument& base, const BenchDocument& now) {
  std::vector<Drift> drifts;
  for (const char* limit : kLimits) {
    const auto was = base.Number(LimitPath(limit)), is = now.Number(LimitPath(limit));
    if (was && is && *was > 0 && *is > 0) drifts.push_back({limit, *was, *is});
  }
  return drifts;
}

// A figure beside what its rounds say of it. Logarithms.
struct Weighed {
  Figure figure;
  Compared compared;
  double change = 0;  // Of the ratio.
  MedianError error;
  bool has_rounds = false;

  bool IsJudged() const { return figure.judged && has_rounds; }
};
// Fills in what the rounds say, of a figure that both have rounds of.
using Weigh = std::function<void(const std::vector<double>& was, const std::vector<double>& is, Weighed& of)>;

// The machine moved by `drift`, and a figure that hangs on its limit may have followed that, not at all, or anything
// between; so what the program did is between the whole gain and what the drift leaves of it.
Compared::Verdict VerdictOf(double gain, double drift, double band) {
  if (std::max(gain, gain - drift) < -band) return Compared::Verdict::kWorse;
  if (std::min(gain, gain - drift) > band) return Compared::Verdict::kBetter;
  return std::abs(drift) > std::log1p(kMostDrift) ? Compared::Verdict::kMachine : Compared::Verdict::kSame;
}

Comparison Compare(const BenchDocument& base, const BenchDocument& now, double threshold, std::vector<Drift> drifts,
                   const Weigh& weigh) {
  Comparison comparison;
  comparison.threshold = threshold;
  comparison.drifts = std::move(drifts);
  std::vector<Weighed> all;
  for (Figure& figure : FiguresOf(base, now)) {
    Weighed of{std::move(figure)};
    Compared& compared = of.compared;
    compared.path = of.figure.path;
    compared.base = compared.base_whole = *base.Number(of.figure.path);
    compared.now = compared.now_whole = *now.Number(of.figure.path);
    const std::vector<double> was = base.Rounds(of.figure.path), is = now.Rounds(of.figure.path);
    of.has_rounds = was.size() >= 2 && is.size() >= 2;
    if (of.has_rounds) {
      compared.base = SpreadOf(was).median;
      compared.now = SpreadOf(is).median;
    }
    compared.ratio = compared.least = compared.most = compared.now / std::max(compared.base, kLeastBase);
    if (of.has_rounds) weigh(was, is, of);
    comparison.judged += of.IsJudged() ? 1 : 0;
    all.push_back(std::move(of));
  }
  const double chance = kChance / static_cast<double>(std::max<size_t>(comparison.judged, 1));
  for (Weighed& of : all) {
    const double reach = of.has_rounds ? of.error.Reach(chance) : 0;
    of.compared.noise = std::min(std::expm1(reach), kMostNoise);
    of.compared.verdict = Compared::Verdict::kTold;
    if (of.IsJudged()) {
      double drift = 0;
      for (const Drift& moved : comparison.drifts) {
        if (moved.limit == of.figure.limit) drift = std::log(moved.Ratio());
      }
      of.compared.verdict = VerdictOf(of.figure.more_is_better ? of.change : -of.change, drift,
                                      std::max(std::log1p(threshold), reach));
    }
    comparison.figures.push_back(std::move(of.compared));
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
  const auto weigh = [](const std::vector<double>& was, const std::vector<double>& is, Weighed& of) {
    of.change = LogsOf({of.compared.now}).front() - LogsOf({of.compared.base}).front();
    of.error = ErrorOfDifference(LogsOf(was), LogsOf(is));
  };
  return Compare(base, now, threshold, DriftsOf(base, now), weigh);
}

Comparison CompareAlternating(const BenchDocument& base, const BenchDocument& now, double threshold) {
  const auto weigh = [](const std::vector<double>& was, const std::vector<double>& is, Weighed& of) {
    std::vector<double> changes = LogsOf(is);
    changes.resize(std::min(was.size(), is.size()));
    const std::vector<double> before = LogsOf(was);
    for (size_t i = 0; i < changes.size(); ++i) changes[i] -= before[i];
    const Spread spread = SpreadOf(changes);
    of.change = spread.median;
    of.compared.ratio = std::exp(spread.median);
    of.compared.least = std::exp(spread.least);
    of.compared.most = std::exp(spread.most);
    of.error = ErrorOfMedian(changes);
  };
  Comparison comparison = Compare(base, now, threshold, {}, weigh);
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
    if (figure.base_whole != figure.base || figure.now_whole != figure.now) {
      one["base_whole"] = figure.base_whole;
      one["now_whole"] = figure.now_whole;
    }
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
                                  {"judged", comparison.judged},
                                  {"regressed", comparison.Regressed()},
                                  {"incomparable", comparison.Incomparable()},
                                  {"machine", std::move(drifts)},
                                  {"figures", std::move(figures)}});
}

}  // namespace engram
