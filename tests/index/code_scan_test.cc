#include "index/code_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "index/code_similarity.h"
#include "index/kernels.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::ClusteredVectors;
using testing::GaussianVector;
using testing::OrdinalFilter;
using testing::Vector;

constexpr uint64_t kSeed = 77;

class VectorsOfTest : public VectorSource {
 public:
  explicit VectorsOfTest(std::vector<Vector> vectors) : vectors_(std::move(vectors)) {}

  void Read(std::span<const Ordinal> ordinals, float* rows) const override {
    for (const Ordinal ordinal : ordinals) {
      read.insert(ordinal);
      rows = std::copy(vectors_[ordinal].begin(), vectors_[ordinal].end(), rows);
      if (unreadable.contains(ordinal)) rows[-static_cast<ptrdiff_t>(vectors_[ordinal].size())] = std::nanf("");
    }
  }
  const std::vector<Vector>& vectors() const { return vectors_; }

  std::set<Ordinal> unreadable;
  mutable std::set<Ordinal> read;

 private:
  const std::vector<Vector> vectors_;
};

struct Space {
  Space(Metric metric, std::vector<Vector> vectors)
      : metric(metric), slab(metric, static_cast<uint32_t>(vectors[0].size())), source(std::move(vectors)) {
    slab.Reserve(count());
    for (Ordinal o = 0; o < count(); ++o) slab.Append(o, source.vectors()[o].data());
    slab.Publish(count());
    slab.MakeBits(count());
  }
  Ordinal count() const { return static_cast<Ordinal>(source.vectors().size()); }
  ScanScope All() const { return {0, count(), count(), nullptr}; }

  // Everything in the scope by the similarity of full precision.
  std::vector<SearchHit> Rank(const Vector& query, const ScanScope& scope, uint32_t k) const {
    const Similarity similarity(metric, slab.dimension(), slab.dimension(), BestKernels());
    const Similarity::Query prepared = similarity.Prepare(query);
    TopK top(k, count());
    for (Ordinal o = scope.begin; o < scope.end; ++o) {
      if (slab.DiedAt(o) < scope.visible || (scope.filter != nullptr && !scope.filter->Matches(o))) continue;
      const float* const row = source.vectors()[o].data();
      top.Offer({o, similarity.Of(prepared, row, similarity.InverseNorm(row))});
    }
    return top.Take();
  }
  // The best ten after the candidates of a scan have been read again.
  template <class Scan>
  double Recall(const std::vector<Vector>& queries, const Scan& scan) const {
    size_t found = 0, wanted = 0;
    for (const Vector& query : queries) {
      TopK candidates(30, count());
      scan(CodeQuery(slab.coder(), query), candidates);
      std::vector<Ordinal> ordinals;
      for (const SearchHit& hit : candidates.Take()) ordinals.push_back(hit.ordinal);
      Reranker reranker(metric, query, source);
      TopK top(10, 30);
      reranker.Offer(ordinals, top);
      std::set<Ordinal> hits;
      for (const SearchHit& hit : top.Take()) hits.insert(hit.ordinal);
      for (const SearchHit& hit : Rank(query, All(), 10)) {
        found += hits.count(hit.ordinal);
        ++wanted;
      }
    }
    return static_cast<double>(found) / static_cast<double>(wanted);
  }

  Metric metric;
  CodeSlab slab;
  VectorsOfTest source;
};

class CodeScanTest : public ::testing::TestWithParam<Metric> {};

