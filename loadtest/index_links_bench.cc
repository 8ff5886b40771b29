// What linking costs and what the graph then finds, beside hnswlib as it comes on the same vectors in the same run.
#include "loadtest/index_bench.h"

#include <fmt/core.h>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "index/code_graph.h"
#include "index/code_query.h"
#include "index/code_slab.h"
#include "index/kernels.h"
#include "tests/index/stock_hnswlib.h"

namespace engram {
namespace {

constexpr uint32_t kAskedForThemselves = 100'000;
constexpr uint32_t kTurns = 8;

struct Setup {
  uint32_t dimension = 768;
  uint32_t count = 20000;
  uint32_t latent = 24;
  uint32_t clusters = 0;
  uint32_t m = 16;
  uint32_t threads = 1;
  uint32_t queries = 300;
  bool stock = true;
  std::string file;  // Empty: seeded vectors.
  std::vector<uint32_t> efc = {96};
};

using Best = std::vector<std::pair<float, uint32_t>>;

Best Top10(Best all) {
  const size_t k = std::min<size_t>(10, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(k), all.end());
  all.resize(k);
  return all;
}

struct Ours {
  Ours(const CodeSlab& slab, const Setup& setup, uint32_t width, uint32_t threads)
      : efc(width), micros(threads), graph(slab, {.max_connections = setup.m, .ef_construction = width}) {}

  void Insert(uint32_t from, uint32_t end) {
    std::atomic<uint32_t> next{from};
    std::vector<std::jthread> threads;
    for (double& used : micros) {
      threads.emplace_back([&] {
        const Stopwatch watch;
        for (uint32_t i = next++; i < end; i = next++) {
          if (!graph.Insert(i)) std::abort();
        }
        used += watch.Micros();
      });
    }
  }

  // What the threads would do with a core each, however they shared the work.
  double Rate(uint32_t count) const {
    const double used = std::accumulate(micros.begin(), micros.end(), 0.0);
    return count * 1e6 * static_cast<double>(micros.size()) / used;
  }

  const uint32_t efc;
  std::vector<double> micros;  // Of each thread.
  CodeGraph graph;
};

class LinkBench {
 public:
  LinkBench(const Setup& setup, UnitVectors vectors) : setup_(setup), vectors_(std::move(vectors)) {
    for (uint32_t q = 0; q < setup.queries; ++q) {
      truth_.push_back(vectors_.Closest(vectors_[setup.count + q], setup.count));
    }
    slab_.Reserve(setup.count);
    const Stopwatch watch;
    for (uint32_t i = 0; i < setup.count; ++i) slab_.Append(i, vectors_[i].data());
    slab_.Publish(setup.count);
    slab_.MakeBits(setup.count);
    fmt::print("\n{}-d, {} vectors, {}, M {}: encoding {:.2f} us each\n", setup.dimension, setup.count,
               setup.file.empty() ? fmt::format("latent {}, clusters {}", setup.latent, setup.clusters) : setup.file, setup.m,
               watch.Micros() / setup.count);
    fmt::print("{:<22} {:>10} {:>7} {:>8}  recall@10 / us at ef 32, 64, 128, 256; not found by themselves at 64\n", "", "inserts/s", "ratio", "B/node");
  }

  void Run() {
    std::optional<testing::StockHnswlib> stock;
    if (setup_.stock) stock.emplace(setup_.dimension, setup_.count, setup_.m, 200);
    double stock_micros = 0;
    std::deque<Ours> ours;
    for (const uint32_t efc : setup_.efc) {
      ours.emplace_back(slab_, setup_, efc, 1);
      if (setup_.threads > 1) ours.emplace_back(slab_, setup_, efc, setup_.threads);
    }
    // In turns, for a machine shared with others has slow minutes; and not in many, for each begins with the other side in
    // the caches.
    const uint32_t turn = std::max(1u, setup_.count / kTurns);
    for (uint32_t from = 0; from < setup_.count; from += turn) {
      const uint32_t end = std::min(setup_.count, from + turn);
      if (stock) {
        const Stopwatch watch;
        for (uint32_t i = from; i < end; ++i) stock->Add(vectors_[i].data(), i);
        stock_micros += watch.Micros();
      }
      for (Ours& one : ours) one.Insert(from, end);
    }
    if (stock) {
      stock_rate_ = setup_.count * 1e6 / stock_micros;
      PrintRow("stock f32, 200", stock_rate_, 0, [&](std::span<const float> query, uint32_t ef) {
        return stock->Search(query.data(), 10, ef);
      });
    }
    for (const Ours& one : ours) Print(one);
  }

