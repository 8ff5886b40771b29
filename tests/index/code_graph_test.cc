#include "index/code_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "index/level_generator.h"
#include "tests/index/coded_vectors.h"

namespace engram {
namespace {

using testing::ClusteredVectors;
using testing::Vector;

constexpr uint64_t kSeed = 42;

struct Kind {
  Metric metric;
  uint32_t dimension;  // Under cosine walks of 256 elements and more go by bits.
  Ordinal count;
};

class CodeGraphTest : public ::testing::TestWithParam<Kind> {
 protected:
  void Fill(const std::vector<Vector>& vectors) {
    testing::Fill(slab_, vectors);
    vectors_ = vectors;
  }
  void InsertAll(CodeGraph& graph) const {
    for (Ordinal o = 0; o < slab_.size(); ++o) ASSERT_TRUE(graph.Insert(o));
  }

  CodeGraph::Scope All() const { return {.end = slab_.size(), .visible = slab_.size()}; }

  std::vector<CodeGraph::Found> Search(const CodeGraph& graph, const Vector& query, uint32_t ef) const {
    auto walk = graph.Search(CodeQuery(slab_.coder(), query), ef, All());
    EXPECT_TRUE(walk.has_value());
    return std::move(walk->found);
  }

  double RecallAt10(const CodeGraph& graph, const std::vector<Vector>& queries, uint32_t ef) const {
    int found = 0;
    for (const Vector& query : queries) {
      const auto best = testing::Reranked(Search(graph, query, ef), GetParam().metric, vectors_, query);
      for (const Ordinal o : testing::Nearest(slab_, GetParam().metric, vectors_, query, 10)) {
        found += std::find(best.begin(), best.end(), o) != best.end();
      }
    }
    return found / (10.0 * static_cast<double>(queries.size()));
  }

