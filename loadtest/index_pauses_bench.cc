// How long a search is held up where the graph grows: while one thread links a million vectors, another one searches, and
// those searches are told apart during which room for twice as many nodes was made or the top level was raised.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "index/code_graph.h"
#include "index/code_query.h"
#include "index/code_slab.h"
#include "index/level_generator.h"
#include "loadtest/index_bench.h"

namespace engram {
namespace {

constexpr uint32_t kQueries = 1000, kWidth = 64, kConnections = 16, kFirstExtent = 1024;

int64_t NowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Span {
  int64_t began, ended;

  bool Overlaps(const Span& other) const { return began <= other.ended && other.began <= ended; }
  double Millis() const { return static_cast<double>(ended - began) / 1e6; }
};

// What so large a share of the figures, which are sorted, do not exceed.
double Share(const std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

// Whether the insertion of a node opens an extent of index/link_table.h: those begin behind 1024 x (2^n - 1) nodes.
bool OpensExtent(uint32_t node) {
  const uint32_t extents = node / kFirstExtent + 1;
  return node % kFirstExtent == 0 && (extents & (extents - 1)) == 0;
}

}  // namespace

int BenchPauses(std::span<const std::string_view> arguments) {
  uint32_t count = 1'000'000, dimension = 128;
  const std::map<std::string_view, uint32_t*> numbers = {{"count", &count}, {"dimension", &dimension}};
  for (const std::string_view argument : arguments) {
    const size_t equals = std::min(argument.find('='), argument.size());
    const auto number = numbers.find(argument.substr(0, equals));
    const std::string value(argument.substr(std::min(equals + 1, argument.size())));
    const uint64_t given = std::strtoul(value.c_str(), nullptr, 10);
    if (number == numbers.end() || given == 0 || given > 100'000'000) {
      fmt::print(stderr, "not an argument of the pause bench: {}\n", argument);
      return 2;
    }
    *number->second = static_cast<uint32_t>(given);
  }
  const UnitVectors vectors(17, dimension, 24, size_t{count} + kQueries);
  CodeSlab slab(Metric::kCosine, dimension);
  slab.Reserve(count);
  for (uint32_t i = 0; i < count; ++i) slab.Append(i, vectors[i].data());
  slab.Publish(count);
  slab.MakeBits(count);

  const LevelGenerator levels(CodeGraphOptions().seed, kConnections);
  CodeGraph graph(slab, {.max_connections = kConnections});
  std::vector<Span> searches, extents, raises;
  std::atomic<bool> linked{false};  // Relaxed: seen by the next search.
  {
    const std::jthread searcher([&] {
      uint32_t q = 0;
      do {
        const int64_t began = NowNanos();
        const auto walk = graph.Search(CodeQuery(slab.coder(), vectors[count + q++ % kQueries]), kWidth,
                                       {.end = count, .visible = count});
        if (!walk) std::abort();
        searches.push_back({began, NowNanos()});
      } while (!linked.load(std::memory_order_relaxed));
    });
    int32_t top = -1;
    for (uint32_t i = 0; i < count; ++i) {
      const auto level = static_cast<int32_t>(levels.LevelOf(i));
      const int64_t began = NowNanos();
      if (!graph.Insert(i)) std::abort();
      if (OpensExtent(i)) extents.push_back({began, NowNanos()});
      if (level > top) raises.push_back({began, NowNanos()});
      top = std::max(top, level);
    }
    linked.store(true, std::memory_order_relaxed);
  }

  std::vector<double> millis;
  for (const Span& search : searches) millis.push_back(search.Millis());
  std::sort(millis.begin(), millis.end());
  const auto longest = [&](const std::vector<Span>& during) {
    double most = 0;
    for (const Span& search : searches) {
      const bool overlaps = std::any_of(during.begin(), during.end(), [&](const Span& s) { return s.Overlaps(search); });
      if (overlaps) most = std::max(most, search.Millis());
    }
    return most;
  };
  fmt::print("\nSearches (ef {}) while another thread links {} vectors of {}-d, ms\n", kWidth, count, dimension);
  fmt::print("{:>10} {:>7} {:>7} {:>7} {:>7}\n", "searches", "p50", "p99", "p99.9", "max");
  fmt::print("{:>10} {:>7.3f} {:>7.3f} {:>7.3f} {:>7.3f}\n", millis.size(), Share(millis, 0.5), Share(millis, 0.99),
             Share(millis, 0.999), millis.back());
  fmt::print("the longest during one of {} extents {:.3f}, of {} raises of the top level {:.3f}\n", extents.size(),
             longest(extents), raises.size(), longest(raises));
  return 0;
}

}  // namespace engram