TEST_P(CodeScanTest, BoundsHoldTheExactSimilarityWhateverTheMagnitude) {
  std::mt19937_64 random(kSeed);
  for (const uint32_t dimension : {1u, 3u, 64u, 100u, 768u, 3000u}) {
    std::vector<Vector> vectors;
    for (const float magnitude : {1e-44f, 1e-37f, 1e-19f, 1.0f, 1e19f, 1e37f}) {
      for (int i = 0; i < 6; ++i) {
        vectors.push_back(GaussianVector(random, dimension));
        for (float& x : vectors.back()) x *= magnitude;
      }
      vectors.push_back(vectors.back());                     // The same,
      for (float& x : vectors.back()) x *= 1.0000002f;       // or nearly.
      vectors.push_back(Vector(dimension, 3.0f * magnitude));
    }
    if (GetParam() != Metric::kCosine) vectors.push_back(Vector(dimension, 0.0f));
    const Space space(GetParam(), vectors);
    const Similarity exact(GetParam(), dimension, dimension, BestKernels());
    const CodeSimilarity similarity(GetParam());
    for (const Vector& vector : vectors) {
      const CodeQuery query(space.slab.coder(), vector);
      const Similarity::Query prepared = exact.Prepare(vector);
      for (Ordinal o = 0; o < space.count(); ++o) {
        const CodeColumns columns = space.slab.Columns(o);
        for (const std::string_view name : CodeKernelNames()) {
          const CodeKernels* const kernels = CodeKernelsFor(name);
          if (kernels == nullptr) continue;
          float dot = 0;
          kernels->dot_float_rows(query.floats(), space.slab.Code(o), space.slab.stride(), 1, &dot);
          const SimilarityBounds bounds =
              similarity.Bound(query, dot, columns.scale, columns.residual, columns.squares);
          ASSERT_TRUE(std::isfinite(bounds.low) && std::isfinite(bounds.high));
          const float truth = exact.Of(prepared, vectors[o].data(), exact.InverseNorm(vectors[o].data()));
          ASSERT_LE(bounds.low, truth) << dimension << " " << vector[0] << " " << vectors[o][0];
          ASSERT_GE(bounds.high, truth) << dimension << " " << vector[0] << " " << vectors[o][0];
        }
        const int32_t dot = space.slab.coder().kernels().dot(query.code(), space.slab.Code(o), space.slab.stride());
        ASSERT_TRUE(std::isfinite(similarity.Estimate(dot, query.columns(), columns)));
      }
    }
  }
}

TEST_P(CodeScanTest, AnExactScanAnswersAsFullPrecisionDoes) {
  for (const uint32_t dimension : {1u, 20u, 384u}) {
    ClusteredVectors source(kSeed, dimension);
    std::vector<Vector> vectors = source.Next(1500);
    for (int i = 0; i < 30; ++i) vectors.push_back(vectors[static_cast<size_t>(i)]);  // Ties: the lower ordinal wins.
    Space space(GetParam(), vectors);
    for (Ordinal o = 0; o < space.count(); o += 3) space.slab.SetDiedAt(o, o % 2 == 0 ? 0 : o + 700);
    const OrdinalFilter some = [](Ordinal o) { return o % 7 < 3; };
    for (const Vector& query : source.Next(20)) {
      for (const ScanScope& scope : {space.All(), ScanScope{5, 1203, 1300, nullptr}, ScanScope{17, 1530, 1530, &some},
                                     ScanScope{33, 38, 1530, nullptr}, ScanScope{40, 40, 1530, nullptr}}) {
        for (const uint32_t k : {1u, 10u, 2000u}) {
          const auto result = ScanExact(space.slab, query, scope, k, space.source);
          const std::vector<SearchHit> expected = space.Rank(query, scope, k);
          ASSERT_EQ(result.hits.size(), expected.size());
          for (size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(result.hits[i].ordinal, expected[i].ordinal) << dimension << " k " << k << " at " << i;
            ASSERT_EQ(result.hits[i].similarity, expected[i].similarity);
          }
        }
      }
    }
  }
}

TEST_P(CodeScanTest, AnExactScanReadsFewOfMany) {
  ClusteredVectors source(kSeed, 384);
  const Space space(GetParam(), source.Next(20000));
  uint64_t read = 0;
  constexpr int kQueries = 10;
  for (const Vector& query : source.Next(kQueries)) {
    const auto result = ScanExact(space.slab, query, space.All(), 10, space.source);
    EXPECT_EQ(result.compared, space.count());
    read += result.read;
  }
  EXPECT_LE(read / kQueries, 200u);
}

TEST_P(CodeScanTest, BytesFindTheBestTenAmongThirty) {
  for (const uint32_t dimension : {128u, 384u, 768u}) {
    ClusteredVectors source(kSeed, dimension);
    const Space space(GetParam(), source.Next(5000));
    EXPECT_GE(space.Recall(source.Next(50),
                           [&](const CodeQuery& query, TopK& top) {
                             EXPECT_EQ(ScanCodes(space.slab, query, space.All(), top), 5000u);
                           }),
              0.98)
        << dimension;
  }
}

