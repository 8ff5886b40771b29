#include "index/bucket_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace engram {
namespace {

std::vector<Ordinal> Best(const BucketQueue& queue) {
  std::vector<Ordinal> best;
  queue.ForEachBest([&best](Ordinal node, float) { best.push_back(node); });
  std::sort(best.begin(), best.end());
  return best;
}

TEST(BucketQueueTest, GivesTheClosestOpenNodeFirst) {
  BucketQueue queue;
  queue.Reset(100, 10, 10);
  for (const uint32_t distance : {40u, 7u, 99u, 7u, 0u}) queue.Push(distance, distance, 0, true);
  for (const Ordinal node : {0u, 7u, 7u}) EXPECT_EQ(queue.Pop(), node);
  queue.Push(3, 3, 0, true);
  for (const Ordinal node : {3u, 40u, 99u, kNoOrdinal, kNoOrdinal}) EXPECT_EQ(queue.Pop(), node);
}

TEST(BucketQueueTest, KeepsTheBestAndNamesWhereTheyEnd) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const uint32_t buckets = 1 + random() % 300, ef = 1 + random() % 40;
    BucketQueue queue;
    queue.Reset(buckets, ef, ef);
    std::vector<std::pair<uint32_t, Ordinal>> kept;
    for (Ordinal node = 0; node < 150; ++node) {
      const auto distance = static_cast<uint32_t>(random() % buckets);
      const bool keep = random() % 3 != 0;
      if (keep) kept.emplace_back(distance, node);
      if (distance < queue.limit()) queue.Push(node, distance, static_cast<float>(distance), keep);
    }
    std::sort(kept.begin(), kept.end());
    const std::vector<Ordinal> best = Best(queue);
    EXPECT_EQ(queue.full(), kept.size() >= ef);
    ASSERT_GE(best.size(), std::min<size_t>(kept.size(), ef));
    // All that are closer than the last of the best `ef` are there.
    for (size_t i = 0; i < std::min<size_t>(kept.size(), ef); ++i) {
      if (kept.size() > ef && kept[i].first == kept[ef - 1].first) break;
      ASSERT_TRUE(std::binary_search(best.begin(), best.end(), kept[i].second)) << round;
    }
    if (kept.size() >= ef) {
      EXPECT_EQ(queue.limit(), kept[ef - 1].first);
    }
  }
}

TEST(BucketQueueTest, PassesThroughWhatIsNotKept) {
  BucketQueue queue;
  queue.Reset(10, 1, 1);
  queue.Push(1, 1, 0, false);
  queue.Push(2, 5, 0, true);
  EXPECT_EQ(queue.Pop(), 1u);
  EXPECT_EQ(queue.Pop(), 2u);
  EXPECT_EQ(Best(queue), std::vector<Ordinal>{2});
}

TEST(BucketQueueTest, OpensNothingBehindTheBest) {
  BucketQueue queue;
  queue.Reset(10, 2, 2);
  for (Ordinal node : {9u, 1u, 2u}) queue.Push(node, node, 0, true);
  for (const Ordinal node : {1u, 2u, kNoOrdinal}) EXPECT_EQ(queue.Pop(), node);
}

TEST(BucketQueueTest, KeepsMoreThanItOpens) {
  BucketQueue queue;
  queue.Reset(10, 1, 3);
  for (Ordinal node : {9u, 1u, 4u, 3u}) queue.Push(node, node, 0, true);
  EXPECT_EQ(queue.limit(), 4u);
  EXPECT_EQ(Best(queue), (std::vector<Ordinal>{1, 3, 4}));
  for (const Ordinal node : {1u, kNoOrdinal}) EXPECT_EQ(queue.Pop(), node);
}

TEST(BucketQueueTest, FinerStepsKeepTheSameNodesInBetterOrder) {
  BucketQueue queue;
  queue.Reset(10, 3, 3);
  // All in one step, for steps of one.
  for (Ordinal node : {5u, 3u, 8u}) queue.Push(node, 0, static_cast<float>(node) / 10, true);
  queue.Push(4, 0, 0.4f, false);
  EXPECT_EQ(queue.Pop(), 4u);
  queue.Recount([](float exact) { return static_cast<uint32_t>(exact * 10); });
  EXPECT_EQ(queue.limit(), 8u);
  EXPECT_EQ(Best(queue), (std::vector<Ordinal>{3, 5, 8}));
  queue.Push(6, 6, 0.6f, true);
  EXPECT_EQ(Best(queue), (std::vector<Ordinal>{3, 5, 6}));
  // What was opened stays so.
  for (const Ordinal node : {3u, 5u, 6u, kNoOrdinal}) EXPECT_EQ(queue.Pop(), node);
}

}  // namespace
}  // namespace engram
