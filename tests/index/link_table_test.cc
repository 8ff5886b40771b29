#include "index/link_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace engram {
namespace {

using Claimed = LinkTable::Claimed;

TEST(LinkTableTest, ANodeIsThereOnceItIsFinished) {
  LinkTable table(4);
  for (const Ordinal node : {0u, 1023u, 1024u, 5'000'000u}) {
    EXPECT_EQ(table.LevelOf(node), -1);
    ASSERT_EQ(table.Claim(node, 3), Claimed::kYes);
    EXPECT_EQ(table.LevelOf(node), -1);
    EXPECT_EQ(table.Claim(node, 3), Claimed::kPresent);
    table.Finish(node, 3);
    EXPECT_EQ(table.LevelOf(node), 3);
    EXPECT_EQ(table.end(), node + 1);
  }
  EXPECT_EQ(table.size(), 4u);
  EXPECT_EQ(table.LevelOf(77), -1);
}

TEST(LinkTableTest, AnAbandonedNodeIsClaimedAgain) {
  LinkTable table(4);
  ASSERT_EQ(table.Claim(9, 2), Claimed::kYes);
  table.Abandon(9, 2);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.resident_bytes(), 0u);
  ASSERT_EQ(table.Claim(9, 5), Claimed::kYes);
  table.Finish(9, 5);
  EXPECT_EQ(table.LevelOf(9), 5);
}

TEST(LinkTableTest, ListsOfEachLevelHoldWhatTheyAreGiven) {
  for (const uint32_t connections : {2u, 3u, 16u, 33u}) {
    LinkTable table(connections);
    for (Ordinal node = 0; node < 3; ++node) ASSERT_EQ(table.Claim(node, 2), Claimed::kYes);
    for (uint32_t level = 0; level <= 2; ++level) {
      const LinkTable::List list = table.ListOf(1, level);
      ASSERT_EQ(list.capacity(), table.MostLinks(level));
      ASSERT_GE(list.capacity(), table.PrunedLinks(level));
      std::vector<Neighbor> links;
      for (uint32_t i = 0; i < list.capacity() - 1; ++i) links.push_back({static_cast<float>(i), 100 * level + i});
      list.Set(links, links.size());
      list.Append({0.5f, 99});
    }
    for (uint32_t level = 0; level <= 2; ++level) {
      const LinkTable::List list = table.ListOf(1, level);
      const uint32_t last = list.capacity() - 1;
      ASSERT_EQ(list.count(), last + 1);
      for (uint32_t i = 0; i < last; ++i) {
        ASSERT_EQ(list.id(i), 100 * level + i);
        ASSERT_EQ(list.link(i).distance, static_cast<float>(i));
        ASSERT_TRUE(list.link(i).settled);
      }
      EXPECT_EQ(list.id(last), 99u);
      EXPECT_FALSE(list.link(last).settled);
    }
    for (const Ordinal node : {0u, 2u}) {
      for (uint32_t level = 0; level <= 2; ++level) EXPECT_EQ(table.ListOf(node, level).count(), 0u);
    }
  }
}

TEST(LinkTableTest, ADistanceIsKeptToAPercentAndUnknownOnesStaySo) {
  for (const float distance : {1e-30f, 0.0123f, 1.0f, -3.7f, 8e30f, 1e38f}) {
    EXPECT_NEAR(FromShortDistance(ShortDistance(distance)) / distance, 1, 0.004) << distance;
  }
  EXPECT_EQ(FromShortDistance(ShortDistance(0)), 0);
  EXPECT_TRUE(std::isnan(FromShortDistance(ShortDistance(kUnknownDistance))));
}

// A record of sixteen connections: three cache lines for a walk, two more for writers.
TEST(LinkTableTest, ANodeTakesAsLittleMemoryAsItSays) {
  LinkTable table(16);
  for (Ordinal node = 0; node < 1000; ++node) ASSERT_EQ(table.Claim(node, 0), Claimed::kYes);
  EXPECT_EQ(table.resident_bytes(), 320'000u);
}

}  // namespace
}  // namespace engram
