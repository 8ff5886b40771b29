#include "index/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::ClusteredVectors;
using testing::Vector;

constexpr uint64_t kSeed = 42;
constexpr uint32_t kDimension = 128;
constexpr Ordinal kCount = 6000;

// A slab filled by hand, and the graph over it.
class GraphTest : public ::testing::TestWithParam<Metric> {
 protected:
  void Fill(const std::vector<Vector>& vectors) {
    slab_.Reserve(static_cast<Ordinal>(vectors.size()));
    for (Ordinal o = 0; o < vectors.size(); ++o) {
      float* const row = slab_.BeginRow(o);
      std::copy(vectors[o].begin(), vectors[o].end(), row);
      slab_.BlockOf(o).inverse_norm[Slab::Lane(o)] = similarity_.InverseNorm(row);
    }
    slab_.Publish(static_cast<Ordinal>(vectors.size()));
    vectors_ = vectors;
  }

  Graph::Scope All() const { return {.end = slab_.size(), .visible = slab_.size()}; }

  std::vector<Graph::Found> Search(const Graph& graph, const Vector& query, uint32_t ef) const {
    auto walk = graph.Search(similarity_.Prepare(query), ef, All());
    EXPECT_TRUE(walk.has_value());
    std::sort(walk->found.begin(), walk->found.end(),
              [](const auto& a, const auto& b) { return a.similarity > b.similarity; });
    return walk->found;
  }

  // The k live ordinals that are the closest by scan.
  std::vector<Ordinal> Nearest(const Vector& query, size_t k) const {
    const auto prepared = similarity_.Prepare(query);
    std::vector<std::pair<float, Ordinal>> all;
    for (Ordinal o = 0; o < slab_.size(); ++o) {
      if (slab_.DiedAt(o) != Slab::kLive) continue;
      all.emplace_back(-similarity_.Of(prepared, slab_.Row(o), slab_.InverseNorm(o)), o);
    }
    std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(k), all.end());
    std::vector<Ordinal> nearest;
    for (size_t i = 0; i < k; ++i) nearest.push_back(all[i].second);
    return nearest;
  }

  double RecallAt10(const Graph& graph, const std::vector<Vector>& queries, uint32_t ef) const {
    int found = 0;
    for (const Vector& query : queries) {
      auto hits = Search(graph, query, ef);
      hits.resize(std::min<size_t>(hits.size(), 10));
      for (const Ordinal o : Nearest(query, 10)) {
        found += std::any_of(hits.begin(), hits.end(), [o](const auto& hit) { return hit.ordinal == o; });
      }
    }
    return found / (10.0 * static_cast<double>(queries.size()));
  }

  Slab slab_{kDimension};
  Similarity similarity_{GetParam(), kDimension, slab_.stride(), BestKernels()};
  std::vector<Vector> vectors_;
};

TEST_P(GraphTest, RecallsWhatAScanFinds) {
  ClusteredVectors source(kSeed, kDimension);
  Fill(source.Next(kCount));
  Graph graph(slab_, similarity_, {}, 16);  // Grows many times.
  for (Ordinal o = 0; o < kCount; ++o) ASSERT_TRUE(graph.Insert(o));
  EXPECT_EQ(graph.size(), kCount);
  EXPECT_GE(RecallAt10(graph, source.Next(200), 64), 0.95) << "seed " << kSeed;
  EXPECT_GE(RecallAt10(graph, source.Next(200), 256), 0.99) << "seed " << kSeed;
}

TEST_P(GraphTest, ReachesEveryNodeFromItsOwnVector) {
  if (GetParam() == Metric::kInnerProduct) GTEST_SKIP() << "a longer vector may be closer to a vector than itself";
  ClusteredVectors source(kSeed + 1, kDimension);
  Fill(source.Next(kCount));
  Graph graph(slab_, similarity_, {}, kCount);
  for (Ordinal o = 0; o < kCount; ++o) ASSERT_TRUE(graph.Insert(o));
  int missed = 0;
  for (Ordinal o = 0; o < kCount; ++o) {
    const auto found = Search(graph, vectors_[o], 64);
    missed += found.empty() || found.front().ordinal != o;
  }
  EXPECT_EQ(missed, 0) << "seed " << kSeed + 1;
}

