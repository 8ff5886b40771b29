// Images of a graph over codes: what is loaded finds what was saved, and what was cut or changed is refused or holds
// together.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "index/code_graph.h"
#include "index/code_query.h"
#include "tests/index/coded_vectors.h"
#include "tests/index/memory_image.h"

namespace engram {
namespace {

using testing::Bytes;
using testing::ClusteredVectors;
using testing::MemorySink;
using testing::MemorySource;
using testing::Vector;

constexpr uint64_t kSeed = 31;

Bytes Saved(const CodeGraph& graph, Ordinal end) {
  MemorySink sink;
  EXPECT_TRUE(graph.Save(end, sink).ok());
  return sink.bytes();
}

absl::StatusOr<CodeGraph::Loaded> Loaded(const CodeSlab& slab, const CodeGraphOptions& options,
                                         std::span<const std::byte> image) {
  MemorySource source(image);
  return CodeGraph::Load(slab, options, source);
}

std::unique_ptr<CodeGraph> Linked(const CodeSlab& slab, const CodeGraphOptions& options, Ordinal count) {
  auto graph = std::make_unique<CodeGraph>(slab, options);
  for (Ordinal o = 0; o < count; ++o) EXPECT_TRUE(graph->Insert(o));
  return graph;
}

int MissedBelow(Ordinal end, const CodeGraph& graph, const CodeSlab& slab, const std::vector<Vector>& vectors) {
  int missed = 0;
  for (Ordinal o = 0; o < end; ++o) {
    const auto walk = graph.Search(CodeQuery(slab.coder(), vectors[o]), 64, {.end = end, .visible = end});
    missed += std::none_of(walk->found.begin(), walk->found.end(), [o](const auto& f) { return f.ordinal == o; });
  }
  return missed;
}

TEST(CodeGraphImageTest, TheLoadedGraphFindsWhatTheSavedOneFinds) {
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kL2}) {
    ClusteredVectors source(kSeed, 260);
    CodeSlab slab(metric, 260);
    testing::Fill(slab, source.Next(1200));
    const auto graph = Linked(slab, {}, 1200);
    const Bytes image = Saved(*graph, 1200);
    const auto loaded = Loaded(slab, {}, image);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->end, 1200u);
    EXPECT_EQ(loaded->graph->size(), 1200u);
    EXPECT_EQ(Saved(*loaded->graph, 1200), image);
    for (int i = 0; i < 50; ++i) {
      const CodeQuery query(slab.coder(), source.Next());
      const auto a = graph->Search(query, 30, {.end = 1200, .visible = 1200});
      const auto b = loaded->graph->Search(query, 30, {.end = 1200, .visible = 1200});
      ASSERT_EQ(a->found.size(), b->found.size());
      EXPECT_EQ(a->compared, b->compared);
      for (size_t j = 0; j < a->found.size(); ++j) EXPECT_EQ(a->found[j].ordinal, b->found[j].ordinal);
    }
  }
}

TEST(CodeGraphImageTest, EveryNodeIsReachedAfterLoadingAndGoingOn) {
  ClusteredVectors source(kSeed, 32);
  CodeSlab slab(Metric::kCosine, 32);
  const std::vector<Vector> vectors = source.Next(4000);
  testing::Fill(slab, vectors);
  const auto loaded = Loaded(slab, {}, Saved(*Linked(slab, {}, 2000), 2000));
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(MissedBelow(2000, *loaded->graph, slab, vectors), 0);
  for (Ordinal o = 2000; o < 4000; ++o) ASSERT_TRUE(loaded->graph->Insert(o));
  EXPECT_EQ(MissedBelow(4000, *loaded->graph, slab, vectors), 0);
}

// A third of the links lead to what the image leaves out.
TEST(CodeGraphImageTest, AnImageOfTheOlderNodesStillReachesThem) {
  ClusteredVectors source(kSeed, 32);
  CodeSlab slab(Metric::kCosine, 32);
  const std::vector<Vector> vectors = source.Next(3000);
  testing::Fill(slab, vectors);
  const auto graph = Linked(slab, {}, 3000);
  const auto loaded = Loaded(slab, {}, Saved(*graph, 2000));
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->graph->size(), 2000u);
  EXPECT_LE(MissedBelow(2000, *loaded->graph, slab, vectors), 2);
  // Not even where the search begins.
  const auto one = Loaded(slab, {}, Saved(*graph, 1));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(MissedBelow(1, *one->graph, slab, vectors), 0);
}

TEST(CodeGraphImageTest, OrdinalsMayBeLeftOut) {
  ClusteredVectors source(kSeed, 32);
  CodeSlab slab(Metric::kL2, 32);
  const std::vector<Vector> vectors = source.Next(2000);
  testing::Fill(slab, vectors);
  CodeGraph graph(slab, {});
  for (Ordinal o = 5; o < 2000; o += 3) ASSERT_TRUE(graph.Insert(o));
  const auto loaded = Loaded(slab, {}, Saved(graph, 2000));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::set<Ordinal> seen;
  const CodeQuery query(slab.coder(), source.Next());
  const auto walk = loaded->graph->Search(query, 2000, {.end = 2000, .visible = 2000});
  for (const auto& f : walk->found) seen.insert(f.ordinal);
  EXPECT_EQ(seen.size(), 665u);
  for (const Ordinal o : seen) EXPECT_EQ(o % 3, 2u);
}

