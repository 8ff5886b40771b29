// Exact searches by a score: the same hits in the same order as when everything is read and sorted, and few rows at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "index/rerank.h"
#include "index/space_index.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AsEmbedding;
using testing::ClusteredVectors;
using testing::OrdinalFilter;
using testing::Vector;

// Each ordinal has a weight of its own, as age and confidence make one.
class Weights final : public HitScore {
 public:
  explicit Weights(std::vector<double> weights) : weights_(std::move(weights)) {}
  float Of(Ordinal ordinal, float similarity) const override {
    const double weight = weights_[ordinal];
    return static_cast<float>(similarity >= 0 ? similarity * weight : similarity * (2 - weight));
  }

 private:
  const std::vector<double> weights_;
};

// Keeps what it has read, as what reads from the journal does.
class KeepingSource final : public VectorSource {
 public:
  explicit KeepingSource(const std::vector<Vector>& vectors) : vectors_(vectors) {}

  void Read(std::span<const Ordinal> ordinals, float* rows) const override {
    at_once_ = std::max(at_once_, ordinals.size());
    for (const Ordinal ordinal : ordinals) {
      std::copy(vectors_[ordinal].begin(), vectors_[ordinal].end(), rows);
      if (unreadable.contains(ordinal)) *rows = std::numeric_limits<float>::quiet_NaN();
      rows += vectors_[ordinal].size();
      held_.insert(ordinal);
    }
    most_held_ = std::max(most_held_, held_.size());
  }
  void KeepOnly(std::span<const Ordinal> ordinals) const override {
    EXPECT_TRUE(std::is_sorted(ordinals.begin(), ordinals.end()));
    for (const Ordinal ordinal : ordinals) EXPECT_TRUE(held_.contains(ordinal));
    held_ = {ordinals.begin(), ordinals.end()};
  }
  size_t at_once() const { return at_once_; }
  size_t most_held() const { return most_held_; }
  bool Holds(Ordinal ordinal) const { return held_.contains(ordinal); }

  std::set<Ordinal> unreadable;

 private:
  const std::vector<Vector>& vectors_;
  mutable std::set<Ordinal> held_;
  mutable size_t at_once_ = 0, most_held_ = 0;
};

struct Space {
  Space(Metric metric, std::vector<Vector> all) : vectors(std::move(all)) {
    IndexOptions options;
    options.metric = metric;
    options.dimension = static_cast<uint32_t>(vectors[0].size());
    options.flat_threshold = 1'000'000;
    index = SpaceIndex::Create(options);
    for (const Vector& vector : vectors) {
      const std::string id = std::to_string(index->size());
      const SpaceIndex::Entry entry = {id, AsEmbedding(vector)};
      index->Append({&entry, 1});
    }
  }
  SearchResult Search(const SearchRequest& request) const { return index->Search(request, index->Pin()); }
  // Everything is read, scored and sorted.
  std::vector<SearchHit> Rank(SearchRequest request, const HitScore& score) const {
    const KeepingSource source(vectors);
    const uint32_t k = std::exchange(request.k, static_cast<uint32_t>(vectors.size()));
    request.source = &source;
    request.score = nullptr;
    std::vector<SearchHit> hits = Search(request).hits;
    std::sort(hits.begin(), hits.end(), [&](const SearchHit& a, const SearchHit& b) {
      const float x = score.Of(a.ordinal, a.similarity), y = score.Of(b.ordinal, b.similarity);
      if (x != y) return x > y;
      return a.similarity != b.similarity ? a.similarity > b.similarity : a.ordinal < b.ordinal;
    });
    hits.resize(std::min<size_t>(k, hits.size()));
    return hits;
  }

  std::vector<Vector> vectors;
  std::unique_ptr<SpaceIndex> index;
};

void ExpectSame(const std::vector<SearchHit>& hits, const std::vector<SearchHit>& expected) {
  ASSERT_EQ(hits.size(), expected.size());
  for (size_t i = 0; i < hits.size(); ++i) {
    ASSERT_EQ(hits[i].ordinal, expected[i].ordinal) << "hit " << i;
    ASSERT_EQ(hits[i].similarity, expected[i].similarity) << "hit " << i;
  }
}

class RankedScanTest : public ::testing::TestWithParam<Metric> {};

