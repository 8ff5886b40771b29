// What the index costs on this machine. Prints a table; asserts nothing.
//
//   index_bench [append|scan|graph|threshold]...   (all of them without an argument)
//
// Ratios within one run mean something; absolute figures drift from hour to hour.
#include <fmt/core.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "index/kernels.h"
#include "index/space_index.h"
#include "tests/index/stock_hnswlib.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AsEmbedding;
using testing::ClusteredVectors;
using testing::StockHnswlib;
using testing::Vector;

constexpr uint64_t kSeed = 1;
constexpr uint32_t kBatch = 200;

// Processor time of this thread: the machine has other work.
class Stopwatch {
 public:
  double Micros() const { return Now() - start_; }

 private:
  static double Now() {
    timespec now = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
  }

  const double start_ = Now();
};

// Unit vectors in one piece of memory, so the source of the data is not what is measured.
struct Data {
  Data(uint32_t dimension, size_t count, uint64_t seed) : dimension(dimension) {
    ClusteredVectors source(seed, dimension, 100, 24);
    elements.reserve(count * dimension);
    for (size_t i = 0; i < count; ++i) {
      Vector vector = source.Next();
      double squares = 0;
      for (float x : vector) squares += double{x} * x;
      for (float x : vector) elements.push_back(static_cast<float>(x / std::sqrt(squares)));
      ids.push_back(fmt::format("obs-{:016x}", i * 0x9e3779b97f4a7c15));
    }
  }
  size_t size() const { return ids.size(); }
  std::span<const float> operator[](size_t i) const { return {elements.data() + i * dimension, dimension}; }
  SpaceIndex::Entry Entry(size_t i) const {
    return {ids[i], {reinterpret_cast<const std::byte*>((*this)[i].data()), dimension, Encoding::kF32}};
  }

  uint32_t dimension;
  std::vector<float> elements;
  std::vector<std::string> ids;
};

std::unique_ptr<SpaceIndex> MakeIndex(uint32_t dimension, uint64_t flat_threshold) {
  IndexOptions options;
  options.dimension = dimension;
  options.flat_threshold = flat_threshold;
  options.keep_rows = true;
  return SpaceIndex::Create(options);
}

void Append(SpaceIndex& index, const Data& data, size_t from, size_t to) {
  std::vector<SpaceIndex::Entry> entries;
  for (size_t at = from; at < to; at += kBatch) {
    entries.clear();
    for (size_t i = at; i < std::min<size_t>(to, at + kBatch); ++i) entries.push_back(data.Entry(i));
    index.Append(entries);
  }
}

// A virtual machine's memory costs most when it is touched for the first time since boot; that is not ours to measure.
void TouchMemory(size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  std::memset(memory, 1, bytes);
  munmap(memory, bytes);
}

void BenchAppend() {
  fmt::print("\nappend, batches of {}: microseconds an observation, page faults and id map included\n", kBatch);
  fmt::print("{:>6} {:>10} {:>12} {:>12} {:>14}\n", "dim", "new", "replacing", "bytes each", "10K spaces x10");
  for (const uint32_t dimension : {128u, 384u, 768u}) {
    const size_t count = dimension == 128 ? 400000 : 100000;
    const Data data(dimension, std::min<size_t>(count, 20000), kSeed);
    // The vectors repeat, the ids do not.
    std::vector<std::string> ids;
    for (size_t i = 0; i < count; ++i) ids.push_back(fmt::format("obs-{:016x}", i * 0x9e3779b97f4a7c15));
    TouchMemory(size_t{2} << 30);
    const auto index = MakeIndex(dimension, UINT64_MAX);
    std::vector<SpaceIndex::Entry> entries;
    const auto all = [&] {
      Stopwatch watch;
      for (size_t at = 0; at < count; at += kBatch) {
        entries.clear();
        for (size_t i = at; i < at + kBatch; ++i) {
          entries.push_back(data.Entry(i % data.size()));
          entries.back().id = ids[i];
        }
        index->Append(entries);
      }
      return watch.Micros() / static_cast<double>(count);
    };
    const double fresh = all();
    const double bytes = static_cast<double>(index->resident_bytes()) / static_cast<double>(count);
    const double replacing = all();
    Stopwatch watch;
    {
      std::vector<std::unique_ptr<SpaceIndex>> spaces;
      for (int s = 0; s < 10000; ++s) {
        spaces.push_back(MakeIndex(dimension, UINT64_MAX));
        Append(*spaces.back(), data, 0, 10);
      }
    }
    fmt::print("{:>6} {:>10.3f} {:>12.3f} {:>12.0f} {:>14.3f}\n", dimension, fresh, replacing, bytes,
               watch.Micros() / 100000);
  }
}