TEST(CodeGraphImageTest, AGraphWithoutNodesIsSavedAndLoaded) {
  CodeSlab slab(Metric::kCosine, 8);
  MemorySink sink;
  ASSERT_TRUE(CodeGraph::SaveNone({}, sink).ok());
  EXPECT_EQ(Saved(CodeGraph(slab, {}), 0), sink.bytes());
  const auto loaded = Loaded(slab, {}, sink.bytes());
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->graph, nullptr);
}

TEST(CodeGraphImageTest, WhatDoesNotFitIsRefused) {
  ClusteredVectors source(kSeed, 8);
  CodeSlab slab(Metric::kCosine, 8), fewer(Metric::kCosine, 8);
  const std::vector<Vector> vectors = source.Next(100);
  testing::Fill(slab, vectors);
  testing::Fill(fewer, {vectors.begin(), vectors.end() - 1});
  Bytes image = Saved(*Linked(slab, {}, 100), 100);
  EXPECT_EQ(Loaded(slab, {.max_connections = 17}, image).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Loaded(fewer, {}, image).status().code(), absl::StatusCode::kDataLoss);
  image[8] = std::byte{1};
  EXPECT_EQ(Loaded(slab, {}, image).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(CodeGraphImageTest, ErrorsOfSinkAndSourceAreHandedOn) {
  ClusteredVectors source(kSeed, 8);
  CodeSlab slab(Metric::kCosine, 8);
  testing::Fill(slab, source.Next(100));
  const auto graph = Linked(slab, {}, 100);
  const Bytes image = Saved(*graph, 100);
  for (size_t at = 0; at < image.size(); at += 37) {
    MemorySink sink;
    sink.set_room(at);
    EXPECT_EQ(graph->Save(100, sink).code(), absl::StatusCode::kResourceExhausted) << at;
    MemorySource failing(image);
    failing.FailAfter(at);
    EXPECT_EQ(CodeGraph::Load(slab, {}, failing).status().code(), absl::StatusCode::kUnavailable) << at;
  }
}

class HostileCodeGraphImageTest : public ::testing::Test {
 protected:
  HostileCodeGraphImageTest() {
    testing::Fill(slab_, source_.Next(48));
    image_ = Saved(*Linked(slab_, options_, 40), 40);
  }

  // Whatever was loaded is searched and goes on.
  void Try(const Bytes& image) {
    const auto loaded = Loaded(slab_, options_, image);
    if (!loaded.ok() || loaded->graph == nullptr) return;
    CodeGraph& graph = *loaded->graph;
    for (Ordinal o = 0; o < 48; ++o) ASSERT_TRUE(graph.Insert(o));
    ASSERT_EQ(graph.size(), 48u);
    const auto walk = graph.Search(CodeQuery(slab_.coder(), source_.Next()), 48, {.end = 48, .visible = 48});
    ASSERT_TRUE(walk.has_value());
    ASSERT_GE(walk->found.size(), 1u);
    Saved(graph, 44);
  }

  const CodeGraphOptions options_ = {.max_connections = 3, .ef_construction = 12};
  ClusteredVectors source_{kSeed, 5};
  CodeSlab slab_{Metric::kL2, 5};
  Bytes image_;
};

TEST_F(HostileCodeGraphImageTest, IsNeitherCutNorLengthened) {
  for (size_t size = 0; size < image_.size(); ++size) {
    ASSERT_EQ(Loaded(slab_, options_, std::span(image_).first(size)).status().code(), absl::StatusCode::kDataLoss)
        << size;
  }
  image_.push_back({});
  EXPECT_EQ(Loaded(slab_, options_, image_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileCodeGraphImageTest, AnyByteMayBeWrong) {
  std::mt19937_64 random(kSeed);
  for (size_t at = 0; at < image_.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes image = image_;
      image[at] ^= static_cast<std::byte>(1 << bit);
      Try(image);
    }
  }
}

TEST_F(HostileCodeGraphImageTest, ManyBytesMayBeWrong) {
  std::mt19937_64 random(kSeed + 1);
  for (int round = 0; round < 2000; ++round) {
    Bytes image = image_;
    for (uint64_t i = 0; i < 1 + random() % 6; ++i) {
      // Behind the header, which would end it at once.
      image[32 + random() % (image.size() - 32)] = static_cast<std::byte>(random() % 48);
    }
    Try(image);
  }
}

TEST_F(HostileCodeGraphImageTest, EnormousCountsAllocateNothing) {
  for (const uint32_t value : {0x7fff'ffffu, 0xffff'fffeu, 0xffff'ffffu}) {
    for (const size_t at : {16, 20, 24, 28, 32}) {
      Bytes image = image_;
      std::memcpy(image.data() + at, &value, sizeof(value));
      EXPECT_EQ(Loaded(slab_, options_, image).status().code(), absl::StatusCode::kDataLoss) << at;
    }
  }
}

}  // namespace
}  // namespace engram
