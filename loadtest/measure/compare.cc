#include "loadtest/measure/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "loadtest/report.h"

namespace engram {
namespace {

// What is judged. The rarest latencies are left out: one stall of the machine decides them.
struct Judged {
  const char* path;
  bool more_is_better;
  // Which limit of the machine excuses it, as far as that moved; empty: none.
  const char* limit;
  // A change of the ratio that the figure has by itself where no rounds tell its spread.
  double grain;
};
constexpr Judged kJudged[] = {
    {"throughput.observations_per_second", true, "limits.grpc_sink.observations_per_second", 0.02},
    {"latency.observe.p50_seconds", false, "limits.disk_sync.observations_per_second", 0.05},
    {"latency.observe.p99_seconds", false, "limits.disk_sync.observations_per_second", 0.1},
    {"latency.durable.p50_seconds", false, "limits.disk_sync.observations_per_second", 0.05},
    {"latency.durable.p99_seconds", false, "limits.disk_sync.observations_per_second", 0.1},
    {"latency.indexed.p50_seconds", false, "limits.disk_sync.observations_per_second", 0.05},
    {"latency.indexed.p99_seconds", false, "limits.disk_sync.observations_per_second", 0.1},
    {"latency.recall.p50_seconds", false, "limits.memory_scan.observations_per_second", 0.05},
    {"latency.recall.p99_seconds", false, "limits.memory_scan.observations_per_second", 0.1},
    {"recall.at_10", true, "", 0.01},
    {"resources.daemon_cpu_seconds_per_million", false, "limits.grpc_sink.observations_per_second", 0.02},
    {"resources.peak_memory_bytes", false, "", 0.05},
};

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

Compared::Verdict VerdictOf(const Compared& compared, bool more_is_better, double threshold) {
  const double change = std::abs(compared.ratio - 1);
  if (change <= threshold || change <= compared.noise) return Compared::Verdict::kSame;
  return (compared.ratio > 1) == more_is_better ? Compared::Verdict::kBetter : Compared::Verdict::kWorse;
}

// By how much the machine itself had become another, either way.
double DriftOf(const BenchDocument& base, const BenchDocument& now, const char* limit) {
  const auto was = base.Number(limit), is = now.Number(limit);
  if (!was || !is || *was <= 0 || *is <= 0) return 0;
  return std::abs(*is / *was - 1);
}

template <class Noise>
Comparison Compare(const BenchDocument& base, const BenchDocument& now, double threshold, const Noise& noise) {
  Comparison comparison;
  comparison.threshold = threshold;
  for (const Judged& judged : kJudged) {
    const auto was = base.Number(judged.path), is = now.Number(judged.path);
    if (!was || !is || *was <= 0) continue;
    Compared compared;
    compared.path = judged.path;
    compared.base = *was;
    compared.now = *is;
    compared.ratio = compared.least = compared.most = *is / *was;
    noise(judged, compared);
    compared.verdict = VerdictOf(compared, judged.more_is_better, threshold);
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
    default:
      return "same";
  }
}

}  // namespace

bool Comparison::Regressed() const {
  return std::any_of(figures.begin(), figures.end(),
                     [](const Compared& figure) { return figure.verdict == Compared::Verdict::kWorse; });
}

Comparison CompareStored(const BenchDocument& base, const BenchDocument& now, double threshold) {
  return Compare(base, now, threshold, [&](const Judged& judged, Compared& compared) {
    const Sample was = SampleOf(base.Rounds(judged.path)), is = SampleOf(now.Rounds(judged.path));
    compared.noise = judged.grain;
    if (was.count > 1 && is.count > 1 && was.mean > 0) {
      const double error = std::sqrt(was.deviation * was.deviation / static_cast<double>(was.count) +
                                     is.deviation * is.deviation / static_cast<double>(is.count));
      const double chance = StudentOf(std::min(was.count, is.count) - 1) * error / was.mean;
      compared.noise = std::max(compared.noise, chance);
    }
    compared.noise += DriftOf(base, now, judged.limit);
  });
}

Comparison CompareAlternating(const BenchDocument& base, const BenchDocument& now, double threshold) {
  Comparison comparison = Compare(base, now, threshold, [&](const Judged& judged, Compared& compared) {
    const std::vector<double> was = base.Rounds(judged.path), is = now.Rounds(judged.path);
    compared.noise = judged.grain;
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
  });
  comparison.alternating = true;
  return comparison;
}

std::vector<std::string> DifferencesOf(const BenchDocument& base, const BenchDocument& now) {
  std::vector<std::string> differences;
  for (const char* path : {"environment.cpu", "environment.cores", "config.durability", "config.arguments.dimension",
                           "config.arguments.batch", "config.arguments.streams", "config.arguments.rate",
                           "config.arguments.recalls_per_second", "config.arguments.preload", "config.arguments.k"}) {
    const Json *was = base.Find(path), *is = now.Find(path);
    if (was == nullptr || is == nullptr || *was == *is) continue;
    const std::string name = std::string(path).substr(std::string(path).rfind('.') + 1);
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
  document.Put("comparison", Json{{"base", base},
                                  {"alternating", comparison.alternating},
                                  {"threshold", comparison.threshold},
                                  {"regressed", comparison.Regressed()},
                                  {"figures", std::move(figures)}});
}

}  // namespace engram