 private:
  float Distance(std::span<const float> query, uint32_t i) const {
    return -BestKernels().dot(query.data(), vectors_[i].data(), setup_.dimension);
  }

  template <typename Search>
  void PrintRow(const std::string& name, double rate, double bytes, const Search& search) {
    fmt::print("{:<22} {:>10.0f} {:>7.2f} {:>8.0f} ", name, rate, stock_rate_ > 0 ? rate / stock_rate_ : 0, bytes);
    for (const uint32_t ef : {32u, 64u, 128u, 256u}) {
      int found = 0;
      double micros = 0;
      for (uint32_t q = 0; q < setup_.queries; ++q) {
        const Stopwatch watch;
        const std::vector<uint32_t> best = search(vectors_[setup_.count + q], ef);
        micros += watch.Micros();
        for (const uint32_t i : truth_[q]) found += std::find(best.begin(), best.end(), i) != best.end();
      }
      fmt::print(" {:.3f}/{:.0f}", found / (10.0 * setup_.queries), micros / setup_.queries);
    }
    uint32_t lost = 0;
    const uint32_t asked = std::min(setup_.count, kAskedForThemselves);
    for (uint32_t n = 0; n < asked; ++n) {
      const auto i = static_cast<uint32_t>(uint64_t{n} * setup_.count / asked);
      const std::vector<uint32_t> best = search(vectors_[i], 64);
      lost += std::find(best.begin(), best.end(), i) == best.end();
    }
    fmt::print("; {} of {}\n", lost, asked);
  }

  void Print(const Ours& ours) {
    const CodeGraph& graph = ours.graph;
    PrintRow(fmt::format("ours, {}, {} thread(s)", ours.efc, ours.micros.size()), ours.Rate(setup_.count),
             static_cast<double>(graph.resident_bytes()) / setup_.count, [&](std::span<const float> query, uint32_t ef) {
               auto walk = graph.Search(CodeQuery(slab_.coder(), query), ef, {.end = setup_.count, .visible = setup_.count});
               auto& found = walk->found;
               const size_t keep = std::min<size_t>(30, found.size());
               std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(keep), found.end(),
                                 [](const auto& a, const auto& b) { return a.similarity > b.similarity; });
               Best exact;
               for (size_t i = 0; i < keep; ++i) exact.emplace_back(Distance(query, found[i].ordinal), found[i].ordinal);
               std::vector<uint32_t> best;
               for (const auto& [distance, i] : Top10(std::move(exact))) best.push_back(i);
               return best;
             });
  }

  const Setup setup_;
  const UnitVectors vectors_;
  CodeSlab slab_{Metric::kCosine, setup_.dimension};
  std::vector<std::vector<uint32_t>> truth_;
  double stock_rate_ = 0;
};

}  // namespace

int BenchLinks(std::span<const std::string_view> arguments) {
  Setup setup;
  const std::map<std::string_view, uint32_t*> numbers = {{"dimension", &setup.dimension}, {"count", &setup.count},
                                                         {"latent", &setup.latent},       {"m", &setup.m},
                                                         {"threads", &setup.threads},     {"queries", &setup.queries},
                                                         {"clusters", &setup.clusters}};
  for (const std::string_view argument : arguments) {
    const size_t equals = std::min(argument.find('='), argument.size());
    const std::string_view name = argument.substr(0, equals);
    const std::string value(argument.substr(std::min(equals + 1, argument.size())));
    if (const auto number = numbers.find(name); number != numbers.end()) {
      *number->second = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    } else if (name == "stock") {
      setup.stock = value != "0";
    } else if (name == "file") {
      setup.file = value;
    } else if (name == "efc") {
      setup.efc.clear();
      for (size_t at = 0; at < value.size();) {
        const size_t comma = std::min(value.find(',', at), value.size());
        setup.efc.push_back(static_cast<uint32_t>(std::strtoul(value.substr(at, comma - at).c_str(), nullptr, 10)));
        at = comma + 1;
      }
    } else {
      fmt::print(stderr, "not an argument of the link bench: {}\n", argument);
      return 2;
    }
  }
  if (setup.file.empty()) {
    LinkBench(setup, UnitVectors(17, setup.dimension, setup.latent, setup.count + setup.queries, setup.clusters)).Run();
    return 0;
  }
  auto vectors = UnitVectors::Read(setup.file);
  if (!vectors || vectors->size() <= setup.queries) {
    fmt::print(stderr, "not an .fbin of more than {} rows: {}\n", setup.queries, setup.file);
    return 2;
  }
  setup.dimension = vectors->dimension();
  setup.count = static_cast<uint32_t>(vectors->size()) - setup.queries;
  LinkBench(setup, *std::move(vectors)).Run();
  return 0;
}

}  // namespace engram
