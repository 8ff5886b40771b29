// A space is saved while it is written, linked and searched, and a graph is attached while it is.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
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
using testing::LoadedRows;
using testing::SavedGraph;
using testing::SavedRows;
using testing::Vector;
using testing::VectorsBy;

constexpr uint64_t kSeed = 31;
constexpr uint32_t kDimension = 16;

IndexOptions Options() {
  IndexOptions options;
  options.dimension = kDimension;
  options.metric = Metric::kL2;
  options.flat_threshold = 100;
  options.max_connections = 8;
  options.ef_construction = 40;
  return options;
}

// Everything that is appended, so that any image can be held against the appends below its view.
struct Appends {
  explicit Appends(size_t count) {
    ClusteredVectors source(kSeed, kDimension);
    std::mt19937_64 random(kSeed);
    vectors = source.Next(count);
    for (size_t i = 0; i < count; ++i) ids.push_back(std::to_string(random() % (count * 3 / 4)));
  }
  void To(SpaceIndex& index, size_t from, size_t to) const {
    std::vector<SpaceIndex::Entry> entries;
    for (size_t i = from; i < to; ++i) entries.push_back({ids[i], AsEmbedding(vectors[i])});
    index.Append(entries);
  }

  VectorsBy Source() const {
    return VectorsBy([this](Ordinal o) { return vectors[o]; });
  }

  std::vector<Vector> vectors;
  std::vector<std::string> ids;
};

void SearchUntil(const std::atomic<bool>& done, const SpaceIndex& index, const Appends& appends, uint64_t seed) {
  const VectorsBy source = appends.Source();
  ClusteredVectors queries(seed, kDimension);
  do {
    const Vector query = queries.Next();
    SearchRequest request;
    request.query = query;
    request.source = &source;
    const IndexView view = index.Pin();
    const uint64_t least = std::min<uint64_t>(view.visible == 0 ? 0 : 1, 10);
    ASSERT_GE(index.Search(request, view).hits.size(), least);
  } while (!done.load());
}

void LinkUntil(const std::atomic<bool>& done, SpaceIndex& index) {
  while (!done.load() || index.link_backlog() != 0) {
    if (index.Link(20, nullptr) == 0) std::this_thread::yield();
  }
}

struct Image {
  IndexView view;
  Bytes rows;
  Bytes graph;
};

TEST(IndexImageConcurrencyTest, AnImageTakenOnTheWayIsThatOfItsView) {
  const Appends appends(1500);
  const auto index = SpaceIndex::Create(Options());
  std::vector<Image> images;
  std::atomic<bool> written{false};
  {
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      for (size_t at = 0; at < appends.ids.size();) {
        const size_t to = std::min(appends.ids.size(), at + 1 + at % 23);
        appends.To(*index, at, to);
        at = to;
        // Lets the linker stay near, so that images hold graphs.
        while (index->link_backlog() > 200) std::this_thread::yield();
      }
      written.store(true);
    });
    threads.emplace_back([&] { LinkUntil(written, *index); });
    threads.emplace_back([&] { SearchUntil(written, *index, appends, kSeed + 1); });
    threads.emplace_back([&] {
      do {
        const IndexView view = index->Pin();
        images.push_back({view, SavedRows(*index, view), SavedGraph(*index, view)});
        std::this_thread::yield();
      } while (!written.load() && images.size() < 50);
    });
  }
  const IndexView end = index->Pin();
  images.push_back({end, SavedRows(*index, end), SavedGraph(*index, end)});

  const size_t step = std::max<size_t>(1, images.size() / 4);
  for (size_t i = 0; i < images.size(); i += i + step < images.size() ? step : 1) {
    const Image& image = images[i];
    SCOPED_TRACE(image.view.visible);
    // The same appends, and nothing beside them.
    const auto expected = SpaceIndex::Create(Options());
    appends.To(*expected, 0, image.view.visible);
    EXPECT_EQ(SavedRows(*expected, expected->Pin()), image.rows);
    const auto loaded = LoadedRows(Options(), image.rows);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    SpaceIndex& copy = **loaded;
    ASSERT_TRUE(AttachedGraph(copy, image.graph).ok());
    ASSERT_EQ(copy.live(), expected->live());

    // Goes on to the end, and finds everything.
    appends.To(copy, copy.size(), appends.ids.size());
    while (copy.link_backlog() != 0) copy.Link(1000, nullptr);
    ASSERT_TRUE(copy.has_graph());
    int missed = 0;
    for (Ordinal o = 0; o < copy.size(); ++o) {
      if (!copy.Live(o, copy.Pin())) continue;
      SearchRequest request;
      request.query = appends.vectors[o];
      const VectorsBy source = appends.Source();
      request.source = &source;
      request.k = 1;
      const auto hits = copy.Search(request, copy.Pin()).hits;
      missed += hits.empty() || hits[0].ordinal != o;
    }
    EXPECT_LE(missed, 3);
  }
}

TEST(IndexImageConcurrencyTest, AGraphIsAttachedWhileTheSpaceServes) {
  const Appends appends(3000);
  const auto original = SpaceIndex::Create(Options());
  appends.To(*original, 0, 2000);
  while (original->link_backlog() != 0) original->Link(1000, nullptr);
  const Bytes rows = SavedRows(*original, original->Pin());
  const Bytes graph = SavedGraph(*original, original->Pin());
  for (int round = 0; round < 2; ++round) {
    const auto loaded = LoadedRows(Options(), rows);
    ASSERT_TRUE(loaded.ok());
    SpaceIndex& index = **loaded;
    std::atomic<bool> written{false};
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      for (size_t at = 2000; at < 3000; at += 10) {
        appends.To(index, at, at + 10);
        index.Forget(appends.ids[at - 1000]);
      }
      written.store(true);
    });
    threads.emplace_back([&] { SearchUntil(written, index, appends, kSeed + 2); });
    threads.emplace_back([&] {
      ASSERT_TRUE(AttachedGraph(index, graph).ok());
      ASSERT_EQ(index.linked(), 2000u);
      LinkUntil(written, index);
    });
    threads.clear();
    EXPECT_EQ(index.linked(), 3000u);
    EXPECT_EQ(index.size(), 3000u);
  }
}

}  // namespace
}  // namespace engram
