// A graph of which too much is dead is rebuilt beside the one that serves.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "index/space_index.h"
#include "tests/index/memory_image.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AsEmbedding;
using testing::AttachedGraph;
using testing::ClusteredVectors;
using testing::ExactSimilarity;
using testing::LoadedRows;
using testing::SavedGraph;
using testing::SavedRows;
using testing::Vector;
using testing::VectorsBy;

constexpr uint32_t kDimension = 32;
constexpr uint64_t kRoom = UINT64_MAX;
// What one takes at the least outside of graphs: its code and columns.
constexpr uint64_t kRowBytes = 60;

class GraphRebuildTest : public ::testing::Test {
 protected:
  GraphRebuildTest() {
    IndexOptions options;
    options.dimension = kDimension;
    options.flat_threshold = 100;
    index_ = SpaceIndex::Create(options);
  }

  SpaceIndex& index() { return *index_; }

  void Append(const std::vector<std::string>& ids) {
    std::vector<SpaceIndex::Entry> entries;
    for (const std::string& id : ids) {
      vectors_.push_back(random_.Next());
      entries.push_back({id, AsEmbedding(vectors_.back())});
    }
    index_->Append(entries);
  }
  void Append(size_t from, size_t to) {
    std::vector<std::string> ids;
    for (size_t i = from; i < to; ++i) ids.push_back(std::to_string(i));
    Append(ids);
  }
  Ordinal Closest(const Vector& vector, IndexView view) {
    const VectorsBy source([this](Ordinal o) { return vectors_[o]; });
    const SearchResult result = index_->Search({.query = vector, .k = 1, .source = &source}, view);
    return result.hits.empty() ? kNoOrdinal : result.hits[0].ordinal;
  }
  void LinkAll() {
    while (index_->Link(500, nullptr) != 0) {
    }
  }
  // Returns in how many turns.
  int RebuildAll(uint32_t most = 500) {
    for (int turns = 1;; ++turns) {
      const SpaceIndex::Rebuilt rebuilt = index_->Rebuild(most, kRoom, nullptr);
      if (rebuilt.replaced) return turns;
      if (!rebuilt.moved) return 0;
    }
  }

  SearchResult Search(const Vector& query, uint32_t k) const {
    const VectorsBy source([this](Ordinal o) { return vectors_[o]; });
    SearchRequest request;
    request.query = query;
    request.k = k;
    request.source = &source;
    return index_->Search(request, index_->Pin());
  }
  double Recall(int queries = 40) {
    constexpr size_t k = 10;
    const IndexView view = index_->Pin();
    size_t found = 0;
    for (int q = 0; q < queries; ++q) {
      const Vector query = random_.Next();
      std::vector<std::pair<double, Ordinal>> all;
      for (Ordinal o = 0; o < view.visible; ++o) {
        if (index_->Live(o, view)) all.emplace_back(-ExactSimilarity(Metric::kCosine, query, vectors_[o]), o);
      }
      std::partial_sort(all.begin(), all.begin() + k, all.end());
      const SearchResult result = Search(query, k);
      EXPECT_EQ(result.hits.size(), k);
      EXPECT_FALSE(result.exact) << "the graph was not walked";
      for (const SearchHit& hit : result.hits) {
        found += std::any_of(all.begin(), all.begin() + k, [&](const auto& one) { return one.second == hit.ordinal; });
      }
    }
    return static_cast<double>(found) / (k * static_cast<double>(queries));
  }
  // Live ordinals that a walk to their own vectors does not find.
  int Unreachable() const {
    const IndexView view = index_->Pin();
    int missed = 0;
    for (Ordinal o = 0; o < view.visible; ++o) {
      if (!index_->Live(o, view)) continue;
      const SearchResult result = Search(vectors_[o], 1);
      missed += result.exact || result.hits.size() != 1 || result.hits[0].ordinal != o;
    }
    return missed;
  }

  ClusteredVectors random_{7, kDimension};
  std::unique_ptr<SpaceIndex> index_;
  std::vector<Vector> vectors_;
};

