// A space saved and loaded again is the same space.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "index/space_index.h"
#include "tests/index/memory_image.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AsEmbedding;
using testing::AttachedGraph;
using testing::Bytes;
using testing::ClusteredVectors;
using testing::IndexModel;
using testing::LoadedRows;
using testing::MemorySink;
using testing::MemorySource;
using testing::SavedGraph;
using testing::SavedRows;
using testing::Vector;
using testing::VectorsBy;

constexpr uint64_t kSeed = 5;

IndexOptions Options(uint32_t dimension, Metric metric, uint64_t flat_threshold) {
  IndexOptions options;
  options.dimension = dimension;
  options.metric = metric;
  options.flat_threshold = flat_threshold;
  options.ef_construction = 60;
  return options;
}

// Random appends, replacements and forgettings, on the index and on the model.
class History {
 public:
  History(uint64_t seed, uint32_t dimension, Metric metric, uint32_t ids)
      : random(seed), source(seed, dimension), model(metric), ids(ids) {}

  void Step(SpaceIndex& index) {
    const std::vector<Vector> vectors = source.Next(1 + random() % 40);
    std::vector<std::string> names;
    std::vector<SpaceIndex::Entry> entries;
    uint32_t replaced = 0;
    for (const Vector& vector : vectors) {
      names.push_back("observation " + std::to_string(random() % ids));
      replaced += model.Append(names.back(), vector);
    }
    for (size_t i = 0; i < names.size(); ++i) entries.push_back({names[i], AsEmbedding(vectors[i])});
    EXPECT_EQ(index.Append(entries).replaced, replaced);
    for (int i = 0; i < 3; ++i) {
      const std::string name = "observation " + std::to_string(random() % ids);
      EXPECT_EQ(index.Forget(name), model.Forget(name));
    }
  }

  VectorsBy Vectors() const {
    return VectorsBy([this](Ordinal o) { return model.vector(o); });
  }

  void ExpectIn(const SpaceIndex& index) {
    const IndexView view = index.Pin();
    ASSERT_EQ(index.size(), model.size());
    ASSERT_EQ(index.live(), model.live().size());
    uint64_t live = 0;
    for (Ordinal o = 0; o < view.visible; ++o) {
      live += index.Live(o, view);
    }
    ASSERT_EQ(live, model.live().size());
    for (uint32_t i = 0; i < ids; ++i) {
      const std::string name = "observation " + std::to_string(i);
      const auto at = model.live().find(name);
      const auto found = index.Find(name, view);
      ASSERT_EQ(found.has_value(), at != model.live().end()) << name;
      if (found) {
        ASSERT_EQ(*found, at->second);
        ASSERT_EQ(index.IdOf(*found), name);
      }
    }
    for (int i = 0; i < 5; ++i) {
      const Vector query = source.Next();
      SearchRequest request;
      request.query = query;
      request.exact = true;
      const VectorsBy vectors = Vectors();
      request.source = &vectors;
      const auto expected = model.Rank(query);
      const auto hits = index.Search(request, view).hits;
      ASSERT_EQ(hits.size(), std::min<size_t>(10, expected.size()));
      for (size_t h = 0; h < hits.size(); ++h) {
        ASSERT_NEAR(hits[h].similarity, expected[h].similarity, 1e-3 + 1e-5 * std::abs(expected[h].similarity));
      }
    }
  }

  std::mt19937_64 random;
  ClusteredVectors source;
  IndexModel model;
  uint32_t ids;
};

void ExpectSameAnswers(const SpaceIndex& a, const SpaceIndex& b, History& history, int count) {
  const VectorsBy vectors = history.Vectors();
  ASSERT_EQ(a.linked(), b.linked());
  for (int i = 0; i < count; ++i) {
    const Vector query = history.source.Next();
    SearchRequest request;
    request.query = query;
    request.source = &vectors;
    request.exact = i % 4 == 0;
    const SearchResult x = a.Search(request, a.Pin());
    const SearchResult y = b.Search(request, b.Pin());
    ASSERT_EQ(x.graph_candidates, y.graph_candidates);
    ASSERT_EQ(x.tail_scanned, y.tail_scanned);
    ASSERT_EQ(x.exact, y.exact);
    ASSERT_EQ(x.hits.size(), y.hits.size());
    for (size_t h = 0; h < x.hits.size(); ++h) {
      ASSERT_EQ(x.hits[h].ordinal, y.hits[h].ordinal);
      ASSERT_EQ(x.hits[h].similarity, y.hits[h].similarity);
    }
  }
}

