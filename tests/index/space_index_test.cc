// The contract of index/space_index.h, checked against a model that is slow and right.
#include "index/space_index.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AsEmbedding;
using testing::ClusteredVectors;
using testing::ExactSimilarity;
using testing::IndexModel;
using testing::OrdinalFilter;
using testing::Vector;

IndexOptions Options(uint32_t dimension, Metric metric = Metric::kCosine, uint64_t flat_threshold = 1'000'000) {
  IndexOptions options;
  options.dimension = dimension;
  options.metric = metric;
  options.flat_threshold = flat_threshold;
  options.keep_rows = true;
  return options;
}

Ordinal AppendOne(SpaceIndex& index, std::string_view id, const Vector& vector) {
  const SpaceIndex::Entry entry = {id, AsEmbedding(vector)};
  return index.Append({&entry, 1}).first;
}

SearchResult Search(const SpaceIndex& index, const Vector& query, uint32_t k, IndexView view) {
  SearchRequest request;
  request.query = query;
  request.k = k;
  return index.Search(request, view);
}

TEST(SpaceIndexTest, AnEmptySpaceAnswersNothing) {
  const auto index = SpaceIndex::Create(Options(3));
  EXPECT_EQ(index->Pin().visible, 0u);
  const SearchResult result = Search(*index, {1, 0, 0}, 5, index->Pin());
  EXPECT_TRUE(result.hits.empty());
  EXPECT_TRUE(result.exact);
  EXPECT_EQ(index->Find("a", index->Pin()), std::nullopt);
  EXPECT_FALSE(index->Forget("a"));
  EXPECT_FALSE(index->ForgetOrdinal(0));
  EXPECT_EQ(index->Append({}).first, 0u);
  EXPECT_EQ(index->Link(10, nullptr), 0u);
}

TEST(SpaceIndexTest, AViewKeepsShowingTheVersionItWasPinnedWith) {
  const auto index = SpaceIndex::Create(Options(3));
  const Vector x = {1, 0, 0}, y = {0, 1, 0};
  AppendOne(*index, "a", x);
  const IndexView before = index->Pin();
  const SpaceIndex::Entry again = {"a", AsEmbedding(y)};
  const SpaceIndex::Appended appended = index->Append({&again, 1});
  EXPECT_EQ(appended.first, 1u);
  EXPECT_EQ(appended.replaced, 1u);
  EXPECT_EQ(index->size(), 2u);
  EXPECT_EQ(index->live(), 1u);

  EXPECT_EQ(index->Find("a", before), 0u);
  EXPECT_EQ(index->Find("a", index->Pin()), 1u);
  EXPECT_TRUE(index->Live(0, before));
  EXPECT_FALSE(index->Live(1, before));
  EXPECT_FALSE(index->Live(0, index->Pin()));
  const SearchResult old = Search(*index, x, 5, before);
  ASSERT_EQ(old.hits.size(), 1u);
  EXPECT_EQ(old.hits[0].ordinal, 0u);
  EXPECT_EQ(index->Find("a", IndexView{0}), std::nullopt);

  // Forgetting takes it out of old views as well.
  EXPECT_TRUE(index->Forget("a"));
  EXPECT_FALSE(index->Forget("a"));
  EXPECT_TRUE(Search(*index, x, 5, before).hits.empty());
  EXPECT_EQ(index->Find("a", before), std::nullopt);
  EXPECT_EQ(index->live(), 0u);

  // And it may come back.
  EXPECT_EQ(AppendOne(*index, "a", x), 2u);
  EXPECT_EQ(index->Find("a", index->Pin()), 2u);
  EXPECT_EQ(index->Find("a", IndexView{2}), std::nullopt);
  EXPECT_EQ(index->live(), 1u);
}

TEST(SpaceIndexTest, OfAnIdTwiceInOneAppendTheLastStays) {
  const auto index = SpaceIndex::Create(Options(2));
  const Vector x = {1, 0}, y = {0, 1};
  const SpaceIndex::Entry entries[] = {{"a", AsEmbedding(x)}, {"b", AsEmbedding(x)}, {"a", AsEmbedding(y)}};
  EXPECT_EQ(index->Append(entries).replaced, 1u);
  EXPECT_EQ(index->live(), 2u);
  EXPECT_EQ(index->Find("a", index->Pin()), 2u);
  EXPECT_EQ(Search(*index, x, 5, index->Pin()).hits.size(), 2u);
}