TEST_F(GraphRebuildTest, IsDueOnceMoreThanAQuarterOfTheNodesAreDead) {
  Append(0, 1000);
  LinkAll();
  EXPECT_FALSE(index().linking_due());
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(index().Forget(std::to_string(i)));
  EXPECT_DOUBLE_EQ(index().graph_dead_share(), 0.25);
  EXPECT_FALSE(index().linking_due());
  EXPECT_FALSE(index().Rebuild(100, kRoom, nullptr).moved);
  ASSERT_TRUE(index().Forget("250"));
  EXPECT_TRUE(index().linking_due());
  // 749 live, a hundred a turn.
  EXPECT_EQ(RebuildAll(100), 8);
  EXPECT_DOUBLE_EQ(index().graph_dead_share(), 0);
  EXPECT_FALSE(index().linking_due());
  EXPECT_EQ(index().linked(), 1000u);
  EXPECT_EQ(Unreachable(), 0);
}

TEST_F(GraphRebuildTest, YieldsBetweenTwoInsertions) {
  Append(0, 600);
  LinkAll();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(index().Forget(std::to_string(i)));
  int asked = 0;
  ASSERT_TRUE(index().Rebuild(1000, kRoom, [&] { return ++asked == 5; }).moved);
  EXPECT_EQ(asked, 5);
  EXPECT_EQ(RebuildAll(295), 1);
}

TEST_F(GraphRebuildTest, WhatIsAppendedMeanwhileIsLinkedIntoBothGraphs) {
  Append(0, 1000);
  LinkAll();
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(index().Forget(std::to_string(i)));
  ASSERT_TRUE(index().Rebuild(100, kRoom, nullptr).moved);
  size_t next = 1000;
  for (bool replaced = false; !replaced; next += 50) {
    Append(next, next + 50);
    // The serving graph has it at once: no tail grows during the rebuild.
    ASSERT_EQ(index().Link(50, nullptr), 50u);
    ASSERT_EQ(index().link_backlog(), 0u);
    const SearchResult result = Search(vectors_.back(), 1);
    ASSERT_EQ(result.tail_scanned, 0u);
    ASSERT_EQ(result.hits.at(0).ordinal, vectors_.size() - 1);
    replaced = index().Rebuild(100, kRoom, nullptr).replaced;
  }
  EXPECT_EQ(index().linked(), index().size());
  EXPECT_EQ(Unreachable(), 0);
}

TEST_F(GraphRebuildTest, RecallAndMemoryHoldThroughRoundsOfForgettingAndStreamingAgain) {
  constexpr size_t kCount = 4000;
  constexpr double kFloor = 0.97;
  Append(0, kCount);
  LinkAll();
  EXPECT_GE(Recall(), kFloor);
  std::deque<std::string> by_age;
  for (size_t i = 0; i < kCount; ++i) by_age.push_back(std::to_string(i));
  size_t next = kCount;
  const uint64_t rows = index().size() * kRowBytes;
  const uint64_t graph = index().resident_bytes() - rows;
  for (int round = 0; round < 5; ++round) {
    // The oldest third: every other one is observed again, the rest makes room for others.
    std::vector<std::string> again;
    for (size_t i = 0; i < kCount * 3 / 10; ++i) {
      if (i % 2 == 0) {
        ASSERT_TRUE(index().Forget(by_age.front()));
        again.push_back(std::to_string(next++));
      } else {
        again.push_back(by_age.front());
      }
      by_age.pop_front();
    }
    by_age.insert(by_age.end(), again.begin(), again.end());
    Append(again);
    LinkAll();
    EXPECT_GE(Recall(), kFloor) << "round " << round << ", before";
    const uint64_t before = index().resident_bytes();
    if (index().linking_due()) {
      ASSERT_TRUE(index().Rebuild(700, kRoom, nullptr).moved);
      EXPECT_GT(index().resident_bytes(), before) << "both graphs take memory";
      EXPECT_GE(Recall(), kFloor) << "round " << round << ", during";
      EXPECT_GT(RebuildAll(), 0);
      EXPECT_LT(index().resident_bytes(), before);
      EXPECT_GE(Recall(), kFloor) << "round " << round << ", after";
    }
    EXPECT_LE(index().graph_dead_share(), 0.25);
    ASSERT_EQ(index().live(), kCount);
    ASSERT_LE(index().resident_bytes() - index().size() * kRowBytes, graph * 3 / 2);
  }
  RebuildAll();
  EXPECT_EQ(Unreachable(), 0);
}

