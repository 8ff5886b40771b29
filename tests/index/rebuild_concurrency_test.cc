// A space is churned and searched while its graph is rebuilt, again and again.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "index/space_index.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AsEmbedding;
using testing::ClusteredVectors;
using testing::Vector;

TEST(RebuildConcurrencyTest, NoSearchMissesLiveOnesWhileTheGraphIsReplaced) {
  constexpr uint32_t kDimension = 16;
  constexpr int kIds = 400;
  constexpr int kRebuilds = 2;
  constexpr uint32_t kWanted = 20;
  IndexOptions options;
  options.dimension = kDimension;
  options.flat_threshold = 50;
  options.max_connections = 8;
  options.ef_construction = 40;
  options.keep_rows = true;
  const auto index = SpaceIndex::Create(options);
  std::atomic<bool> done{false};
  std::atomic<bool> ready{false};

  std::jthread writer([&] {
    ClusteredVectors source(1, kDimension);
    std::vector<std::string> ids;
    for (int i = 0; i < kIds; ++i) ids.push_back(std::to_string(i));
    // The ids in turn, so that all of them live but those that were just forgotten.
    for (size_t at = 0; !done.load();) {
      const std::vector<Vector> vectors = source.Next(10);
      std::vector<SpaceIndex::Entry> entries;
      for (const Vector& vector : vectors) entries.push_back({ids[at++ % kIds], AsEmbedding(vector)});
      const Ordinal last = index->Append(entries).first + 9;
      if (at < kIds) continue;
      ready.store(true);
      SearchRequest request;
      request.query = vectors.back();
      request.k = 1;
      const SearchResult result = index->Search(request, index->Pin());
      ASSERT_EQ(result.hits.size(), 1u);
      ASSERT_EQ(result.hits[0].ordinal, last);
      if (at % 50 == 0) index->Forget(ids[(at + kIds / 2) % kIds]);
      // At less than half the pace of the linker, or it would not come to the end of a rebuild.
      while (!done.load() && index->link_backlog() > 10) std::this_thread::yield();
    }
  });
  std::vector<std::jthread> readers;
  for (uint64_t r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      ClusteredVectors queries(2 + r, kDimension);
      while (!done.load()) {
        const bool full = ready.load();
        const Vector query = queries.Next();
        SearchRequest request;
        request.query = query;
        request.k = kWanted;
        request.ef = 32;
        const IndexView view = index->Pin();
        const SearchResult result = index->Search(request, view);
        if (full) {
          ASSERT_EQ(result.hits.size(), kWanted);
        }
        std::set<std::string_view> seen;
        for (const SearchHit& hit : result.hits) ASSERT_TRUE(seen.insert(index->IdOf(hit.ordinal)).second);
        ASSERT_GT(index->resident_bytes(), 0u);
        ASSERT_GE(index->graph_dead_share(), 0);
      }
    });
  }
  // Others that take a part of each turn.
  std::atomic<uint64_t> assisted{0};
  std::vector<std::jthread> assistants;
  for (int a = 0; a < 2; ++a) {
    assistants.emplace_back([&, a] {
      uint64_t asked = 0;
      while (!done.load()) {
        index->MakeBits(7);
        const uint32_t inserted = index->AssistLink([&] { return ++asked % (3 + a) == 0; });
        assisted.fetch_add(inserted);
        if (inserted == 0) std::this_thread::yield();
      }
    });
  }
  int rebuilds = 0;
  while (rebuilds < kRebuilds) {
    const bool linked = index->Link(64, nullptr) != 0;
    const SpaceIndex::Rebuilt rebuilt = index->Rebuild(64, UINT64_MAX, nullptr);
    rebuilds += rebuilt.replaced;
    if (!linked && !rebuilt.moved) std::this_thread::yield();
  }
  done.store(true);
  writer.join();
  readers.clear();
  assistants.clear();
  EXPECT_GT(assisted.load(), 0u);

  while (index->Link(1000, nullptr) != 0) {
  }
  const IndexView view = index->Pin();
  int missed = 0;
  for (Ordinal o = 0; o < view.visible; ++o) {
    if (!index->Live(o, view)) continue;
    SearchRequest request;
    request.query = index->KeptRow(o);
    request.k = 1;
    const SearchResult result = index->Search(request, view);
    ASSERT_FALSE(result.exact);
    missed += result.hits.size() != 1 || result.hits[0].ordinal != o;
  }
  EXPECT_EQ(missed, 0);
}

// A batch that replaces marks what it replaces before it is visible. Until then the replaced version is the one to be
// found, so linking must not leave it out.
TEST(RebuildConcurrencyTest, WhatABatchIsAboutToReplaceIsFoundUntilItHas) {
  constexpr uint32_t kDimension = 16;
  constexpr Ordinal kIds = 6000;
  // At least so many rounds, and more while the batch was through before anything was looked for.
  constexpr int kRounds = 4, kMostRounds = 100;
  ClusteredVectors source(3, kDimension);
  std::vector<std::string> ids;
  for (Ordinal i = 0; i < kIds; ++i) ids.push_back(std::to_string(i));
  uint64_t looked = 0;
  for (int round = 0; round < kMostRounds && (round < kRounds || looked == 0); ++round) {
    IndexOptions options;
    options.dimension = kDimension;
    options.flat_threshold = 50;
    options.max_connections = 8;
    options.ef_construction = 40;
    options.keep_rows = true;
    const auto index = SpaceIndex::Create(options);
    const std::vector<Vector> old = source.Next(kIds), replacing = source.Next(kIds);
    const auto append = [&](const std::vector<Vector>& vectors) {
      std::vector<SpaceIndex::Entry> entries;
      for (Ordinal i = 0; i < kIds; ++i) entries.push_back({ids[i], AsEmbedding(vectors[i])});
      index->Append(entries);
    };
    append(old);
    std::atomic<bool> replaced{false};
    std::jthread writer([&] {
      append(replacing);
      replaced.store(true);
    });
    for (Ordinal next = 0; !replaced.load();) {
      index->Link(64, nullptr);
      const IndexView view = index->Pin();
      if (view.visible != kIds) break;
      for (; next < index->linked(); next += 16) {
        SearchRequest request;
        request.query = old[next];
        request.k = 1;
        const SearchResult result = index->Search(request, view);
        ASSERT_EQ(result.hits.size(), 1u);
        ASSERT_EQ(result.hits[0].ordinal, next) << "round " << round;
        ++looked;
      }
    }
  }
  EXPECT_GT(looked, 0u);
}

}  // namespace
}  // namespace engram
