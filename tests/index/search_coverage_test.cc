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

}  // namespace
}  // namespace engram