// Views from before a replacement show the replaced version, which a graph made afterwards has left out.
TEST_F(GraphRebuildTest, LinkingLosesNothingThatAnEarlierViewShows) {
  Append(0, 400);
  const IndexView before = index().Pin();
  Append({"7"});
  LinkAll();
  EXPECT_EQ(Closest(vectors_[7], before), 7u);
  EXPECT_EQ(Closest(vectors_[400], index().Pin()), 400u);
}

TEST_F(GraphRebuildTest, RebuildingLosesNothingThatAnEarlierViewShows) {
  Append(0, 400);
  LinkAll();
  const IndexView before = index().Pin();
  Append(0, 200);
  LinkAll();
  while (!index().Rebuild(500, kRoom, nullptr).replaced) {
  }
  EXPECT_EQ(Closest(vectors_[7], before), 7u);
  EXPECT_EQ(Closest(vectors_[407], index().Pin()), 407u);
}

TEST_F(GraphRebuildTest, BeginsOnlyWhereThereIsMemoryForAnotherGraph) {
  Append(0, 1000);
  LinkAll();
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(index().Forget(std::to_string(i)));
  const uint64_t one = index().resident_bytes();
  EXPECT_FALSE(index().Rebuild(100, 1000, nullptr).moved);
  EXPECT_TRUE(index().linking_due());
  ASSERT_TRUE(index().Rebuild(100, one, nullptr).moved);
  EXPECT_GT(index().resident_bytes(), one);
  // Little memory does for one that is under way, and none gives it up.
  ASSERT_TRUE(index().Rebuild(100, 1, nullptr).moved);
  EXPECT_FALSE(index().Rebuild(100, 0, nullptr).moved);
  EXPECT_EQ(index().resident_bytes(), one);
  EXPECT_EQ(Search(vectors_[700], 1).hits.at(0).ordinal, 700u);
  // Later all of it is begun anew.
  EXPECT_EQ(RebuildAll(100), 6);
  EXPECT_EQ(Unreachable(), 0);
}

TEST_F(GraphRebuildTest, AnImageOfTheWayAndOneOfTheNewGraphAreWhole) {
  Append(0, 1200);
  LinkAll();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(index().Forget(std::to_string(i)));
  const auto load_and_check = [&](const IndexView view, const std::vector<std::byte>& rows) {
    const auto graph = SavedGraph(index(), view);
    auto loaded = LoadedRows(index().options(), rows);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    ASSERT_TRUE(AttachedGraph(**loaded, graph).ok());
    EXPECT_EQ((*loaded)->linked(), view.visible);
    index_.swap(*loaded);
    EXPECT_EQ(Unreachable(), 0);
    index_.swap(*loaded);
  };
  ASSERT_TRUE(index().Rebuild(300, kRoom, nullptr).moved);
  load_and_check(index().Pin(), SavedRows(index(), index().Pin()));
  // Rows of before the swap, a graph of after it.
  const IndexView before = index().Pin();
  const auto rows = SavedRows(index(), before);
  EXPECT_GT(RebuildAll(), 0);
  Append(1200, 1300);
  LinkAll();
  load_and_check(before, rows);
  load_and_check(index().Pin(), SavedRows(index(), index().Pin()));
}

TEST_F(GraphRebuildTest, OfASpaceWithoutAnythingLiveLeavesAnEmptyGraph) {
  Append(0, 300);
  LinkAll();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(index().Forget(std::to_string(i)));
  EXPECT_EQ(RebuildAll(), 1);
  EXPECT_TRUE(Search(vectors_[0], 5).hits.empty());
  const IndexView view = index().Pin();
  const auto graph = SavedGraph(index(), view);
  auto loaded = LoadedRows(index().options(), SavedRows(index(), view));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(AttachedGraph(**loaded, graph).ok());
  Append(300, 900);
  LinkAll();
  EXPECT_EQ(Unreachable(), 0);
}

}  // namespace
}  // namespace engram