  const uint32_t dimension_ = GetParam().dimension;
  const Ordinal count_ = GetParam().count;
  CodeSlab slab_{GetParam().metric, dimension_};
  std::vector<Vector> vectors_;
};

TEST_P(CodeGraphTest, RecallsWhatAScanFinds) {
  ClusteredVectors source(kSeed, dimension_);
  Fill(source.Next(count_));
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  EXPECT_EQ(graph.size(), count_);
  EXPECT_GE(RecallAt10(graph, source.Next(100), 64), 0.95) << "seed " << kSeed;
  EXPECT_GE(RecallAt10(graph, source.Next(100), 256), 0.99) << "seed " << kSeed;
}

TEST_P(CodeGraphTest, ReachesEveryNodeFromItsOwnVector) {
  if (GetParam().metric == Metric::kInnerProduct) GTEST_SKIP() << "a longer vector may be closer than a vector itself";
  ClusteredVectors source(kSeed + 1, dimension_);
  Fill(source.Next(count_));
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  int missed = 0;
  for (Ordinal o = 0; o < count_; ++o) {
    const auto found = Search(graph, vectors_[o], 64);
    missed += std::none_of(found.begin(), found.end(), [o](const auto& f) { return f.ordinal == o; });
  }
  EXPECT_EQ(missed, 0) << "seed " << kSeed + 1;
}

TEST_P(CodeGraphTest, EstimatesTheSimilarityOfWhatItFinds) {
  ClusteredVectors source(kSeed + 6, dimension_);
  Fill(source.Next(300));
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  const Vector query = source.Next();
  for (const auto& found : Search(graph, query, 50)) {
    const double exact = testing::ExactSimilarity(GetParam().metric, query, vectors_[found.ordinal]);
    const double tolerance = GetParam().metric == Metric::kCosine ? 0.01 : 0.02 * (std::abs(exact) + 100);
    EXPECT_NEAR(found.similarity, exact, tolerance);
  }
}

TEST_P(CodeGraphTest, PassesThroughWhatIsOutOfScope) {
  ClusteredVectors source(kSeed + 2, dimension_);
  Fill(source.Next(count_));
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  // Nine of ten die; every other one is forgotten, the rest are replaced by what a view of half the slab cannot see.
  for (Ordinal o = 0; o < count_; ++o) {
    if (o % 10 != 0) slab_.SetDiedAt(o, o % 2 == 0 ? 0 : count_ - 1);
  }
  EXPECT_GE(RecallAt10(graph, source.Next(100), 64), 0.95);
  const CodeQuery query(slab_.coder(), source.Next());
  const auto half = graph.Search(query, 100, {.end = count_ / 2, .visible = count_ / 2});
  ASSERT_TRUE(half.has_value());
  EXPECT_EQ(half->found.size(), 100u);
  std::set<Ordinal> seen;
  for (const auto& found : half->found) {
    EXPECT_LT(found.ordinal, count_ / 2);
    EXPECT_TRUE(found.ordinal % 10 == 0 || found.ordinal % 2 == 1) << found.ordinal;
    EXPECT_TRUE(seen.insert(found.ordinal).second);
  }
  EXPECT_GE(half->compared, 100u);
}

TEST_P(CodeGraphTest, FindsTheBestOfWhatPassesAFilter) {
  ClusteredVectors source(kSeed + 7, dimension_);
  Fill(source.Next(count_));
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  const testing::OrdinalFilter filter = [](Ordinal o) { return o % 7 == 3; };
  CodeGraph::Scope scope = All();
  scope.among = &filter;
  int missed = 0;
  for (const Vector& query : source.Next(50)) {
    const auto walk = graph.Search(CodeQuery(slab_.coder(), query), 64, scope);
    ASSERT_TRUE(walk.has_value());
    ASSERT_EQ(walk->found.size(), 64u);
    for (const auto& found : walk->found) ASSERT_EQ(found.ordinal % 7, 3u);
    std::vector<Ordinal> nearest = testing::Nearest(slab_, GetParam().metric, vectors_, query, 200);
    nearest.erase(std::remove_if(nearest.begin(), nearest.end(), [](Ordinal o) { return o % 7 != 3; }), nearest.end());
    nearest.resize(5);
    const auto best = testing::Reranked(walk->found, GetParam().metric, vectors_, query);
    for (const Ordinal o : nearest) missed += std::find(best.begin(), best.end(), o) == best.end();
  }
  EXPECT_LE(missed, 5) << "of 250";
}

TEST_P(CodeGraphTest, GivesUpWhenAskedTo) {
  ClusteredVectors source(kSeed + 3, dimension_);
  Fill(source.Next(1000));
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  CodeGraph::Scope scope = All();
  scope.most_compared = 50;
  EXPECT_FALSE(graph.Search(CodeQuery(slab_.coder(), source.Next()), 64, scope).has_value());
}

TEST_P(CodeGraphTest, SameInsertionsMakeTheSameGraph) {
  ClusteredVectors source(kSeed + 4, dimension_);
  Fill(source.Next(1500));
  CodeGraph a(slab_, {}), b(slab_, {});
  InsertAll(a);
  InsertAll(b);
  for (int i = 0; i < 50; ++i) {
    const CodeQuery query(slab_.coder(), source.Next());
    const auto x = a.Search(query, 20, All());
    const auto y = b.Search(query, 20, All());
    ASSERT_TRUE(x && y);
    EXPECT_EQ(x->compared, y->compared);
    ASSERT_EQ(x->found.size(), y->found.size());
    for (size_t j = 0; j < x->found.size(); ++j) EXPECT_EQ(x->found[j].ordinal, y->found[j].ordinal);
  }
}

TEST_P(CodeGraphTest, AnOrdinalInsertedTwiceIsFoundOnce) {
  ClusteredVectors source(kSeed + 5, dimension_);
  Fill(source.Next(200));
  CodeGraph graph(slab_, {});
  for (int round = 0; round < 2; ++round) InsertAll(graph);
  EXPECT_EQ(graph.size(), 200u);
  std::set<Ordinal> seen;
  for (const auto& found : Search(graph, source.Next(), 400)) EXPECT_TRUE(seen.insert(found.ordinal).second);
  EXPECT_EQ(seen.size(), 200u);
}

// As a rebuild does, which leaves out what is dead.
TEST_P(CodeGraphTest, SomeOrdinalsAreAGraphToo) {
  ClusteredVectors source(kSeed + 8, dimension_);
  Fill(source.Next(3000));
  CodeGraph graph(slab_, {});
  for (Ordinal o = 1100; o < 3000; o += 2) ASSERT_TRUE(graph.Insert(o));
  EXPECT_EQ(graph.size(), 950u);
  for (Ordinal o = 0; o < 3000; ++o) slab_.SetDiedAt(o, o >= 1100 && o % 2 == 0 ? CodeSlab::kLive : 0);
  EXPECT_GE(RecallAt10(graph, source.Next(50), 64), 0.97);
}

TEST_P(CodeGraphTest, VectorsThatAreAllTheSameAreStillFound) {
  Fill(std::vector<Vector>(700, Vector(dimension_, 0.25f)));
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  EXPECT_EQ(Search(graph, vectors_[0], 50).size(), 50u);
}

TEST_P(CodeGraphTest, VectorsOfAnyMagnitudeAreLinked) {
  std::vector<Vector> vectors = ClusteredVectors(kSeed + 9, dimension_).Next(600);
  for (size_t i = 0; i < vectors.size(); ++i) {
    const float by = i % 3 == 0 ? 1e-42f : i % 3 == 1 ? 1e36f : 1;
    for (float& element : vectors[i]) element *= by;
  }
  vectors[11] = Vector(dimension_, 0.0f);
  Fill(vectors);
  CodeGraph graph(slab_, {});
  InsertAll(graph);
  for (const size_t i : {0u, 1u, 2u}) {
    const auto found = Search(graph, vectors_[i], 600);
    EXPECT_GE(found.size(), 300u);
    for (const auto& f : found) EXPECT_TRUE(std::isfinite(f.similarity));
  }
}

// How many vectors of clusters that few links join are not found as soon as they are in.
int MissedAtOnce(uint32_t dimension, size_t clusters, float spread) {
  constexpr Ordinal kCount = 12'000;
  std::mt19937_64 random(kSeed);
  std::vector<Vector> centres, vectors;
  while (centres.size() < clusters) centres.push_back(testing::GaussianVector(random, dimension));
  while (vectors.size() < kCount) {
    const Vector off = testing::GaussianVector(random, dimension);
    vectors.push_back(centres[random() % centres.size()]);
    for (uint32_t d = 0; d < dimension; ++d) vectors.back()[d] += spread * off[d];
  }
  CodeSlab slab(Metric::kCosine, dimension);
  testing::Fill(slab, vectors);
  CodeGraph graph(slab, {.max_connections = 4});
  int missed = 0;
  for (Ordinal o = 0; o < kCount; ++o) {
    if (!graph.Insert(o)) return -1;
    const auto walk = graph.Search(CodeQuery(slab.coder(), vectors[o]), 64, {.end = kCount, .visible = kCount});
    missed += !walk || std::none_of(walk->found.begin(), walk->found.end(), [o](const auto& f) { return f.ordinal == o; });
  }
  return missed;
}

// By way of the closest node alone, level by level, some are led into another cluster.
TEST(CodeGraphDescentTest, ANodeIsFoundByItsVectorAsSoonAsItIsIn) { EXPECT_EQ(MissedAtOnce(32, 30, 0.5f), 0); }

TEST(CodeGraphDescentTest, SoItIsByAWalkByBits) { EXPECT_EQ(MissedAtOnce(256, 60, 0.5f), 0); }

// Of so many clusters even some of the nodes with upper levels that eight lead on to: those are looked for once.
TEST(CodeGraphDescentTest, ANodeWithUpperLevelsIsFoundWhereClustersAreMany) { EXPECT_EQ(MissedAtOnce(128, 300, 0.1f), 0); }

INSTANTIATE_TEST_SUITE_P(Kinds, CodeGraphTest,
                         ::testing::Values(Kind{Metric::kCosine, 128, 6000}, Kind{Metric::kCosine, 384, 4000},
                                           Kind{Metric::kInnerProduct, 128, 6000}, Kind{Metric::kL2, 128, 6000}),
                         [](const auto& info) {
                           return (info.param.metric == Metric::kCosine ? "Cosine"
                                   : info.param.metric == Metric::kL2   ? "L2"
                                                                        : "InnerProduct") +
                                  std::to_string(info.param.dimension);
                         });

}  // namespace
}  // namespace engram
