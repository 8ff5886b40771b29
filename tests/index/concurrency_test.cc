// One writer, one linker and two readers on one index; fixed numbers of operations, and what must hold at any time.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
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
using testing::OrdinalFilter;
using testing::Vector;

constexpr uint64_t kSeed = 11;
constexpr uint32_t kDimension = 16;

IndexOptions Options(uint64_t flat_threshold) {
  IndexOptions options;
  options.dimension = kDimension;
  options.metric = Metric::kL2;
  options.flat_threshold = flat_threshold;
  options.ef_construction = 40;
  options.keep_rows = true;
  return options;
}

// A writer replaces the same ids for ever: each search of everything sees each id exactly once.
TEST(IndexConcurrencyTest, EveryViewShowsExactlyOneVersionOfEachId) {
  constexpr int kIds = 40;
  constexpr int kRounds = 400;
  const auto index = SpaceIndex::Create(Options(1'000'000));
  ClusteredVectors source(kSeed, kDimension);
  std::vector<std::string> ids;
  for (int i = 0; i < kIds; ++i) ids.push_back("id" + std::to_string(i));
  const auto append = [&](size_t from, size_t count) {
    std::vector<Vector> vectors = source.Next(count);
    std::vector<SpaceIndex::Entry> entries;
    for (size_t i = 0; i < count; ++i) entries.push_back({ids[(from + i) % kIds], AsEmbedding(vectors[i])});
    index->Append(entries);
  };
  append(0, kIds);

  std::atomic<bool> done{false};
  std::vector<std::jthread> readers;
  for (uint64_t r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      ClusteredVectors queries(kSeed + 1 + r, kDimension);
      do {
        const Vector query = queries.Next();
        SearchRequest request;
        request.query = query;
        request.k = 3 * kIds;
        request.exact = true;
        const IndexView view = index->Pin();
        const SearchResult result = index->Search(request, view);
        ASSERT_EQ(result.hits.size(), static_cast<size_t>(kIds));
        std::set<std::string_view> seen;
        for (const SearchHit& hit : result.hits) {
          const std::string_view id = index->IdOf(hit.ordinal);
          ASSERT_TRUE(seen.insert(id).second) << id;
          ASSERT_EQ(index->Find(id, view), hit.ordinal);
        }
      } while (!done.load());
    });
  }
  std::mt19937_64 random(kSeed);
  // Up to twice around, so an append replaces within itself too.
  for (int round = 0; round < kRounds; ++round) append(random() % kIds, 1 + random() % (2 * kIds));
  done.store(true);
}

// One id, so that the version before is looked at right after the pin: it must have died before the next one shows.
TEST(IndexConcurrencyTest, AVersionDiesNoLaterThanItsReplacementShows) {
  constexpr int kAppends = 20000;
  const auto index = SpaceIndex::Create(Options(1'000'000));
  const Vector vector(kDimension, 1.0f);
  const SpaceIndex::Entry entry = {"a", AsEmbedding(vector)};
  index->Append({&entry, 1});
  std::atomic<bool> done{false};
  std::jthread reader([&] {
    do {
      const IndexView view = index->Pin();
      ASSERT_TRUE(view.visible < 2 || !index->Live(view.visible - 2, view)) << view.visible;
      ASSERT_TRUE(index->Live(view.visible - 1, view)) << view.visible;
    } while (!done.load());
  });
  for (int i = 0; i < kAppends; ++i) index->Append({&entry, 1});
  done.store(true);
}

