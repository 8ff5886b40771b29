// How often a comparison errs, found out by making both sides up: a program beside itself, and beside one that is slower.
// Seeded, so it is the same each time.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "loadtest/measure/compare.h"

namespace engram {
namespace {

constexpr int kTrials = 2000;

// All that two reports are compared by, judged or not, at rates and at what should be small.
const std::vector<std::string>& Rates() {
  static const auto* paths =
      new std::vector<std::string>{"throughput.observations_per_second", "throughput.kept_per_second"};
  return *paths;
}
const std::vector<std::string>& Costs() {
  static const auto* paths = [] {
    auto* all = new std::vector<std::string>{"resources.daemon_cpu_seconds_per_million"};
    for (const char* name : {"observe", "durable", "indexed", "recall"}) {
      for (const char* quantile : {"p50", "p90", "p95", "p99"}) {
        all->push_back(std::string("latency.") + name + "." + quantile + "_seconds");
      }
    }
    for (const char* stage : {"queue", "encode", "journal", "publish", "walk", "rerank", "durable", "recall"}) {
      all->push_back(std::string("stages.") + stage + ".p50_seconds");
    }
    return all;
  }();
  return *paths;
}

class MadeUpReports {
 public:
  explicit MadeUpReports(uint64_t seed) : random_(seed) {}

  // One whose rounds spread log-normally about what a program would do that takes so many times as long: for all it
  // does, and for the burst alone.
  BenchDocument Make(size_t rounds, double spread, double slower = 1, double burst = 1) {
    std::normal_distribution<double> normal(0, spread);
    BenchDocument document;
    const auto put = [&](const std::string& path, double middle) {
      std::vector<double> values(rounds);
      for (double& value : values) value = middle * std::exp(normal(random_));
      document.PutRounds(path, values);
      std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(rounds / 2), values.end());
      document.Put(path, values[rounds / 2]);
    };
    for (const std::string& path : Rates()) put(path, 1e5 / slower / (path == Rates().front() ? burst : 1));
    for (const std::string& path : Costs()) put(path, 0.01 * slower);
    return document;
  }
  double Spread() { return std::uniform_real_distribution<double>(0.1, 0.2)(random_); }

 private:
  std::mt19937_64 random_;
};

using How = Comparison (*)(const BenchDocument&, const BenchDocument&, double);

// The share of trials that find a regression. Of a spread of 0 each trial has its own.
double Regressing(How compare, size_t rounds, double spread, int trials, double slower = 1, double burst = 1) {
  MadeUpReports reports(1000 * rounds + 1);
  int found = 0;
  for (int i = 0; i < trials; ++i) {
    const double by = spread > 0 ? spread : reports.Spread();
    const BenchDocument base = reports.Make(rounds, by), now = reports.Make(rounds, by, slower, burst);
    found += compare(base, now, 0.05).Regressed() ? 1 : 0;
  }
  return static_cast<double>(found) / trials;
}

TEST(CompareSimulationTest, AProgramBesideItselfHardlyEverRegresses) {
  for (const size_t rounds : {3, 5, 10}) {
    EXPECT_LT(Regressing(CompareStored, rounds, 0, kTrials), 0.02) << rounds << " rounds, stored";
    EXPECT_LT(Regressing(CompareAlternating, rounds, 0, kTrials), 0.02) << rounds << " rounds, taking turns";
  }
}

TEST(CompareSimulationTest, AProgramThatTakesAThirdMoreIsFoundNearlyAlways) {
  EXPECT_GT(Regressing(CompareStored, 10, 0.1, 500, 1.3), 0.99);
  EXPECT_GT(Regressing(CompareAlternating, 10, 0.1, 500, 1.3), 0.99);
}

TEST(CompareSimulationTest, AThroughputAloneThatFellByAThirdIsFoundToo) {
  EXPECT_GT(Regressing(CompareStored, 10, 0.1, 500, 1, 1 / 0.7), 0.95);
  EXPECT_GT(Regressing(CompareAlternating, 10, 0.1, 500, 1, 1 / 0.7), 0.9);
}

}  // namespace
}  // namespace engram
