// What a search says it has looked at, and when it says that its answer is exact.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "index/space_index.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AsEmbedding;
using testing::ClusteredVectors;
using testing::OrdinalFilter;
using testing::Vector;

IndexOptions Options(uint32_t dimension, uint64_t flat_threshold = 1'000'000) {
  IndexOptions options;
  options.dimension = dimension;
  options.flat_threshold = flat_threshold;
  options.keep_rows = true;
  return options;
}

void AppendOne(SpaceIndex& index, std::string_view id, const Vector& vector) {
  const SpaceIndex::Entry entry = {id, AsEmbedding(vector)};
  index.Append({&entry, 1});
}

SearchResult Search(const SpaceIndex& index, const Vector& query, uint32_t k, const OrdinalSet* filter = nullptr) {
  SearchRequest request;
  request.query = query;
  request.k = k;
  request.filter = filter;
  return index.Search(request, index.Pin());
}

// What was replaced keeps its row, and is no reason to be less sure of what is not.
TEST(SearchCoverageTest, AFewThatAreOftenReplacedAreAnsweredExactly) {
  const auto index = SpaceIndex::Create(Options(64));
  ClusteredVectors source(4, 64);
  for (int round = 0; round < 96; ++round) {
    for (int i = 0; i < 100; ++i) AppendOne(*index, std::to_string(i), source.Next());
  }
  ASSERT_EQ(index->size(), 9600u);
  const Vector query = source.Next();
  const SearchResult all = Search(*index, query, 10);
  EXPECT_TRUE(all.exact);
  EXPECT_EQ(all.tail_scanned, 100u);
  // A filter's estimate counts rows, the dead among them.
  const OrdinalFilter most([](Ordinal o) { return o % 10 != 0; }, 8640);
  const SearchResult filtered = Search(*index, query, 10, &most);
  EXPECT_TRUE(filtered.exact);
  EXPECT_EQ(filtered.tail_scanned, 90u);
  EXPECT_EQ(filtered.graph_candidates, 0u);
}

TEST(SearchCoverageTest, MoreLiveOnesThanAreComparedExactlyAreNot) {
  const auto index = SpaceIndex::Create(Options(4));
  std::mt19937_64 random(6);
  for (int i = 0; i < 8192; ++i) AppendOne(*index, std::to_string(i), testing::GaussianVector(random, 4));
  EXPECT_TRUE(Search(*index, {1, 2, 3, 4}, 10).exact);
  AppendOne(*index, "one more", {1, 2, 3, 4});
  const SearchResult result = Search(*index, {1, 2, 3, 4}, 10);
  EXPECT_FALSE(result.exact);
  EXPECT_EQ(result.tail_scanned, 8193u);
}

// One third of them in the graph, one third waits to be linked, and of each some are dead.
TEST(SearchCoverageTest, AWalkTellsWhatItComparedAndWhatTheTailHeld) {
  for (const uint32_t dimension : {16u, 256u}) {
    const auto index = SpaceIndex::Create(Options(dimension, 100));
    ClusteredVectors source(7, dimension);
    for (int i = 0; i < 3000; ++i) AppendOne(*index, std::to_string(i), source.Next());
    ASSERT_EQ(index->Link(1500, nullptr), 1500u);
    for (int i = 1495; i < 1510; ++i) ASSERT_TRUE(index->Forget(std::to_string(i)));
    const SearchResult result = Search(*index, source.Next(), 10);
    EXPECT_FALSE(result.exact) << "what a walk answers";
    EXPECT_EQ(result.tail_scanned, 1490u) << "what lives of the 1500 that are not linked";
    EXPECT_GE(result.graph_candidates, 64u) << "at least as many as it is wide";
    EXPECT_LT(result.graph_candidates, 3u * 1500u);

    while (index->link_backlog() != 0) index->Link(500, nullptr);
    const SearchResult linked = Search(*index, source.Next(), 10);
    EXPECT_FALSE(linked.exact);
    EXPECT_EQ(linked.tail_scanned, 0u);
    EXPECT_GE(linked.graph_candidates, 64u);
  }
}

// Bits say nothing of who is alive.
TEST(SearchCoverageTest, AScanByBitsTellsTheRowsItWentOver) {
  const auto index = SpaceIndex::Create(Options(256));
  ClusteredVectors source(8, 256);
  for (int i = 0; i < 20'000; ++i) AppendOne(*index, std::to_string(i), source.Next());
  while (index->MakeBits(5000) != 0) {
  }
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(index->Forget(std::to_string(i)));
  const SearchResult result = Search(*index, source.Next(), 10);
  EXPECT_FALSE(result.exact);
  EXPECT_EQ(result.tail_scanned, 20'000u);
  EXPECT_EQ(result.graph_candidates, 0u);
}

// The estimate promises many matches near the cue, and there are none: the walk gives up, and it cost what it cost.
TEST(SearchCoverageTest, AWalkThatGaveUpTellsWhatItCompared) {
  const auto index = SpaceIndex::Create(Options(16, 100));
  ClusteredVectors source(9, 16);
  for (int i = 0; i < 6000; ++i) AppendOne(*index, std::to_string(i), source.Next());
  while (index->link_backlog() != 0) index->Link(500, nullptr);
  const OrdinalFilter few([](Ordinal o) { return o % 3000 == 1; }, 5000);
  const SearchResult result = Search(*index, source.Next(), 2, &few);
  EXPECT_EQ(result.hits.size(), 2u);
  EXPECT_TRUE(result.exact) << "by the scan that took over";
  EXPECT_EQ(result.tail_scanned, 2u);
  EXPECT_GT(result.graph_candidates, 500u);
}

}  // namespace
}  // namespace engram
