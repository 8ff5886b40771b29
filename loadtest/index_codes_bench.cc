// What codes cost to make and to scan, and what they find, against a scan in full precision.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "index/code_scan.h"
#include "index/kernels.h"
#include "index/kept_rows.h"
#include "loadtest/index_bench.h"

namespace engram {
namespace {

constexpr uint32_t kWanted = 10;
constexpr uint32_t kRead = 30;

// Reads back from memory: the disk is not what is measured.
class InMemory : public VectorSource {
 public:
  explicit InMemory(const UnitVectors& vectors) : vectors_(vectors) {}
  void Read(std::span<const Ordinal> ordinals, float* rows) const override {
    for (const Ordinal ordinal : ordinals) {
      rows = std::copy(vectors_[ordinal].begin(), vectors_[ordinal].end(), rows);
    }
  }

 private:
  const UnitVectors& vectors_;
};

class CodesBench {
 public:
  CodesBench(uint32_t dimension, uint32_t latent, const IndexBenchOptions& options)
      : vectors_(1, dimension, latent, options.count + options.queries),
        count_(static_cast<Ordinal>(options.count)),
        queries_(options.queries),
        source_(vectors_),
        slab_(Metric::kCosine, dimension) {
    for (size_t i = 0; i < queries_; ++i) {
      const std::vector<uint32_t> closest = vectors_.Closest(Query(i), count_);
      truth_.emplace_back(closest.begin(), closest.end());
    }
    slab_.Reserve(count_);
    for (Ordinal o = 0; o < count_; ++o) slab_.Append(o, vectors_[o].data());
    slab_.Publish(count_);
    slab_.MakeBits(count_);
  }

  // Microseconds a vector, without page faults: the second time over.
  double EncodeMicros(Metric metric) const {
    const Coder coder(metric, vectors_.dimension());
    const AlignedFloats code(coder.stride());
    std::vector<uint64_t> bits(coder.bit_words());
    const size_t some = std::min<size_t>(count_, 20000);
    Stopwatch watch;
    for (size_t i = 0; i < some; ++i) {
      coder.Encode(vectors_[i].data(), reinterpret_cast<int8_t*>(code.data()), bits.data());
    }
    return watch.Micros() / static_cast<double>(some);
  }

  // The scan in full precision that codes replace.
  double FloatMillis() const {
    KeptRows kept(vectors_.dimension());
    kept.Reserve(count_);
    for (Ordinal o = 0; o < count_; ++o) std::copy(vectors_[o].begin(), vectors_[o].end(), kept.RowOf(o).begin());
    const size_t some = std::min<size_t>(queries_, 20);
    Stopwatch watch;
    for (size_t i = 0; i < some; ++i) {
      TopK top(kWanted, count_);
      float dots[BlockExtents::kBlockRows];
      for (Ordinal o = 0; o < count_; o += BlockExtents::kBlockRows) {
        const size_t rows = std::min<size_t>(BlockExtents::kBlockRows, count_ - o);
        BestKernels().dot_rows(Query(i).data(), std::as_const(kept).RowOf(o).data(), vectors_.dimension(), rows, vectors_.dimension(), dots);
        for (size_t r = 0; r < rows; ++r) {
          if (dots[r] >= top.floor()) top.Offer({o + static_cast<Ordinal>(r), dots[r]});
        }
      }
    }
    return Millis(watch, some);
  }

  // Milliseconds per 100 000, reading the best thirty again included.
  template <class Scan>
  void Measure(const std::string& name, const Scan& scan, FigureTable::Row& row) const {
    size_t found = 0;
    Stopwatch watch;
    for (size_t i = 0; i < queries_; ++i) {
      TopK candidates(kRead, count_);
      scan(CodeQuery(slab_.coder(), Query(i)), candidates);
      std::vector<Ordinal> ordinals;
      for (const SearchHit& hit : candidates.Take()) ordinals.push_back(hit.ordinal);
      Reranker reranker(Metric::kCosine, Query(i), source_);
      TopK top(kWanted, kRead);
      reranker.Offer(ordinals, top);
      for (const SearchHit& hit : top.Take()) found += truth_[i].count(hit.ordinal);
    }
    const double millis = Millis(watch, queries_);
    row.emplace_back(name + "_ms", fmt::format("{:.2f}", millis));
    row.emplace_back(name + "_recall", Recall(found));
  }

  void MeasureExact(FigureTable::Row& row) const {
    uint64_t read = 0;
    size_t found = 0;
    Stopwatch watch;
    for (size_t i = 0; i < queries_; ++i) {
      const ExactScan result = ScanExact(slab_, Query(i), All(), kWanted, source_);
      read += result.read;
      for (const SearchHit& hit : result.hits) found += truth_[i].count(hit.ordinal);
    }
    row.emplace_back("exact_ms", fmt::format("{:.2f}", Millis(watch, queries_)));
    row.emplace_back("exact_recall", Recall(found));
    row.emplace_back("exact_read", fmt::format("{}", read / queries_));
  }

  const CodeSlab& slab() const { return slab_; }
  ScanScope All() const { return {0, count_, count_, nullptr}; }

 private:
  std::span<const float> Query(size_t i) const { return vectors_[count_ + i]; }
  std::string Recall(size_t found) const {
    return fmt::format("{:.4f}", static_cast<double>(found) / static_cast<double>(kWanted * queries_));
  }
  double Millis(const Stopwatch& watch, size_t scans) const {
    return watch.Micros() / 1e3 / static_cast<double>(scans) / (static_cast<double>(count_) / 1e5);
  }

  const UnitVectors vectors_;
  const Ordinal count_;
  const size_t queries_;
  const InMemory source_;
  CodeSlab slab_;
  std::vector<std::set<uint32_t>> truth_;
};

}  // namespace

void BenchCodes(const IndexBenchOptions& options, FigureTable& table) {
  for (const uint32_t dimension : options.dimensions) {
    for (const uint32_t latent : options.latents) {
      const CodesBench bench(dimension, latent, options);
      const CodeSlab& slab = bench.slab();
      FigureTable::Row row = {{"dimension", fmt::format("{}", dimension)}, {"latent", fmt::format("{}", latent)}};
      row.emplace_back("bytes", fmt::format("{}", slab.resident_bytes() / slab.size()));
      row.emplace_back("encode_bytes_us", fmt::format("{:.3f}", bench.EncodeMicros(Metric::kInnerProduct)));
      row.emplace_back("encode_us", fmt::format("{:.3f}", bench.EncodeMicros(Metric::kCosine)));
      row.emplace_back("float_ms", fmt::format("{:.2f}", bench.FloatMillis()));
      bench.Measure("int8", [&](const CodeQuery& query, TopK& top) { ScanCodes(slab, query, bench.All(), top); }, row);
      if (slab.bits()) {
        for (const uint32_t keep : {400u, 800u, 1600u}) {
          // Whether they are the best is not asked: the recall shows it.
          const auto scan = [&](const CodeQuery& query, TopK& top) {
            ScanBits(slab, query, bench.All(), keep, 0, top);
          };
          bench.Measure(fmt::format("bits{}", keep), scan, row);
        }
        const auto quick = [&](const CodeQuery& query, TopK& top) {
          ScanQuickly(slab, query, bench.All(), kWanted, top);
        };
        bench.Measure("quick", quick, row);
      }
      bench.MeasureExact(row);
      table.Add(std::move(row));
    }
  }
}

}  // namespace engram