struct Shape {
  Metric metric;
  uint32_t dimension;
};

class ImageTest : public ::testing::TestWithParam<Shape> {
 protected:
  IndexOptions options() const { return Options(GetParam().dimension, GetParam().metric, 150); }
};

TEST_P(ImageTest, WhatIsLoadedIsWhatWasSavedAndGoesOnAsItWould) {
  for (uint64_t seed = kSeed; seed < kSeed + 4; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed, GetParam().dimension, GetParam().metric, 1200);
    const auto original = SpaceIndex::Create(options());
    for (int i = 0; i < 60; ++i) {
      history.Step(*original);
      original->Link(static_cast<uint32_t>(history.random() % 40), nullptr);
    }
    ASSERT_TRUE(original->has_graph());
    const Bytes rows = SavedRows(*original, original->Pin());
    const Bytes graph = SavedGraph(*original, original->Pin());
    auto loaded = LoadedRows(options(), rows);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    SpaceIndex& copy = **loaded;
    history.ExpectIn(copy);
    EXPECT_FALSE(copy.has_graph());
    ASSERT_TRUE(AttachedGraph(copy, graph).ok());
    ExpectSameAnswers(*original, copy, history, 60);
    EXPECT_EQ(SavedRows(copy, copy.Pin()), rows);
    EXPECT_EQ(SavedGraph(copy, copy.Pin()), graph);

    // The model is moved by the copy's steps; the original takes the same ones.
    History same = history;
    for (int i = 0; i < 20; ++i) {
      history.Step(copy);
      same.Step(*original);
      ASSERT_EQ(copy.Link(30, nullptr), original->Link(30, nullptr));
    }
    history.ExpectIn(copy);
    // How far links reach is not saved, and was rounded in the original: the two may prune differently.
    EXPECT_EQ(copy.linked(), original->linked());
    EXPECT_EQ(SavedRows(copy, copy.Pin()), SavedRows(*original, original->Pin()));
  }
}

TEST_P(ImageTest, AnImageShowsTheViewAndNotWhatCameAfter) {
  History history(kSeed, GetParam().dimension, GetParam().metric, 300);
  const auto original = SpaceIndex::Create(options());
  for (int i = 0; i < 30; ++i) history.Step(*original);
  History then = history;
  const IndexView view = original->Pin();
  const Bytes before = SavedRows(*original, view);
  // Replacements only: what is forgotten is forgotten in every view.
  std::vector<std::string> names;
  for (const auto& [name, ordinal] : history.model.live()) names.push_back(name);
  for (const std::string& name : names) {
    const Vector vector = history.source.Next();
    const SpaceIndex::Entry entry = {name, AsEmbedding(vector)};
    original->Append({&entry, 1});
  }
  while (original->link_backlog() != 0) original->Link(1000, nullptr);
  EXPECT_EQ(SavedRows(*original, view), before);
  auto loaded = LoadedRows(options(), before);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  then.ExpectIn(**loaded);
  const Bytes graph = SavedGraph(*original, view);
  ASSERT_TRUE(AttachedGraph(**loaded, graph).ok());
  EXPECT_LE((*loaded)->linked(), view.visible);
  then.ExpectIn(**loaded);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ImageTest,
                         ::testing::Values(Shape{Metric::kCosine, 24}, Shape{Metric::kCosine, 260}, Shape{Metric::kL2, 16},
                                           Shape{Metric::kInnerProduct, 5}),
                         [](const auto& info) { return "Dimension" + std::to_string(info.param.dimension); });

std::unique_ptr<SpaceIndex> Filled(const IndexOptions& options, const std::vector<Vector>& vectors) {
  auto index = SpaceIndex::Create(options);
  for (size_t i = 0; i < vectors.size(); ++i) {
    const Vector& vector = vectors[i];
    const std::string id = std::to_string(i);
    const SpaceIndex::Entry entry = {id, AsEmbedding(vector)};
    index->Append({&entry, 1});
  }
  return index;
}