TEST_P(GraphTest, PassesThroughWhatIsOutOfScope) {
  ClusteredVectors source(kSeed + 2, kDimension);
  Fill(source.Next(kCount));
  Graph graph(slab_, similarity_, {}, kCount);
  for (Ordinal o = 0; o < kCount; ++o) ASSERT_TRUE(graph.Insert(o));
  // Nine of ten die; every other one is forgotten, the rest are replaced by what a view of half the slab cannot see.
  for (Ordinal o = 0; o < kCount; ++o) {
    if (o % 10 != 0) slab_.SetDiedAt(o, o % 2 == 0 ? 0 : kCount - 1);
  }
  EXPECT_GE(RecallAt10(graph, source.Next(100), 64), 0.95);
  const Vector query = source.Next();
  const auto half = graph.Search(similarity_.Prepare(query), 100, {.end = kCount / 2, .visible = kCount / 2});
  ASSERT_TRUE(half.has_value());
  EXPECT_EQ(half->found.size(), 100u);
  std::set<Ordinal> seen;
  for (const auto& found : half->found) {
    EXPECT_LT(found.ordinal, kCount / 2);
    EXPECT_TRUE(found.ordinal % 10 == 0 || found.ordinal % 2 == 1) << found.ordinal;
    EXPECT_TRUE(seen.insert(found.ordinal).second);
  }
  EXPECT_GE(half->compared, 100u);
}

TEST_P(GraphTest, GivesUpWhenAskedTo) {
  ClusteredVectors source(kSeed + 3, kDimension);
  Fill(source.Next(1000));
  Graph graph(slab_, similarity_, {}, 1000);
  for (Ordinal o = 0; o < 1000; ++o) ASSERT_TRUE(graph.Insert(o));
  Graph::Scope scope = All();
  scope.most_compared = 50;
  EXPECT_FALSE(graph.Search(similarity_.Prepare(source.Next()), 64, scope).has_value());
}

TEST_P(GraphTest, SameInsertionsMakeTheSameGraph) {
  ClusteredVectors source(kSeed + 4, kDimension);
  Fill(source.Next(1500));
  Graph a(slab_, similarity_, {}, 16), b(slab_, similarity_, {}, 2000);
  for (Ordinal o = 0; o < 1500; ++o) ASSERT_TRUE(a.Insert(o) && b.Insert(o));
  for (int i = 0; i < 50; ++i) {
    const auto query = similarity_.Prepare(source.Next());
    const auto x = a.Search(query, 20, All());
    const auto y = b.Search(query, 20, All());
    ASSERT_TRUE(x && y);
    EXPECT_EQ(x->compared, y->compared);
    ASSERT_EQ(x->found.size(), y->found.size());
    for (size_t j = 0; j < x->found.size(); ++j) EXPECT_EQ(x->found[j].ordinal, y->found[j].ordinal);
  }
}

TEST_P(GraphTest, AnOrdinalInsertedTwiceIsFoundOnce) {
  ClusteredVectors source(kSeed + 5, kDimension);
  Fill(source.Next(200));
  Graph graph(slab_, similarity_, {}, 16);
  for (int round = 0; round < 2; ++round) {
    for (Ordinal o = 0; o < 200; ++o) ASSERT_TRUE(graph.Insert(o));
  }
  std::set<Ordinal> seen;
  for (const auto& found : Search(graph, source.Next(), 400)) EXPECT_TRUE(seen.insert(found.ordinal).second);
  EXPECT_EQ(seen.size(), 200u);
}

INSTANTIATE_TEST_SUITE_P(Metrics, GraphTest, ::testing::Values(Metric::kCosine, Metric::kInnerProduct, Metric::kL2),
                         [](const auto& info) {
                           return info.param == Metric::kCosine ? "Cosine"
                                  : info.param == Metric::kL2   ? "L2"
                                                                : "InnerProduct";
                         });

TEST(LevelGeneratorTest, LevelsThinOutByTheNumberOfConnections) {
  const LevelGenerator levels(3, 16);
  std::vector<int> above(8);
  constexpr int kOrdinals = 200000;
  for (Ordinal o = 0; o < kOrdinals; ++o) {
    for (uint32_t level = 0; level < above.size(); ++level) above[level] += levels.LevelOf(o) >= level;
  }
  EXPECT_EQ(above[0], kOrdinals);
  EXPECT_NEAR(above[1], kOrdinals / 16, kOrdinals / 160);
  EXPECT_NEAR(above[2], kOrdinals / 256, kOrdinals / 1280);
  EXPECT_EQ(levels.LevelOf(77), LevelGenerator(3, 16).LevelOf(77));
}

}  // namespace
}  // namespace engram
