// What the parts of engram-index-bench share: seeded vectors, the time they take, and the table of what was found.
//
// Threads: one.
// Why:     the index's figures need no daemon; ratios within one run mean something, absolute ones drift.
#pragma once

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

struct IndexBenchOptions {
  size_t count = 100000;  // Vectors of a set.
  size_t queries = 100;
  std::vector<uint32_t> dimensions = {128, 384, 768};
  std::vector<uint32_t> latents = {24, 96, 0};
};

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

// Unit vectors of `latent` dimensions within `dimension` and a tenth of noise; with 0, of nothing but noise. Around so many
// centres, half as far from theirs as those are from the middle; with 0, around none.
class UnitVectors {
 public:
  UnitVectors(uint64_t seed, uint32_t dimension, uint32_t latent, size_t count, uint32_t clusters = 0);
  // Those of an .fbin file (loadtest/vector_file.h), brought to length 1; none when it is no such file.
  static std::optional<UnitVectors> Read(const std::string& file);

  size_t size() const { return elements_.size() / dimension_; }
  uint32_t dimension() const { return dimension_; }
  std::span<const float> operator[](size_t i) const { return {elements_.data() + i * dimension_, dimension_}; }
  // The ten that are closest to `query` of the first `count`, in full precision.
  std::vector<uint32_t> Closest(std::span<const float> query, size_t count) const;

 private:
  UnitVectors() = default;
  void Add(std::span<const float> vector);

  uint32_t dimension_ = 0;
  std::vector<float> elements_;
};

// Rows of named figures, printed as they come, as a table or as one JSON array at the end.
class FigureTable {
 public:
  using Row = std::vector<std::pair<std::string, std::string>>;

  FigureTable(std::string title, bool json) : title_(std::move(title)), json_(json) {}
  void Add(Row row);
  // "title": [rows]
  std::string Json() const;

 private:
  const std::string title_;
  const bool json_;
  std::vector<Row> rows_;
};

void BenchCodes(const IndexBenchOptions& options, FigureTable& table);

// Arguments `name=value`: dimension, count, latent and clusters (or file: an .fbin, the last of its rows are the queries),
// efc (ef_construction of ours, several with commas), m, threads, stock (0: without the baseline), queries. Prints as it
// goes; 2 when an argument is not known.
int BenchLinks(std::span<const std::string_view> arguments);

// Arguments `name=value`: count, dimension. 2 when one is not known.
int BenchPauses(std::span<const std::string_view> arguments);

}  // namespace engram