int MissedOf(const SpaceIndex& index, const std::vector<Vector>& vectors) {
  const VectorsBy source([&](Ordinal o) { return vectors[o]; });
  int missed = 0;
  for (Ordinal o = 0; o < index.size(); ++o) {
    SearchRequest request;
    request.query = vectors[o];
    request.source = &source;
    request.k = 1;
    const SearchResult result = index.Search(request, index.Pin());
    EXPECT_FALSE(result.exact);
    missed += result.hits.empty() || result.hits[0].ordinal != o;
  }
  return missed;
}

TEST(IndexImageTest, EveryNodeIsReachedAfterLoadingAndGoingOn) {
  ClusteredVectors source(kSeed, 32);
  const IndexOptions options = Options(32, Metric::kCosine, 0);
  std::vector<Vector> vectors = source.Next(3000);
  const auto original = Filled(options, vectors);
  while (original->link_backlog() != 0) original->Link(1000, nullptr);
  const auto loaded = LoadedRows(options, SavedRows(*original, original->Pin()));
  ASSERT_TRUE(loaded.ok());
  SpaceIndex& copy = **loaded;
  ASSERT_TRUE(AttachedGraph(copy, SavedGraph(*original, original->Pin())).ok());
  EXPECT_EQ(copy.linked(), 3000u);
  EXPECT_EQ(MissedOf(copy, vectors), 0);
  for (int i = 3000; i < 6000; ++i) {
    vectors.push_back(source.Next());
    const std::string id = std::to_string(i);
    const SpaceIndex::Entry entry = {id, AsEmbedding(vectors.back())};
    copy.Append({&entry, 1});
  }
  while (copy.link_backlog() != 0) copy.Link(1000, nullptr);
  EXPECT_EQ(MissedOf(copy, vectors), 0);
}

// Linking is a third ahead of the view: a third of the links lead to what the image leaves out.
TEST(IndexImageTest, AnImageOfAnOldViewStillReachesItsNodes) {
  ClusteredVectors source(kSeed, 32);
  const IndexOptions options = Options(32, Metric::kCosine, 0);
  std::vector<Vector> vectors = source.Next(3000);
  const auto original = Filled(options, vectors);
  while (original->link_backlog() != 0) original->Link(1000, nullptr);
  const IndexView view = {2000};
  const auto loaded = LoadedRows(options, SavedRows(*original, view));
  ASSERT_TRUE(loaded.ok());
  ASSERT_TRUE(AttachedGraph(**loaded, SavedGraph(*original, view)).ok());
  EXPECT_EQ((*loaded)->linked(), 2000u);
  EXPECT_LE(MissedOf(**loaded, vectors), 2);
}

TEST(IndexImageTest, MemoryAfterLoadingIsWhatTheRowsTake) {
  ClusteredVectors source(kSeed, 32);
  const IndexOptions options = Options(32, Metric::kCosine, 0);
  const std::vector<Vector> vectors = source.Next(5000);
  const auto original = Filled(options, vectors);
  const uint64_t flat = original->resident_bytes();
  auto loaded = LoadedRows(options, SavedRows(*original, original->Pin()));
  ASSERT_TRUE(loaded.ok());
  EXPECT_NEAR(static_cast<double>((*loaded)->resident_bytes()), static_cast<double>(flat),
              0.1 * static_cast<double>(flat));
  while (original->link_backlog() != 0) original->Link(1000, nullptr);
  ASSERT_TRUE(AttachedGraph(**loaded, SavedGraph(*original, original->Pin())).ok());
  const auto linked = static_cast<double>(original->resident_bytes());
  EXPECT_NEAR(static_cast<double>((*loaded)->resident_bytes()), linked, 0.1 * linked);
}

