// The graph over codes beside hnswlib as it comes: as good over the whole curve, for fewer comparisons in full precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "index/code_graph.h"
#include "index/code_query.h"
#include "tests/index/coded_vectors.h"
#include "tests/index/stock_hnswlib.h"

namespace engram {
namespace {

using testing::ClusteredVectors;
using testing::StockHnswlib;
using testing::Vector;

constexpr uint64_t kSeed = 5;

class CodeGraphStockTest : public ::testing::TestWithParam<uint32_t> {};

TEST_P(CodeGraphStockTest, RecallsAtLeastAsMuchAtEveryWidth) {
  const uint32_t dimension = GetParam();
  constexpr Ordinal kCount = 4000;
  constexpr int kQueries = 100;
  ClusteredVectors source(kSeed, dimension);
  std::vector<Vector> vectors = source.Next(kCount + kQueries);
  for (Vector& vector : vectors) {
    double squares = 0;
    for (const float x : vector) squares += double{x} * x;
    for (float& x : vector) x = static_cast<float>(x / std::sqrt(squares));
  }
  const std::vector<Vector> queries(vectors.end() - kQueries, vectors.end());
  vectors.resize(kCount);
  CodeSlab slab(Metric::kCosine, dimension);
  testing::Fill(slab, vectors);
  CodeGraph graph(slab, {});
  StockHnswlib stock(dimension, kCount, 16, 200);
  for (Ordinal o = 0; o < kCount; ++o) {
    ASSERT_TRUE(graph.Insert(o));
    stock.Add(vectors[o].data(), o);
  }
  for (const uint32_t ef : {16u, 32u, 64u, 128u}) {
    int ours = 0, theirs = 0;
    for (const Vector& query : queries) {
      const auto walk = graph.Search(CodeQuery(slab.coder(), query), ef, {.end = kCount, .visible = kCount});
      const std::vector<Ordinal> best = testing::Reranked(walk->found, Metric::kCosine, vectors, query);
      const std::vector<uint32_t> labels = stock.Search(query.data(), 10, ef);
      for (const Ordinal o : testing::Nearest(slab, Metric::kCosine, vectors, query, 10)) {
        ours += std::find(best.begin(), best.end(), o) != best.end();
        theirs += std::find(labels.begin(), labels.end(), o) != labels.end();
      }
    }
    // In hits of 1000; a few either way are chance.
    EXPECT_GE(ours, theirs - 5) << "ef " << ef << ", seed " << kSeed;
  }
}

INSTANTIATE_TEST_SUITE_P(Dimensions, CodeGraphStockTest, ::testing::Values(128u, 384u));

}  // namespace
}  // namespace engram