TEST(SpaceIndexTest, TiesGoToTheLowerOrdinal) {
  const auto index = SpaceIndex::Create(Options(2));
  for (int i = 0; i < 100; ++i) AppendOne(*index, std::to_string(i), {1, 0});
  const SearchResult result = Search(*index, {2, 0}, 7, index->Pin());
  ASSERT_EQ(result.hits.size(), 7u);
  for (Ordinal o = 0; o < 7; ++o) EXPECT_EQ(result.hits[o].ordinal, o);
}

TEST(SpaceIndexTest, ReadsBinary16AndUnalignedBytes) {
  const auto index = SpaceIndex::Create(Options(3));
  const uint16_t halves[] = {0x3c00, 0x4000, 0xb800};  // 1, 2, -0.5
  std::vector<std::byte> bytes(1 + sizeof(halves));
  std::memcpy(bytes.data() + 1, halves, sizeof(halves));
  const SpaceIndex::Entry entry = {"h", {bytes.data() + 1, 3, Encoding::kF16}};
  index->Append({&entry, 1});
  const auto vector = index->KeptRow(0);
  EXPECT_EQ(Vector(vector.begin(), vector.end()), (Vector{1, 2, -0.5f}));
  EXPECT_EQ(index->IdOf(0), "h");
}

TEST(SpaceIndexTest, VectorsOfExtremeLengthHaveTheirTrueSimilarity) {
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kL2}) {
    const auto index = SpaceIndex::Create(Options(20, metric));
    std::mt19937_64 random(5);
    std::vector<Vector> vectors;
    for (const float scale : {1e-38f, 1e-30f, 1e-20f, 1.0f, 1e18f, 1e25f, 1e37f}) {
      Vector vector = testing::GaussianVector(random, 20);
      for (float& element : vector) element *= scale;
      AppendOne(*index, std::to_string(vectors.size()), vector);
      vectors.push_back(vector);
    }
    for (const Vector& query : vectors) {
      const SearchResult result = Search(*index, query, 10, index->Pin());
      ASSERT_EQ(result.hits.size(), vectors.size());
      for (const SearchHit& hit : result.hits) {
        double expected = ExactSimilarity(metric, query, vectors[hit.ordinal]);
        expected = std::clamp<double>(expected, -3.4028234e38, 3.4028234e38);
        EXPECT_TRUE(std::isfinite(hit.similarity));
        double a = 0, b = 0;
        for (int i = 0; i < 20; ++i) {
          a += double{query[i]} * query[i];
          b += double{vectors[hit.ordinal][i]} * vectors[hit.ordinal][i];
        }
        const double unit = metric == Metric::kCosine ? 1 : metric == Metric::kL2 ? std::sqrt(a + b) : std::sqrt(a * b);
        EXPECT_NEAR(hit.similarity, expected, std::max(unit * 2e-6, 1e-37)) << static_cast<int>(metric);
      }
    }
  }
}

TEST(SpaceIndexTest, LinksInOrderAndStopsWhenToldTo) {
  ClusteredVectors source(1, 16);
  const auto index = SpaceIndex::Create(Options(16, Metric::kCosine, 100));
  for (int i = 0; i < 100; ++i) AppendOne(*index, std::to_string(i), source.Next());
  EXPECT_EQ(index->Link(1000, nullptr), 0u);
  EXPECT_EQ(index->link_backlog(), 0u);
  EXPECT_FALSE(index->has_graph());
  AppendOne(*index, "100", source.Next());
  EXPECT_EQ(index->link_backlog(), 101u);
  EXPECT_EQ(index->Link(10, nullptr), 10u);
  EXPECT_TRUE(index->has_graph());
  EXPECT_EQ(index->linked(), 10u);
  int asked = 0;
  EXPECT_EQ(index->Link(1000, [&] { return ++asked == 5; }), 5u);
  EXPECT_EQ(index->linked(), 15u);
  // What is dead moves the watermark without an insertion.
  for (int i = 15; i < 50; ++i) EXPECT_TRUE(index->Forget(std::to_string(i)));
  EXPECT_EQ(index->Link(1, nullptr), 36u);
  EXPECT_EQ(index->Link(1000, nullptr), 50u);
  EXPECT_EQ(index->link_backlog(), 0u);
  EXPECT_EQ(index->linked(), 101u);
}