void BenchScan() {
  fmt::print("\nscan of everything, kernels {}: microseconds per 10 000\n", KernelName());
  fmt::print("{:>6} {:>10} {:>10} {:>10}\n", "dim", "10K", "50K", "GB/s 50K");
  for (const uint32_t dimension : {128u, 384u, 768u}) {
    const Data data(dimension, 50000, kSeed);
    const auto index = MakeIndex(dimension, UINT64_MAX);
    double micros[2] = {};
    for (int step = 0; step < 2; ++step) {
      const size_t upto = step == 0 ? 10000 : 50000;
      Append(*index, data, index->size(), upto);
      constexpr int kRounds = 40;
      SearchRequest request;
      request.query = data[7];
      index->Search(request, index->Pin());
      Stopwatch watch;
      for (int i = 0; i < kRounds; ++i) {
        request.query = data[static_cast<size_t>(i)];
        index->Search(request, index->Pin());
      }
      micros[step] = watch.Micros() / kRounds / (static_cast<double>(upto) / 10000);
    }
    fmt::print("{:>6} {:>10.0f} {:>10.0f} {:>10.1f}\n", dimension, micros[0], micros[1],
               dimension * 4.0 * 10000 / micros[1] / 1000);
  }
}

std::vector<std::set<uint32_t>> Truth(const SpaceIndex& index, const Data& queries) {
  std::vector<std::set<uint32_t>> truth;
  for (size_t i = 0; i < queries.size(); ++i) {
    SearchRequest request;
    request.query = queries[i];
    request.exact = true;
    std::set<uint32_t> ordinals;
    for (const SearchHit& hit : index.Search(request, index.Pin()).hits) ordinals.insert(hit.ordinal);
    truth.push_back(ordinals);
  }
  return truth;
}

