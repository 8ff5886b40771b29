#include "index/flat_threshold.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "index/code_graph.h"
#include "index/code_query.h"
#include "index/code_scan.h"
#include "index/code_slab.h"
#include "index/filter_choice.h"
#include "index/top_k.h"

namespace engram {
namespace {

constexpr double kWidth = 64;
constexpr uint64_t kLeast = 1000;
constexpr uint64_t kMost = 20'000;
constexpr uint64_t kUnknown = 4000;

// How many a walk of that width compares where every node may be found. By bits it is half as wide again, and ranks the
// best three times the width by bytes.
double WalkLength(bool bits) {
  const double compared = kWidth * (kComparedPerWidth + kComparedPerWidthAndShare);
  return bits ? compared * 1.5 + 3 * kWidth : compared;
}

template <typename Run>
double LeastNanos(const Run& run) {
  constexpr int kRounds = 5;
  const RealClock clock;
  double least = INFINITY;
  for (int round = 0; round < kRounds; ++round) {
    const MonotonicTime begin = clock.Now();
    const uint64_t compared = run();
    const auto took = std::chrono::duration<double, std::nano>(clock.Now() - begin).count();
    if (compared != 0) least = std::min(least, took / static_cast<double>(compared));
  }
  return least;
}

}  // namespace

uint64_t FlatThreshold(const SearchCosts& costs, bool bits) {
  const double rows = WalkLength(bits) * costs.walked / costs.scanned;
  if (!(costs.scanned > 0) || !(costs.walked > 0) || !std::isfinite(rows)) return kUnknown;
  const double bounded = std::clamp(rows, static_cast<double>(kLeast), static_cast<double>(kMost));
  return static_cast<uint64_t>(std::lround(bounded / 100)) * 100;
}

SearchCosts MeasureSearchCosts(Metric metric, uint32_t dimension) {
  constexpr Ordinal kRows = 192;
  constexpr int kQueries = 4;
  std::mt19937_64 random(1);
  std::uniform_real_distribution<float> element(-1, 1);
  std::vector<float> vector(dimension);
  const auto next = [&]() -> const std::vector<float>& {
    for (float& e : vector) e = element(random);
    return vector;
  };
  CodeSlab slab(metric, dimension);
  slab.Reserve(kRows);
  for (Ordinal o = 0; o < kRows; ++o) slab.Append(o, next().data());
  slab.Publish(kRows);
  slab.MakeBits(kRows);
  CodeGraph graph(slab, {});
  for (Ordinal o = 0; o < kRows; ++o) graph.Insert(o);
  const CodeQuery query(slab.coder(), next());

  SearchCosts costs;
  costs.scanned = LeastNanos([&] {
    uint64_t compared = 0;
    for (int i = 0; i < kQueries; ++i) {
      TopK top(10, kRows);
      compared += ScanCodes(slab, query, {0, kRows, kRows, nullptr}, top);
    }
    return compared;
  });
  costs.walked = LeastNanos([&] {
    uint64_t compared = 0;
    for (int i = 0; i < kQueries; ++i) {
      const auto walk = graph.Search(query, static_cast<uint32_t>(kWidth), {.end = kRows, .visible = kRows});
      if (walk) compared += walk->compared;
    }
    return compared;
  });
  return costs;
}

uint64_t TunedFlatThreshold(Metric metric, uint32_t dimension) {
  static Mutex mu;
  static std::map<std::pair<Metric, uint32_t>, uint64_t> known;
  MutexLock lock(mu);
  uint64_t& threshold = known[{metric, dimension}];
  if (threshold == 0) {
    threshold = FlatThreshold(MeasureSearchCosts(metric, dimension), Coder(metric, dimension).bits());
  }
  return threshold;
}

}  // namespace engram
