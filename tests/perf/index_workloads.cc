// What recalls and linking do: the scans, the walk, the insertion into the graph.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "index/space_index.h"
#include "tests/perf/made_input.h"
#include "tests/perf/workload.h"

namespace engram::perf {
namespace {

struct Shape {
  uint64_t seed = 0;
  uint32_t dimension = 768;
  size_t rows = 0;
  uint64_t flat_threshold = 1'000'000;
};

// An index of made vectors, which it reads back as a recall does from the journal.
class IndexWorkload : public Workload, protected VectorSource {
 protected:
  IndexWorkload(const Shape& shape, size_t cues) : vectors_(shape.seed, shape.dimension) {
    IndexOptions options;
    options.dimension = shape.dimension;
    options.flat_threshold = shape.flat_threshold;
    index_ = SpaceIndex::Create(options);
    rows_ = vectors_.Next(shape.rows);
    cues_ = vectors_.Next(cues);
    std::vector<std::string> ids;
    for (size_t i = 0; i < rows_.size(); ++i) ids.push_back(fmt::format("note-{:08}", i));
    std::vector<SpaceIndex::Entry> entries;
    for (size_t i = 0; i < rows_.size(); ++i) entries.push_back({ids[i], AsEmbedding(rows_[i])});
    index_->Append(entries);
  }

  void Search(const Vector& cue) {
    SearchRequest request;
    request.query = cue;
    request.source = this;
    const SearchResult result = index_->Search(request, index_->Pin());
    ENGRAM_CHECK(result.hits.size() == request.k);
    graph_candidates_ += result.graph_candidates;
    tail_scanned_ += result.tail_scanned;
    exact_ += result.exact;
  }

  SpaceIndex& index() { return *index_; }
  const std::vector<Vector>& cues() const { return cues_; }
  size_t rows() const { return rows_.size(); }

  uint64_t graph_candidates_ = 0;
  uint64_t tail_scanned_ = 0;
  uint64_t exact_ = 0;

 private:
  void Read(std::span<const Ordinal> ordinals, float* out) const override {
    for (const Ordinal ordinal : ordinals) out = std::copy(rows_[ordinal].begin(), rows_[ordinal].end(), out);
  }

  MadeVectors vectors_;
  std::vector<Vector> rows_;
  std::vector<Vector> cues_;
  std::unique_ptr<SpaceIndex> index_;
};

// Without a graph: every vector is looked at.
class Scan : public IndexWorkload {
 public:
  Scan(const Shape& shape, size_t cues, bool exact) : IndexWorkload(shape, cues), expect_exact_(exact) {
    while (index().MakeBits(1024) > 0) {
    }
  }

  void Run() override {
    for (const Vector& cue : cues()) Search(cue);
    ENGRAM_CHECK(graph_candidates_ == 0 && tail_scanned_ == operations());
    ENGRAM_CHECK(exact_ == (expect_exact_ ? cues().size() : 0));
  }
  uint64_t operations() const override { return cues().size() * rows(); }

 private:
  const bool expect_exact_;
};

// So few that all are looked at: in full precision against bytes.
class ScanExactly final : public Scan {
 public:
  ScanExactly() : Scan({.seed = 21, .rows = 2000}, 10, true) {}
};

// Beyond that, bytes against bytes: of this dimension there are no bits.
class ScanBytes final : public Scan {
 public:
  ScanBytes() : Scan({.seed = 22, .dimension = 128, .rows = 9000}, 20, false) {}
};

// By bits, then the best of those by bytes.
class ScanBits final : public Scan {
 public:
  ScanBits() : Scan({.seed = 23, .rows = 9000}, 20, false) {}
};

class Walk final : public IndexWorkload {
 public:
  Walk() : IndexWorkload({.seed = 24, .rows = kRows, .flat_threshold = 100}, kCues) {
    while (index().link_backlog() > 0) index().Link(kRows, nullptr);
  }

  void Run() override {
    for (const Vector& cue : cues()) Search(cue);
    ENGRAM_CHECK(graph_candidates_ > 0 && tail_scanned_ == 0);
  }
  uint64_t operations() const override { return kCues; }

 private:
  static constexpr size_t kRows = 1500;
  static constexpr size_t kCues = 100;
};

class Insert final : public IndexWorkload {
 public:
  Insert() : IndexWorkload({.seed = 25, .rows = kBefore + kInserted, .flat_threshold = 100}, 0) {
    ENGRAM_CHECK(index().Link(kBefore, nullptr) == kBefore);
  }

  void Run() override { ENGRAM_CHECK(index().Link(kInserted, nullptr) == kInserted); }
  uint64_t operations() const override { return kInserted; }

 private:
  static constexpr size_t kBefore = 600;
  static constexpr size_t kInserted = 300;
};

template <typename T>
std::unique_ptr<Workload> Make() {
  return std::make_unique<T>();
}

constexpr NamedWorkload kWorkloads[] = {
    {"scan_exact", "vector", Make<ScanExactly>}, {"scan_bytes", "vector", Make<ScanBytes>},
    {"scan_bits", "vector", Make<ScanBits>},     {"walk", "recall", Make<Walk>},
    {"insert", "vector", Make<Insert>},
};

}  // namespace

std::span<const NamedWorkload> IndexWorkloads() { return kWorkloads; }

}  // namespace engram::perf
