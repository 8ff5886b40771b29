#include "index/space_index.h"

#include <gtest/gtest.h>

namespace engram {
namespace {

EmbeddingView View(const std::vector<float>& v) {
  return {reinterpret_cast<const std::byte*>(v.data()), static_cast<uint32_t>(v.size()), Encoding::kF32};
}

TEST(SpaceIndexTest, AppendsReplacesForgets) {
  IndexOptions options;
  options.dimension = 3;
  auto index = SpaceIndex::Create(options);
  const std::vector<float> a = {1, 0, 0}, b = {0, 1, 0};
  const SpaceIndex::Entry entries[] = {{"a", View(a)}, {"b", View(b)}};
  auto appended = index->Append(entries);
  EXPECT_EQ(appended.first, 0u);
  const IndexView before = index->Pin();
  SearchRequest request;
  request.query = a;
  request.k = 5;
  auto result = index->Search(request, before);
  ASSERT_EQ(result.hits.size(), 2u);
  EXPECT_EQ(result.hits[0].ordinal, 0u);
  EXPECT_FLOAT_EQ(result.hits[0].similarity, 1);
  const SpaceIndex::Entry again[] = {{"a", View(b)}};
  EXPECT_EQ(index->Append(again).replaced, 1u);
  EXPECT_EQ(index->Find("a", before), 0u);
  EXPECT_EQ(index->Find("a", index->Pin()), 2u);
  EXPECT_TRUE(index->Forget("a"));
  EXPECT_FALSE(index->Forget("a"));
  EXPECT_EQ(index->Find("a", before), std::nullopt);
  EXPECT_EQ(index->live(), 1u);
}

}  // namespace
}  // namespace engram