TEST_P(CodeScanTest, ScansLookAtTheScopeOnly) {
  ClusteredVectors source(kSeed, 300);
  Space space(GetParam(), source.Next(200));
  space.slab.SetDiedAt(50, 0);
  space.slab.SetDiedAt(51, 120);
  space.slab.SetDiedAt(52, 100);
  const OrdinalFilter even = [](Ordinal o) { return o % 2 == 0; };
  const Vector vector = source.Next();
  const CodeQuery query(space.slab.coder(), vector);
  for (const ScanScope& scope : {ScanScope{3, 117, 117, nullptr}, ScanScope{3, 117, 117, &even},
                                 ScanScope{49, 53, 117, nullptr}, ScanScope{9, 9, 117, nullptr}}) {
    std::set<Ordinal> expected;
    for (Ordinal o = scope.begin; o < scope.end; ++o) {
      if (o != 50 && o != 52 && (scope.filter == nullptr || even.Matches(o))) expected.insert(o);
    }
    const auto ordinals = [](TopK& top) {
      std::set<Ordinal> set;
      for (const SearchHit& hit : top.Take()) set.insert(hit.ordinal);
      return set;
    };
    TopK top(1000, 200);
    EXPECT_EQ(ScanCodes(space.slab, query, scope, top), expected.size());
    EXPECT_EQ(ordinals(top), expected);
    if (!space.slab.bits()) continue;
    TopK by_bits(1000, 200);
    EXPECT_TRUE(ScanBits(space.slab, query, scope, 500, 10, by_bits));
    EXPECT_EQ(ordinals(by_bits), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CodeScanTest,
                         ::testing::Values(Metric::kCosine, Metric::kInnerProduct, Metric::kL2), [](const auto& info) {
                           return info.param == Metric::kCosine ? "cosine"
                                  : info.param == Metric::kL2   ? "l2"
                                                                : "inner_product";
                         });

TEST(ScanBitsTest, BitsAndThenBytesFindTheBestTenAmongThirty) {
  for (const uint32_t dimension : {384u, 768u}) {
    ClusteredVectors source(kSeed, dimension);
    const Space space(Metric::kCosine, source.Next(20000));
    EXPECT_GE(space.Recall(source.Next(40),
                           [&](const CodeQuery& query, TopK& top) {
                             EXPECT_TRUE(ScanBits(space.slab, query, space.All(), KeepByBits(20000, 10), 10, top));
                           }),
              0.98)
        << dimension;
  }
}

// The sample that a long scan begins with does not know what is dead or filtered.
TEST(ScanBitsTest, KeepsAsManyAsThereAreWhereFewAreWanted) {
  ClusteredVectors source(kSeed, 256);
  Space space(Metric::kCosine, source.Next(4000));
  const Vector vector = source.Next();
  const OrdinalFilter few = [](Ordinal o) { return o % 20 == 0; };
  ScanScope scope = space.All();
  scope.filter = &few;
  TopK filtered(1000, 4000);
  EXPECT_TRUE(ScanBits(space.slab, CodeQuery(space.slab.coder(), vector), scope, 100, 0, filtered));
  EXPECT_EQ(filtered.size(), 100u);
  for (Ordinal o = 0; o < space.count(); ++o) {
    if (o % 40 != 0) space.slab.SetDiedAt(o, 0);
  }
  TopK live(1000, 4000);
  EXPECT_TRUE(ScanBits(space.slab, CodeQuery(space.slab.coder(), vector), space.All(), 150, 10, live));
  EXPECT_EQ(live.size(), 100u);
}

// In noise nothing is much closer than anything else, and the error of the bits decides who is kept.
TEST(ScanBitsTest, WhereBitsCannotTellBytesDo) {
  std::mt19937_64 random(kSeed);
  std::vector<Vector> vectors;
  for (int i = 0; i < 20000; ++i) vectors.push_back(GaussianVector(random, 256));
  const Space space(Metric::kCosine, std::move(vectors));
  std::vector<Vector> queries;
  for (int i = 0; i < 10; ++i) queries.push_back(GaussianVector(random, 256));
  for (const Vector& query : queries) {
    TopK top(10, 20000);
    EXPECT_FALSE(ScanBits(space.slab, CodeQuery(space.slab.coder(), query), space.All(), 800, 10, top));
    EXPECT_EQ(top.size(), 0u);
  }
  const auto quickly = [&](const CodeQuery& query, TopK& top) {
    ScanQuickly(space.slab, query, space.All(), 10, top);
  };
  EXPECT_GE(space.Recall(queries, quickly), 0.98);
}

// The best are so little alike the query that many others look as good by their bits.
TEST(ScanBitsTest, WhereTheBestAreNotMuchAlikeMoreAreLookedAt) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "one thread, and 130 000 rows that take a minute here";
#endif
  constexpr uint32_t kElements = 256;
  constexpr int kCues = 20;
  // As a recall of ten wants.
  constexpr uint32_t kWanted = 30;
  ClusteredVectors source(kSeed + 12, kElements, 100);
  const Space space(Metric::kCosine, source.Next(130'000));
  std::mt19937_64 random(kSeed + 13);
  int by_few = 0, by_more = 0, best = 0;
  for (int i = 0; i < kCues; ++i) {
    Vector vector = source.Next();
    const Vector off = GaussianVector(random, kElements);
    for (size_t d = 0; d < kElements; ++d) vector[d] += 10 * off[d];
    const CodeQuery query(space.slab.coder(), vector);
    TopK few(kWanted, space.count()), more(kWanted, space.count());
    by_few += ScanBits(space.slab, query, space.All(), KeepByBits(space.count(), kWanted), kWanted, few);
    if (!ScanByBits(space.slab, query, space.All(), kWanted, more)) continue;
    ++by_more;
    std::set<Ordinal> found;
    for (const SearchHit& hit : more.Take()) found.insert(hit.ordinal);
    for (const SearchHit& hit : space.Rank(vector, space.All(), 10)) best += found.contains(hit.ordinal);
  }
  EXPECT_LT(by_few, kCues * 2 / 3);
  EXPECT_GT(by_more, kCues * 3 / 4);
  EXPECT_GE(best, 10 * by_more * 0.95) << "seed " << kSeed;
}

// What a walk has found raises what the tail behind it has to beat.
TEST(ScanBitsTest, LooksForWhatBeatsTheFoundOnly) {
  ClusteredVectors source(kSeed, 768);
  const Space space(Metric::kCosine, source.Next(20000));
  const ScanScope tail = {10000, 20000, 20000, nullptr};
  uint32_t offered_in_all = 0;
  const auto scan = [&](const CodeQuery& query, TopK& top) {
    ScanCodes(space.slab, query, {0, 10000, 20000, nullptr}, top);
    std::set<Ordinal> before;
    for (const SearchHit& hit : top.hits()) before.insert(hit.ordinal);
    ASSERT_TRUE(ScanBits(space.slab, query, tail, KeepByBits(10000, 10), 10, top));
    for (const SearchHit& hit : top.hits()) offered_in_all += before.contains(hit.ordinal) ? 0 : 1;
  };
  EXPECT_GE(space.Recall(source.Next(40), scan), 0.98);
  EXPECT_GT(offered_in_all, 0u);
}

// Bits alone could not tell the best of the tail, but can tell that none of it is as good as what is there.
TEST(ScanBitsTest, NoiseBehindWhatIsGoodIsToldByBits) {
  std::mt19937_64 random(kSeed);
  std::vector<Vector> vectors;
  for (int i = 0; i < 20000; ++i) vectors.push_back(GaussianVector(random, 256));
  const Space space(Metric::kCosine, std::move(vectors));
  const Vector vector = GaussianVector(random, 256);
  const CodeQuery query(space.slab.coder(), vector);
  TopK top(10, 20000);
  for (Ordinal o = 0; o < 10; ++o) top.Offer({o, 0.9f});
  EXPECT_TRUE(ScanBits(space.slab, query, {10, 20000, 20000, nullptr}, 800, 10, top));
  for (const SearchHit& hit : top.hits()) EXPECT_LT(hit.ordinal, 10u);
}

TEST(ScanExactTest, LeavesOutWhatCannotBeRead) {
  ClusteredVectors source(kSeed, 64);
  Space space(Metric::kCosine, source.Next(100));
  const Vector query = source.Next();
  const std::vector<SearchHit> expected = space.Rank(query, space.All(), 100);
  space.source.unreadable = {expected[0].ordinal, expected[4].ordinal};
  const auto result = ScanExact(space.slab, query, space.All(), 5, space.source);
  EXPECT_EQ(result.unreadable, 2u);
  ASSERT_EQ(result.hits.size(), 5u);
  EXPECT_EQ(result.hits[0].ordinal, expected[1].ordinal);
  EXPECT_EQ(result.hits[4].ordinal, expected[6].ordinal);
}

}  // namespace
}  // namespace engram
