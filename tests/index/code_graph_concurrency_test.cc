// Inserters, searchers and savers on one graph; fixed numbers of operations, and what must hold at any time.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "index/code_graph.h"
#include "index/code_query.h"
#include "tests/index/coded_vectors.h"
#include "tests/index/memory_image.h"

namespace engram {
namespace {

using testing::ClusteredVectors;
using testing::Vector;

constexpr uint64_t kSeed = 11;

struct Kind {
  Metric metric;
  uint32_t dimension;
};

class CodeGraphConcurrencyTest : public ::testing::TestWithParam<Kind> {
 protected:
  static constexpr Ordinal kCount = 2500;  // Through several extents.

  const Metric metric_ = GetParam().metric;
  const uint32_t dimension_ = GetParam().dimension;
  CodeSlab slab_{metric_, dimension_};
};

// The slab grows while it is linked, what is linked is searched, and a third of it dies and is streamed again.
TEST_P(CodeGraphConcurrencyTest, EveryLiveOrdinalIsFoundByItsOwnCodeAfterChurn) {
  ClusteredVectors source(kSeed, dimension_);
  const std::vector<Vector> vectors = source.Next(kCount);
  const Vector probe = source.Next();
  CodeGraph graph(slab_, {.max_connections = 8, .ef_construction = 40});
  std::atomic<Ordinal> next{0};
  std::atomic<int> inserting{2};
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    for (Ordinal o = 0; o < kCount; ++o) {
      slab_.Reserve(o + 1);
      slab_.Append(o, vectors[o].data());
      slab_.Publish(o + 1);
      slab_.MakeBits(o + 1);
      if (o % 3 == 2) slab_.SetDiedAt(o - 2, o);
    }
  });
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (Ordinal o = next.fetch_add(1); o < kCount; o = next.fetch_add(1)) {
        while ((slab_.bits() ? slab_.bits_through() : slab_.size()) <= o) std::this_thread::yield();
        ASSERT_TRUE(graph.Insert(o));
      }
      inserting.fetch_sub(1);
    });
  }
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(kSeed + t);
      do {
        const Ordinal visible = slab_.size();
        const Vector& wanted = random() % 2 == 0 ? probe : vectors[random() % kCount];
        const auto walk = graph.Search(CodeQuery(slab_.coder(), wanted), 20, {.end = visible, .visible = visible});
        ASSERT_TRUE(walk.has_value());
        ASSERT_LE(walk->found.size(), 20u);
        std::set<Ordinal> seen;
        for (const auto& found : walk->found) {
          ASSERT_LT(found.ordinal, visible);
          ASSERT_TRUE(seen.insert(found.ordinal).second);
        }
        ASSERT_GT(graph.resident_bytes(), 0u);
      } while (inserting.load() != 0);
    });
  }
  threads.clear();
  ASSERT_EQ(graph.size(), kCount);

  int missed = 0;
  for (Ordinal o = 0; o < kCount; ++o) {
    if (slab_.DiedAt(o) != CodeSlab::kLive) continue;
    const auto walk = graph.Search(CodeQuery(slab_.coder(), vectors[o]), 64, {.end = kCount, .visible = kCount});
    missed += std::none_of(walk->found.begin(), walk->found.end(), [o](const auto& f) { return f.ordinal == o; });
  }
  EXPECT_EQ(missed, 0) << "seed " << kSeed;
}

TEST_P(CodeGraphConcurrencyTest, AnImageIsWholeWhateverIsInsertedMeanwhile) {
  ClusteredVectors source(kSeed, dimension_);
  const std::vector<Vector> vectors = source.Next(kCount);
  testing::Fill(slab_, vectors);
  const CodeGraphOptions options = {.max_connections = 8, .ef_construction = 40};
  CodeGraph graph(slab_, options);
  for (Ordinal o = 0; o < 1000; ++o) ASSERT_TRUE(graph.Insert(o));
  std::atomic<Ordinal> next{1000};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (Ordinal o = next.fetch_add(1); o < kCount; o = next.fetch_add(1)) ASSERT_TRUE(graph.Insert(o));
    });
  }
  int images = 0;
  do {
    testing::MemorySink sink;
    ASSERT_TRUE(graph.Save(1000, sink).ok());
    testing::MemorySource image(sink.bytes());
    const auto loaded = CodeGraph::Load(slab_, options, image);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    ASSERT_EQ(loaded->graph->size(), 1000u);
    int missed = 0;
    for (Ordinal o = 0; o < 1000; o += 7) {
      const auto walk = loaded->graph->Search(CodeQuery(slab_.coder(), vectors[o]), 64, {.end = 1000, .visible = 1000});
      missed += std::none_of(walk->found.begin(), walk->found.end(), [o](const auto& f) { return f.ordinal == o; });
    }
    ASSERT_LE(missed, 2);
    ++images;
  } while (next.load() < kCount);
  EXPECT_GE(images, 1);
}

// All at once from nothing: somebody is first, and each new top level is somebody's.
TEST_P(CodeGraphConcurrencyTest, TheFirstInsertionsAreOneGraph) {
  ClusteredVectors source(kSeed, dimension_);
  const std::vector<Vector> vectors = source.Next(24);
  testing::Fill(slab_, vectors);
  for (int round = 0; round < 50; ++round) {
    // No list is ever full, so nothing is left out for want of room.
    CodeGraph graph(slab_, {.max_connections = 16, .ef_construction = 20});
    std::atomic<int> waiting{3};
    std::vector<std::jthread> threads;
    for (Ordinal t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        waiting.fetch_sub(1);
        while (waiting.load() != 0) std::this_thread::yield();
        for (Ordinal o = t; o < 24; o += 3) ASSERT_TRUE(graph.Insert(o, o % 4));
      });
    }
    threads.clear();
    const auto walk = graph.Search(CodeQuery(slab_.coder(), vectors[0]), 24, {.end = 24, .visible = 24});
    ASSERT_EQ(walk->found.size(), 24u) << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CodeGraphConcurrencyTest,
                         ::testing::Values(Kind{Metric::kL2, 16}, Kind{Metric::kCosine, 256}),
                         [](const auto& info) { return info.param.metric == Metric::kL2 ? "Bytes" : "Bits"; });

}  // namespace
}  // namespace engram