// Weights of nothing, of next to nothing (years of half-lives) and of one; vectors that are the same.
TEST_P(RankedScanTest, FindsWhatReadingEverythingFinds) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const uint32_t dimension = 1 + static_cast<uint32_t>(random() % 70);
    ClusteredVectors source(seed, dimension, 6, 8);
    std::vector<Vector> vectors = source.Next(1 + random() % 2500);
    for (Vector& vector : vectors) {
      if (random() % 4 == 0) vector = vectors[random() % vectors.size()];
    }
    std::vector<double> weights(vectors.size());
    const double share = std::uniform_real_distribution<double>(0, 1)(random);
    for (double& weight : weights) {
      const double any = std::uniform_real_distribution<double>(0, 1)(random);
      const double kinds[] = {0, 1, any, std::exp2(-1100 * any), 0.5};
      weight = any < share ? 0 : kinds[random() % std::size(kinds)];
    }
    const Space space(GetParam(), std::move(vectors));
    for (size_t i = random() % 50; i != 0; --i) space.index->ForgetOrdinal(static_cast<Ordinal>(random() % weights.size()));
    const Weights score(std::move(weights));
    const KeepingSource kept(space.vectors);
    const OrdinalFilter filter = [modulus = random() % 4 + 2](Ordinal o) { return o % modulus != 0; };
    for (const uint32_t k : {1u, 2u, 10u, 100u, 600u, 3000u}) {
      const Vector query = source.Next();
      SearchRequest request;
      request.query = query;
      request.k = k;
      request.exact = true;
      request.source = &kept;
      if (random() % 2 == 0) request.filter = &filter;
      const std::vector<SearchHit> all = space.Rank(request, score);
      if (random() % 2 == 0 && !all.empty()) request.min_similarity = all[random() % all.size()].similarity;
      request.score = &score;
      const SearchResult result = space.Search(request);
      EXPECT_TRUE(result.exact);
      ExpectSame(result.hits, space.Rank(request, score));
      for (const SearchHit& hit : result.hits) EXPECT_TRUE(kept.Holds(hit.ordinal));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, RankedScanTest,
                         ::testing::Values(Metric::kCosine, Metric::kInnerProduct, Metric::kL2));

class RankedScanMemoryTest : public ::testing::Test {
 protected:
  static constexpr size_t kRows = 12'000;

  // `weight` of a number in 0..1.
  void Search(uint32_t k, const std::function<double(double)>& weight) {
    std::mt19937_64 random(k);
    std::vector<double> weights(kRows);
    for (double& w : weights) w = weight(std::uniform_real_distribution<double>(0, 1)(random));
    const Weights score(std::move(weights));
    const KeepingSource kept(space_.vectors);
    const Vector query = source_.Next();
    SearchRequest request;
    request.query = query;
    request.k = k;
    request.exact = true;
    request.source = &kept;
    request.score = &score;
    const SearchResult result = space_.Search(request);
    ExpectSame(result.hits, space_.Rank(request, score));
    EXPECT_LE(kept.at_once(), kMostRowsRead);
    // Those that are hits so far, and what was read since others were let go.
    EXPECT_LE(kept.most_held(), k + 2 * kMostRowsRead);
    read_ = result.read;
  }

  ClusteredVectors source_{1, 48};
  const Space space_{Metric::kCosine, source_.Next(kRows)};
  uint64_t read_ = 0;
};

TEST_F(RankedScanMemoryTest, FewRowsAreReadAndFewerHeld) {
  Search(10, [](double any) { return any; });
  EXPECT_LT(read_, 100u);
  Search(2000, [](double any) { return any; });
  EXPECT_LT(read_, 3000u);
}

TEST_F(RankedScanMemoryTest, NorAreAllOfThoseThatAreWorthNothing) {
  // All scores are the same: then similarity decides, and is no worse known.
  Search(10, [](double) { return 0; });
  EXPECT_LT(read_, 100u);
  Search(10, [](double any) { return any < 0.001 ? 1 : 0; });
  EXPECT_LT(read_, 100u);
}

// Codes cannot tell these apart, so all must be read; those that are no hits are let go of.
TEST_F(RankedScanMemoryTest, WhatIsReadAndIsNoHitIsNotKept) {
  std::mt19937_64 random(2);
  std::vector<Vector> alike(5000, source_.Next());
  for (Vector& vector : alike) {
    for (float& x : vector) x *= 1 + 1e-5f * std::normal_distribution<float>()(random);
  }
  const Space space(Metric::kCosine, std::move(alike));
  const Weights score(std::vector<double>(5000, 0.5));
  for (const bool ranked : {true, false}) {
    const KeepingSource kept(space.vectors);
    SearchRequest request;
    request.query = space.vectors[7];
    request.k = 10;
    request.exact = true;
    request.source = &kept;
    request.score = ranked ? &score : nullptr;
    const SearchResult result = space.Search(request);
    EXPECT_GT(result.read, 2000u);
    EXPECT_LE(kept.most_held(), 10 + 2 * kMostRowsRead);
    ExpectSame(result.hits, space.Rank(request, score));
  }
}

TEST_F(RankedScanMemoryTest, WhatCannotBeReadIsLeftOut) {
  const Weights score(std::vector<double>(kRows, 0.5));
  KeepingSource kept(space_.vectors);
  const Vector query = source_.Next();
  SearchRequest request;
  request.query = query;
  request.k = 20;
  request.exact = true;
  request.source = &kept;
  const std::vector<SearchHit> all = space_.Rank(request, score);
  kept.unreadable = {all[0].ordinal, all[2].ordinal};
  request.k = 5;
  request.score = &score;
  const SearchResult result = space_.Search(request);
  EXPECT_EQ(result.unreadable, 2u);
  ExpectSame(result.hits, {all[1], all[3], all[4], all[5], all[6]});
}

}  // namespace
}  // namespace engram