void BenchGraph() {
  fmt::print("\ngraph, M 16, ef_construction 200, one thread; recall@10 / microseconds a search\n");
  fmt::print("{:>6} {:>6} {:>8} {:>10} {:>7} {:>16} {:>16} {:>16}\n", "dim", "count", "which", "inserts/s", "ratio",
             "ef 32", "ef 64", "ef 128");
  for (const uint32_t dimension : {128u, 384u, 768u}) {
    const size_t count = 20000;
    const Data all(dimension, count + 300, kSeed);
    Data queries(dimension, 0, kSeed);
    for (size_t i = count; i < all.size(); ++i) {
      queries.elements.insert(queries.elements.end(), all[i].begin(), all[i].end());
      queries.ids.push_back(all.ids[i]);
    }
    const auto index = MakeIndex(dimension, 0);
    Append(*index, all, 0, count);
    const auto truth = Truth(*index, queries);
    StockHnswlib stock(dimension, count, 16, 200);

    // In turns of 1000, so the hour's weather is the same for both.
    double ours_micros = 0, stock_micros = 0;
    for (size_t at = 0; at < count; at += 1000) {
      Stopwatch ours_watch;
      index->Link(1000, nullptr);
      ours_micros += ours_watch.Micros();
      Stopwatch stock_watch;
      for (size_t i = at; i < at + 1000; ++i) stock.Add(all[i].data(), static_cast<uint32_t>(i));
      stock_micros += stock_watch.Micros();
    }
    std::string ours_row, stock_row;
    for (const uint32_t ef : {32u, 64u, 128u}) {
      int found = 0, stock_found = 0;
      Stopwatch watch;
      for (size_t i = 0; i < queries.size(); ++i) {
        SearchRequest request;
        request.query = queries[i];
        request.ef = ef;
        for (const SearchHit& hit : index->Search(request, index->Pin()).hits) found += truth[i].contains(hit.ordinal);
      }
      const double micros = watch.Micros() / static_cast<double>(queries.size());
      Stopwatch stock_watch;
      for (size_t i = 0; i < queries.size(); ++i) {
        for (const uint32_t label : stock.Search(queries[i].data(), 10, ef)) stock_found += truth[i].contains(label);
      }
      const double stock_search = stock_watch.Micros() / static_cast<double>(queries.size());
      const double wanted = 10.0 * static_cast<double>(queries.size());
      ours_row += fmt::format(" {:>8.3f} / {:>5.0f}", found / wanted, micros);
      stock_row += fmt::format(" {:>8.3f} / {:>5.0f}", stock_found / wanted, stock_search);
    }
    const double rate = static_cast<double>(count) * 1e6 / ours_micros;
    const double stock_rate = static_cast<double>(count) * 1e6 / stock_micros;
    fmt::print("{:>6} {:>6} {:>8} {:>10.0f} {:>7.2f} {}\n", dimension, count, "ours", rate, rate / stock_rate, ours_row);
    fmt::print("{:>6} {:>6} {:>8} {:>10.0f} {:>7} {}\n", dimension, count, "stock", stock_rate, "", stock_row);
  }
}

// Where a scan costs as much as a walk: below it a graph is not worth having.
void BenchThreshold() {
  fmt::print("\nscan against walk at ef 64, k 10: microseconds, recall@10 of the walk\n");
  fmt::print("{:>6} {:>8} {:>8} {:>8} {:>8} {:>10}\n", "dim", "count", "scan", "walk", "recall", "compared");
  for (const uint32_t dimension : {128u, 384u, 768u}) {
    const Data data(dimension, 20300, kSeed);
    const auto index = MakeIndex(dimension, 0);
    for (const size_t count : {1000u, 2000u, 4000u, 8000u, 12000u, 20000u}) {
      Append(*index, data, index->size(), count);
      while (index->link_backlog() != 0) index->Link(1000, nullptr);
      double micros[2] = {};
      int found = 0;
      uint64_t compared = 0;
      constexpr size_t kQueries = 300;
      std::vector<std::set<Ordinal>> truth(kQueries);
      for (int exact = 1; exact >= 0; --exact) {
        Stopwatch watch;
        for (size_t i = 0; i < kQueries; ++i) {
          SearchRequest request;
          request.query = data[20000 + i];
          request.exact = exact == 1;
          const SearchResult result = index->Search(request, index->Pin());
          compared += result.graph_candidates;
          for (const SearchHit& hit : result.hits) {
            if (exact == 1) {
              truth[i].insert(hit.ordinal);
            } else {
              found += truth[i].contains(hit.ordinal);
            }
          }
        }
        micros[exact] = watch.Micros() / kQueries;
      }
      fmt::print("{:>6} {:>8} {:>8.0f} {:>8.0f} {:>8.3f} {:>10}\n", dimension, count, micros[1], micros[0],
                 found / (10.0 * kQueries), compared / kQueries);
    }
  }
}

}  // namespace
}  // namespace engram

int main(int argc, char** argv) {
  const std::set<std::string> chosen(argv + 1, argv + argc);
  const auto wanted = [&](const char* name) { return chosen.empty() || chosen.contains(name); };
  if (wanted("append")) engram::BenchAppend();
  if (wanted("scan")) engram::BenchScan();
  if (wanted("graph")) engram::BenchGraph();
  if (wanted("threshold")) engram::BenchThreshold();
  return 0;
}