TEST(IndexImageTest, AnEmptySpaceIsSavedAndLoaded) {
  const IndexOptions options = Options(7, Metric::kL2, 0);
  const auto original = SpaceIndex::Create(options);
  auto loaded = LoadedRows(options, SavedRows(*original, original->Pin()));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->size(), 0u);
  EXPECT_TRUE(AttachedGraph(**loaded, SavedGraph(*original, original->Pin())).ok());
  EXPECT_FALSE((*loaded)->has_graph());
  ClusteredVectors source(kSeed, 7);
  const Vector vector = source.Next();
  const SpaceIndex::Entry entry = {"a", AsEmbedding(vector)};
  EXPECT_EQ((*loaded)->Append({&entry, 1}).first, 0u);
}

TEST(IndexImageTest, OptionsThatDoNotFitAreRefused) {
  ClusteredVectors source(kSeed, 8);
  const IndexOptions options = Options(8, Metric::kCosine, 0);
  const std::vector<Vector> vectors = source.Next(100);
  const auto original = Filled(options, vectors);
  original->Link(60, nullptr);
  const Bytes rows = SavedRows(*original, original->Pin());
  EXPECT_EQ(LoadedRows(Options(9, Metric::kCosine, 0), rows).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(LoadedRows(Options(8, Metric::kL2, 0), rows).status().code(), absl::StatusCode::kFailedPrecondition);

  IndexOptions wider = options;
  wider.max_connections = 17;
  const auto loaded = LoadedRows(wider, rows);
  ASSERT_TRUE(loaded.ok());
  const Bytes graph = SavedGraph(*original, original->Pin());
  EXPECT_EQ(AttachedGraph(**loaded, graph).code(), absl::StatusCode::kFailedPrecondition);
  // It is linked from the beginning instead, and keeps what it then has.
  EXPECT_EQ((*loaded)->link_backlog(), 100u);
  EXPECT_EQ((*loaded)->Link(100, nullptr), 100u);
  EXPECT_EQ(AttachedGraph(**loaded, SavedGraph(**loaded, original->Pin())).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*loaded)->linked(), 100u);
}

TEST(IndexImageTest, AGraphOverRowsThatAreNotThereIsRefused) {
  ClusteredVectors source(kSeed, 8);
  const IndexOptions options = Options(8, Metric::kCosine, 0);
  const std::vector<Vector> vectors = source.Next(100);
  const auto original = Filled(options, vectors);
  original->Link(100, nullptr);
  const auto fewer = LoadedRows(options, SavedRows(*original, {99}));
  ASSERT_TRUE(fewer.ok());
  EXPECT_EQ(AttachedGraph(**fewer, SavedGraph(*original, original->Pin())).code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE((*fewer)->has_graph());
}

TEST(IndexImageTest, ErrorsOfSinkAndSourceAreHandedOn) {
  ClusteredVectors source(kSeed, 8);
  const IndexOptions options = Options(8, Metric::kCosine, 0);
  const std::vector<Vector> vectors = source.Next(100);
  const auto original = Filled(options, vectors);
  original->Link(100, nullptr);
  const Bytes rows = SavedRows(*original, original->Pin());
  const Bytes graph = SavedGraph(*original, original->Pin());
  for (size_t at = 0; at < rows.size(); at += 37) {
    MemorySink sink;
    sink.set_room(at);
    EXPECT_EQ(original->SaveRows(original->Pin(), sink).code(), absl::StatusCode::kResourceExhausted) << at;
    MemorySource failing(rows);
    failing.FailAfter(at);
    EXPECT_EQ(SpaceIndex::LoadRows(options, failing).status().code(), absl::StatusCode::kUnavailable) << at;
  }
  const auto loaded = LoadedRows(options, rows);
  ASSERT_TRUE(loaded.ok());
  for (size_t at = 0; at < graph.size(); at += 37) {
    MemorySink sink;
    sink.set_room(at);
    EXPECT_EQ(original->SaveGraph(original->Pin(), sink).code(), absl::StatusCode::kResourceExhausted) << at;
    MemorySource failing(graph);
    failing.FailAfter(at);
    EXPECT_EQ((*loaded)->AttachGraph(failing).code(), absl::StatusCode::kUnavailable) << at;
    EXPECT_FALSE((*loaded)->has_graph());
  }
}

}  // namespace
}  // namespace engram
