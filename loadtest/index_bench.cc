// engram-index-bench: what the index costs on this machine, without a daemon. Asserts nothing.
//
//   engram-index-bench [--count N] [--queries N] [--dimension N] [--latent N] [--output json]
//   engram-index-bench links [name=value]...
#include "loadtest/index_bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <random>
#include <string_view>

#include "index/code_kernels.h"
#include "index/kernels.h"
#include "index/top_k.h"

namespace engram {

UnitVectors::UnitVectors(uint64_t seed, uint32_t dimension, uint32_t latent, size_t count, uint32_t clusters)
    : dimension_(dimension) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> basis(size_t{latent} * dimension);
  for (float& x : basis) x = normal(random);
  std::vector<float> centres(size_t{clusters} * latent);
  for (float& x : centres) x = normal(random);
  const float noise = 0.1f * std::sqrt(static_cast<float>(std::max(1u, latent)));
  std::vector<float> vector(dimension);
  elements_.reserve(count * dimension);
  for (size_t i = 0; i < count; ++i) {
    for (float& x : vector) x = noise * normal(random);
    const size_t centre = clusters == 0 ? 0 : random() % clusters;
    for (uint32_t l = 0; l < latent; ++l) {
      const float weight = clusters == 0 ? normal(random) : centres[centre * latent + l] + 0.5f * normal(random);
      const float* const direction = basis.data() + size_t{l} * dimension;
      for (uint32_t d = 0; d < dimension; ++d) vector[d] += weight * direction[d];
    }
    Add(vector);
  }
}

std::optional<UnitVectors> UnitVectors::Read(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::array<uint32_t, 2> head = {};
  if (!in.read(reinterpret_cast<char*>(head.data()), sizeof head) || head[1] == 0) return std::nullopt;
  UnitVectors vectors;
  vectors.dimension_ = head[1];
  std::vector<float> vector(head[1]);
  for (uint32_t i = 0; i < head[0]; ++i) {
    if (!in.read(reinterpret_cast<char*>(vector.data()), static_cast<std::streamsize>(4 * vector.size()))) {
      return std::nullopt;
    }
    vectors.Add(vector);
  }
  return vectors;
}

void UnitVectors::Add(std::span<const float> vector) {
  double squares = 0;
  for (const float x : vector) squares += double{x} * x;
  for (const float x : vector) elements_.push_back(static_cast<float>(x / std::sqrt(squares)));
}

std::vector<uint32_t> UnitVectors::Closest(std::span<const float> query, size_t count) const {
  TopK top(10, count);
  for (size_t i = 0; i < count; ++i) {
    top.Offer({static_cast<Ordinal>(i), BestKernels().dot(query.data(), (*this)[i].data(), dimension_)});
  }
  std::vector<uint32_t> closest;
  for (const SearchHit& hit : top.Take()) closest.push_back(hit.ordinal);
  return closest;
}

void FigureTable::Add(Row row) {
  if (!json_) {
    if (rows_.empty()) {
      fmt::print("\n{}\n", title_);
      for (const auto& [name, value] : row) fmt::print("{:>{}}  ", name, std::max(name.size(), value.size()));
      fmt::print("\n");
    }
    for (const auto& [name, value] : row) fmt::print("{:>{}}  ", value, std::max(name.size(), value.size()));
    fmt::print("\n");
    std::fflush(stdout);
  }
  rows_.push_back(std::move(row));
}

std::string FigureTable::Json() const {
  std::string rows;
  for (const Row& row : rows_) {
    std::string members;
    for (const auto& [name, value] : row) {
      members += fmt::format("{}\"{}\": {}", members.empty() ? "" : ", ", name, value);
    }
    rows += fmt::format("{}\n  {{{}}}", rows.empty() ? "" : ",", members);
  }
  return fmt::format("\"{}\": [{}\n]", title_, rows);
}

}  // namespace engram

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == "links") return engram::BenchLinks(std::span(arguments).subspan(1));
  if (!arguments.empty() && arguments[0] == "pauses") return engram::BenchPauses(std::span(arguments).subspan(1));
  engram::IndexBenchOptions options;
  bool json = false;
  const auto refuse = [](std::string_view what) {
    fmt::print(stderr, "engram-index-bench: {}\n", what);
    return 2;
  };
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return refuse(fmt::format("{} is unknown or needs a value", name));
    const std::string_view value = argv[i + 1];
    if (name == "--output") {
      if (value != "json" && value != "text") return refuse(fmt::format("--output is text or json, not {}", value));
      json = value == "json";
      continue;
    }
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size()) {
      return refuse(fmt::format("{} takes a number, not {}", name, value));
    }
    if (name == "--count" && number >= 100) {
      options.count = number;
    } else if (name == "--queries" && number >= 1) {
      options.queries = number;
    } else if (name == "--dimension" && number >= 1 && number <= 65536) {
      options.dimensions = {number};
    } else if (name == "--latent") {
      options.latents = {number};
    } else {
      return refuse(fmt::format("{} {} is unknown or out of range", name, value));
    }
  }
  engram::FigureTable codes("codes", json);
  engram::BenchCodes(options, codes);
  if (json) fmt::print("{{\"kernels\": \"{}\",\n{}}}\n", engram::BestCodeKernels().name, codes.Json());
  return 0;
}