TEST(SpaceIndexTest, EveryMatchIsFoundHoweverFew) {
  ClusteredVectors source(2, 32);
  const auto index = SpaceIndex::Create(Options(32, Metric::kCosine, 0));
  for (int i = 0; i < 3000; ++i) AppendOne(*index, std::to_string(i), source.Next());
  while (index->link_backlog() != 0) index->Link(500, nullptr);
  const OrdinalFilter few = [](Ordinal o) { return o % 300 == 7; };
  const Vector query = source.Next();
  SearchRequest request;
  request.query = query;
  request.k = 50;
  request.filter = &few;
  const SearchResult result = index->Search(request, index->Pin());
  EXPECT_EQ(result.hits.size(), 10u);
  EXPECT_TRUE(result.exact);
  EXPECT_EQ(result.tail_scanned, 10u);

  // The same when nearly everything was forgotten: the graph alone could not do it.
  for (int i = 0; i < 3000; ++i) {
    if (i % 300 != 7) {
      EXPECT_TRUE(index->Forget(std::to_string(i)));
    }
  }
  for (const uint32_t k : {1u, 5u, 9u, 10u, 11u, 5000u}) {
    EXPECT_EQ(Search(*index, query, k, index->Pin()).hits.size(), std::min(k, 10u)) << k;
  }
}

TEST(SpaceIndexTest, RowsWhoseBitsAreStillToBeMadeAreFoundLikeTheOthers) {
  ClusteredVectors source(3, 256);
  const auto index = SpaceIndex::Create(Options(256));
  std::vector<Vector> vectors;
  const auto append = [&](int count) {
    for (int i = 0; i < count; ++i) {
      vectors.push_back(source.Next());
      AppendOne(*index, std::to_string(vectors.size()), vectors.back());
    }
  };
  const auto expect_found = [&] {
    // Every 97th, and so some of each part, and the last.
    for (size_t o = vectors.size() - 1; o < vectors.size(); o -= 97) {
      const SearchResult result = Search(*index, vectors[o], 1, index->Pin());
      ASSERT_EQ(result.hits.size(), 1u);
      EXPECT_EQ(result.hits[0].ordinal, o) << index->bits_backlog() << " without bits";
    }
  };
  append(9000);
  ASSERT_TRUE(index->bits_due() && index->bits_backlog() == 9000);
  expect_found();
  ASSERT_EQ(index->MakeBits(5000), 5000u);
  expect_found();
  append(1000);
  ASSERT_EQ(index->bits_backlog(), 5000u);
  expect_found();
  while (index->MakeBits(1000) > 0) {
  }
  ASSERT_EQ(index->bits_backlog(), 0u);
  expect_found();
}

// What an old view shows may have died before it could be linked: the graph knows none of it, and the scan makes up.
TEST(SpaceIndexTest, AnOldViewIsAnsweredInFullThoughTheGraphSkippedWhatItShows) {
  ClusteredVectors source(3, 16);
  const auto index = SpaceIndex::Create(Options(16, Metric::kCosine, 50));
  for (int i = 0; i < 100; ++i) AppendOne(*index, std::to_string(i), source.Next());
  const IndexView before = index->Pin();
  for (int i = 0; i < 400; ++i) AppendOne(*index, std::to_string(i), source.Next());
  index->Link(1000, nullptr);
  ASSERT_EQ(index->linked(), 500u);
  const SearchResult result = Search(*index, source.Next(), 10, before);
  ASSERT_EQ(result.hits.size(), 10u);
  for (const SearchHit& hit : result.hits) EXPECT_LT(hit.ordinal, 100u);
  EXPECT_FALSE(Search(*index, source.Next(), 10, index->Pin()).exact);
}

TEST(SpaceIndexTest, TenThousandSmallSpacesAreCheap) {
  const Vector vector(768, 0.5f);
  const auto empty = SpaceIndex::Create(Options(768));
  EXPECT_LE(empty->resident_bytes(), 1344u);
  AppendOne(*empty, "a", vector);
  EXPECT_LE(empty->resident_bytes(), 8u * 1024 + 4096);
}

struct Case {
  Metric metric;
  uint64_t flat_threshold;
};

class SpaceIndexModelTest : public ::testing::TestWithParam<Case> {};