TEST(IndexConcurrencyTest, SearchesHoldWhileTheSpaceIsWrittenLinkedAndForgotten) {
  constexpr int kAppends = 300;
  constexpr int kSearches = 400;
  const auto index = SpaceIndex::Create(Options(200));
  std::atomic<bool> written{false};

  std::jthread writer([&] {
    ClusteredVectors source(kSeed, kDimension);
    std::mt19937_64 random(kSeed);
    for (int i = 0; i < kAppends; ++i) {
      std::vector<Vector> vectors = source.Next(1 + random() % 20);
      std::vector<std::string> ids;
      for (size_t j = 0; j < vectors.size(); ++j) ids.push_back(std::to_string(random() % 4000));
      std::vector<SpaceIndex::Entry> entries;
      for (size_t j = 0; j < vectors.size(); ++j) entries.push_back({ids[j], AsEmbedding(vectors[j])});
      const Ordinal first = index->Append(entries).first;
      const Ordinal last = first + static_cast<Ordinal>(entries.size()) - 1;

      // What was just appended is found by its own vector, linked or not.
      SearchRequest request;
      request.query = vectors.back();
      request.k = 1;
      const IndexView view = index->Pin();
      const SearchResult result = index->Search(request, view);
      ASSERT_EQ(result.hits.size(), 1u);
      ASSERT_EQ(result.hits[0].ordinal, last) << "seed " << kSeed << ", append " << i;

      if (i % 3 == 0) {
        const std::string id = std::to_string(random() % 4000);
        if (index->Forget(id)) {
          ASSERT_EQ(index->Find(id, index->Pin()), std::nullopt);
        }
      }
    }
    written.store(true);
  });

  std::jthread linker([&] {
    int calls = 0;
    while (!written.load() || index->link_backlog() != 0) {
      int asked = 0;
      const uint64_t before = index->linked();
      const uint32_t moved = index->Link(30, [&] { return ++asked == 20; });
      ASSERT_EQ(index->linked(), before + moved);
      if (moved == 0) std::this_thread::yield();
      ++calls;
    }
    EXPECT_GT(calls, 0);
  });

  std::vector<std::jthread> readers;
  for (uint64_t r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      ClusteredVectors queries(kSeed + 1 + r, kDimension);
      std::mt19937_64 random(kSeed + r);
      for (int i = 0; i < kSearches; ++i) {
        const Vector query = queries.Next();
        SearchRequest request;
        request.query = query;
        request.k = static_cast<uint32_t>(1 + random() % 30);
        request.ef = 32;
        request.exact = i % 5 == 0;
        const OrdinalFilter filter = [](Ordinal o) { return o % 3 == 0; };
        if (i % 7 == 0) request.filter = &filter;
        const IndexView view = index->Pin();
        const SearchResult result = index->Search(request, view);
        std::set<std::string_view> seen;
        for (size_t h = 0; h < result.hits.size(); ++h) {
          const SearchHit& hit = result.hits[h];
          ASSERT_LT(hit.ordinal, view.visible);
          ASSERT_TRUE(seen.insert(index->IdOf(hit.ordinal)).second);
          ASSERT_TRUE(request.filter == nullptr || hit.ordinal % 3 == 0);
          const auto stored = index->KeptRow(hit.ordinal);
          const double expected =
              testing::ExactSimilarity(Metric::kL2, query, Vector(stored.begin(), stored.end()));
          ASSERT_NEAR(hit.similarity, expected, 1e-2);
          if (h > 0) {
            ASSERT_LE(hit.similarity, result.hits[h - 1].similarity);
          }
        }
        ASSERT_LE(index->linked(), index->size());
        ASSERT_GT(index->resident_bytes(), 0u);
      }
    });
  }
  writer.join();
  linker.join();
  readers.clear();

  ASSERT_TRUE(index->has_graph());
  EXPECT_EQ(index->linked(), index->size());
  const IndexView view = index->Pin();
  uint64_t live = 0;
  for (Ordinal o = 0; o < index->size(); ++o) live += index->Live(o, view);
  EXPECT_EQ(live, index->live());
}

// Nothing is quicker than to link what is dead, so it is seen linked the moment after it was not even there.
TEST(IndexConcurrencyTest, WhatIsNotLinkedYetIsNeverMoreThanWasAppended) {
  constexpr uint64_t kRows = 2'000'000;
  IndexOptions options = Options(0);
  options.keep_rows = false;
  const auto index = SpaceIndex::Create(options);
  const Vector vector = ClusteredVectors(kSeed, kDimension).Next();
  const SpaceIndex::Entry lasting = {"lasting", AsEmbedding(vector)}, brief = {"brief", AsEmbedding(vector)};
  index->Append({&lasting, 1});
  ASSERT_EQ(index->Link(1, nullptr), 1u);
  std::atomic<bool> done{false};
  const std::jthread reader([&] {
    while (!done.load(std::memory_order_relaxed)) ASSERT_LE(index->link_backlog(), kRows);
  });
  while (index->size() < kRows) {
    index->Append({&brief, 1});
    index->Forget("brief");
    index->Link(1, nullptr);
  }
  done.store(true);
}

}  // namespace
}  // namespace engram