// Random operations; after each few, searches of all kinds are compared with the model.
TEST_P(SpaceIndexModelTest, AgreesWithTheModelAfterAnyOperations) {
  constexpr uint32_t kDimension = 20;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    ClusteredVectors source(seed, kDimension, 10, 8);
    const auto index = SpaceIndex::Create(Options(kDimension, GetParam().metric, GetParam().flat_threshold));
    IndexModel model(GetParam().metric);
    double recalled = 0, expected_hits = 0;

    for (int operation = 0; operation < 400; ++operation) {
      const auto any_id = [&] { return std::to_string(random() % 600); };
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          std::vector<std::string> ids;
          std::vector<Vector> vectors;
          for (size_t n = random() % 20; n != 0; --n) {
            ids.push_back(any_id());
            vectors.push_back(source.Next());
          }
          std::vector<SpaceIndex::Entry> entries;
          uint32_t replaced = 0;
          const uint64_t first = model.size();
          for (size_t i = 0; i < ids.size(); ++i) {
            entries.push_back({ids[i], AsEmbedding(vectors[i])});
            replaced += model.Append(ids[i], vectors[i]);
          }
          const SpaceIndex::Appended appended = index->Append(entries);
          ASSERT_EQ(appended.first, first);
          ASSERT_EQ(appended.replaced, replaced);
          break;
        }
        case 3: {
          const std::string id = any_id();
          ASSERT_EQ(index->Forget(id), model.Forget(id)) << id;
          break;
        }
        case 4: {
          if (model.size() == 0) break;
          const auto ordinal = static_cast<Ordinal>(random() % model.size());
          const std::string id(index->IdOf(ordinal));
          const auto found = model.live().find(id);
          const bool alive = found != model.live().end() && found->second == ordinal;
          ASSERT_EQ(index->ForgetOrdinal(ordinal), alive);
          if (alive) model.Forget(id);
          break;
        }
        case 5:
          index->Link(static_cast<uint32_t>(random() % 60), nullptr);
          break;
        default:
          break;
      }

      ASSERT_EQ(index->size(), model.size());
      ASSERT_EQ(index->live(), model.live().size());
      ASSERT_LE(index->linked(), index->size());
      const IndexView view = index->Pin();
      const std::string id = any_id();
      const auto known = model.live().find(id);
      ASSERT_EQ(index->Find(id, view), known == model.live().end() ? std::nullopt : std::optional(known->second));

      const Vector query = source.Next();
      SearchRequest request;
      request.query = query;
      request.k = static_cast<uint32_t>(1 + random() % 40);
      request.exact = random() % 3 == 0;
      const OrdinalFilter filter = [keep = random() % 5 + 1](Ordinal o) { return o % keep == 0; };
      if (random() % 3 == 0) request.filter = &filter;
      auto ranked = model.Rank(query, request.filter);
      if (random() % 3 == 0 && !ranked.empty()) {
        // Between two similarities, so rounding does not decide.
        const size_t at = random() % ranked.size();
        const double above = ranked[at].similarity;
        const double below = at + 1 < ranked.size() ? ranked[at + 1].similarity : above - 1;
        if (above - below > 1e-3) {
          request.min_similarity = static_cast<float>((above + below) / 2);
          ranked.resize(at + 1);
        }
      }
      const SearchResult result = index->Search(request, view);
      const size_t want = std::min<size_t>(request.k, ranked.size());
      const bool must_be_exact = request.exact || request.filter != nullptr || !index->has_graph();
      if (must_be_exact) {
        ASSERT_TRUE(result.exact);
      }
      if (result.exact) {
        ASSERT_EQ(result.graph_candidates, 0u);
      }
      // With a floor the graph may miss some; without, k come back whenever k exist.
      if (result.exact || !request.min_similarity) {
        ASSERT_EQ(result.hits.size(), want);
      }
      std::set<std::string_view> seen;
      for (size_t i = 0; i < result.hits.size(); ++i) {
        const SearchHit& hit = result.hits[i];
        ASSERT_TRUE(index->Live(hit.ordinal, view));
        ASSERT_TRUE(seen.insert(index->IdOf(hit.ordinal)).second);
        ASSERT_EQ(model.live().at(std::string(index->IdOf(hit.ordinal))), hit.ordinal);
        ASSERT_NEAR(hit.similarity, ExactSimilarity(GetParam().metric, query, model.vector(hit.ordinal)), 2e-3);
        if (i > 0) {
          const SearchHit& before = result.hits[i - 1];
          ASSERT_TRUE(before.similarity > hit.similarity ||
                      (before.similarity == hit.similarity && before.ordinal < hit.ordinal));
        }
        if (result.exact) {
          ASSERT_NEAR(hit.similarity, ranked[i].similarity, 2e-3);
        }
      }
      if (!result.exact) {
        expected_hits += static_cast<double>(want);
        for (size_t i = 0; i < want; ++i) recalled += seen.contains(index->IdOf(ranked[i].ordinal));
      }
    }
    if (expected_hits > 0) {
      EXPECT_GE(recalled / expected_hits, 0.95);
    }
    if (GetParam().flat_threshold < 100) {
      EXPECT_TRUE(index->has_graph());
      EXPECT_GT(expected_hits, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SpaceIndexModelTest,
    ::testing::Values(Case{Metric::kCosine, 1'000'000}, Case{Metric::kInnerProduct, 1'000'000},
                      Case{Metric::kL2, 1'000'000}, Case{Metric::kCosine, 0}, Case{Metric::kInnerProduct, 50},
                      Case{Metric::kL2, 50}));

}  // namespace
}  // namespace engram
