// Images that were cut, changed or made up: a status that says so, or an index that holds together.
#include <gtest/gtest.h>

#include <cstring>
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
using testing::LoadedRows;
using testing::SavedGraph;
using testing::SavedRows;
using testing::Vector;
using testing::VectorsBy;

constexpr uint64_t kSeed = 21;

// A small space with everything in it: replaced, forgotten, a graph of several levels and a tail.
class HostileImageTest : public ::testing::Test {
 protected:
  HostileImageTest() {
    options_.dimension = 5;
    options_.metric = Metric::kL2;
    options_.flat_threshold = 0;
    options_.max_connections = 3;
    options_.ef_construction = 12;
    const auto index = SpaceIndex::Create(options_);
    for (int i = 0; i < 48; ++i) Append(*index, std::to_string(i % 36));
    index->Forget("12");
    index->Forget("30");
    index->Link(36, nullptr);
    rows_ = SavedRows(*index, index->Pin());
    graph_ = SavedGraph(*index, index->Pin());
  }

  void Append(SpaceIndex& index, const std::string& id) {
    const Vector vector = source_.Next();
    const SpaceIndex::Entry entry = {id, AsEmbedding(vector)};
    index.Append({&entry, 1});
  }

  // Whatever was loaded answers, grows and is linked.
  void Use(SpaceIndex& index) {
    for (int i = 0; i < 6; ++i) Append(index, std::to_string(i * 11));
    index.Forget("5");
    while (index.link_backlog() != 0) ASSERT_NE(index.Link(1000, nullptr), 0u);
    const IndexView view = index.Pin();
    uint64_t live = 0;
    for (Ordinal o = 0; o < view.visible; ++o) {
      if (!index.Live(o, view)) continue;
      ++live;
      ASSERT_EQ(index.Find(index.IdOf(o), view), o);
    }
    ASSERT_EQ(index.live(), live);
    for (const bool exact : {false, true}) {
      const Vector query = source_.Next();
      SearchRequest request;
      request.query = query;
      request.exact = exact;
      // Not what the codes are of: those may be anything.
      const VectorsBy vectors([&query](Ordinal o) { return o % 2 == 0 ? query : Vector(query.size(), 1.0f); });
      request.source = &vectors;
      ASSERT_EQ(index.Search(request, view).hits.size(), std::min<uint64_t>(10, live));
    }
  }

  void TryRows(const Bytes& image) {
    const auto loaded = LoadedRows(options_, image);
    if (loaded.ok()) Use(**loaded);
  }
  void TryGraph(const Bytes& image) {
    const auto loaded = LoadedRows(options_, rows_);
    ASSERT_TRUE(loaded.ok());
    const bool attached = AttachedGraph(**loaded, image).ok();
    ASSERT_TRUE(attached || (!(*loaded)->has_graph() && (*loaded)->linked() == 0));
    Use(**loaded);
  }

  static Bytes With(Bytes image, size_t at, uint32_t value) {
    std::memcpy(image.data() + at, &value, sizeof(value));
    return image;
  }

  IndexOptions options_;
  ClusteredVectors source_{kSeed, 5};
  Bytes rows_;
  Bytes graph_;
};

TEST_F(HostileImageTest, AnImageIsNeitherCutNorLengthened) {
  for (size_t size = 0; size < rows_.size(); ++size) {
    const auto loaded = LoadedRows(options_, std::span(rows_).first(size));
    ASSERT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss) << size;
  }
  const auto loaded = LoadedRows(options_, rows_);
  ASSERT_TRUE(loaded.ok());
  for (size_t size = 0; size < graph_.size(); ++size) {
    ASSERT_EQ(AttachedGraph(**loaded, std::span(graph_).first(size)).code(), absl::StatusCode::kDataLoss) << size;
  }
  rows_.push_back({});
  graph_.push_back({});
  EXPECT_EQ(LoadedRows(options_, rows_).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(AttachedGraph(**loaded, graph_).code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE((*loaded)->has_graph());
}

TEST_F(HostileImageTest, AnyByteMayBeWrong) {
  std::mt19937_64 random(kSeed);
  for (size_t at = 0; at < rows_.size(); ++at) {
    Bytes image = rows_;
    image[at] ^= static_cast<std::byte>(1 + random() % 255);
    TryRows(image);
  }
  for (size_t at = 0; at < graph_.size(); ++at) {
    Bytes image = graph_;
    image[at] ^= static_cast<std::byte>(at % 2 == 0 ? 1u << (random() % 8) : 1 + random() % 255);
    TryGraph(image);
  }
}

TEST_F(HostileImageTest, ManyBytesMayBeWrong) {
  std::mt19937_64 random(kSeed + 1);
  for (int round = 0; round < 500; ++round) {
    Bytes rows = rows_, graph = graph_;
    // Behind the headers, which would end it at once.
    for (uint64_t i = 0; i < 1 + random() % 6; ++i) {
      rows[32 + random() % (rows.size() - 32)] = static_cast<std::byte>(random());
      graph[32 + random() % (graph.size() - 32)] = static_cast<std::byte>(random() % 8);
    }
    TryRows(rows);
    TryGraph(graph);
  }
}

TEST_F(HostileImageTest, EnormousCountsAllocateNothing) {
  for (const uint32_t value : {0x7fff'ffffu, 0xffff'fffeu, 0xffff'ffffu}) {
    for (const size_t at : {20, 24}) {
      EXPECT_EQ(LoadedRows(options_, With(rows_, at, value)).status().code(), absl::StatusCode::kDataLoss) << at;
    }
    // The first length of an id: behind the header and 48 bits of what is forgotten.
    EXPECT_EQ(LoadedRows(options_, With(rows_, 32 + 6, value)).status().code(), absl::StatusCode::kDataLoss);
    const auto loaded = LoadedRows(options_, rows_);
    ASSERT_TRUE(loaded.ok());
    for (const size_t at : {16, 20, 24, 32}) {
      EXPECT_EQ(AttachedGraph(**loaded, With(graph_, at, value)).code(), absl::StatusCode::kDataLoss) << at;
    }
  }
}

TEST_F(HostileImageTest, AnotherVersionIsNamed) {
  EXPECT_EQ(LoadedRows(options_, With(rows_, 8, 1)).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto loaded = LoadedRows(options_, rows_);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(AttachedGraph(**loaded, With(graph_, 8, 1)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(LoadedRows(options_, graph_).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(AttachedGraph(**loaded, rows_).code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileImageTest, ACodeThatNoVectorHasIsRefused) {
  Bytes wrong = rows_;
  wrong.back() = std::byte{0x80};
  EXPECT_EQ(LoadedRows(options_, wrong).status().code(), absl::StatusCode::kDataLoss);
  const uint32_t not_a_number = 0x7fc0'0000, infinite = 0x7f80'0000, negative = 0xbf80'0000;
  // Behind the header, 48 bits of what is forgotten, and 48 lengths.
  const size_t scale = 32 + 6 + 48 * 4, residual = scale + 48 * 4;
  for (const uint32_t value : {not_a_number, infinite, negative}) {
    EXPECT_EQ(LoadedRows(options_, With(rows_, scale, value)).status().code(), absl::StatusCode::kDataLoss);
  }
  for (const uint32_t value : {not_a_number, negative}) {
    EXPECT_EQ(LoadedRows(options_, With(rows_, residual, value)).status().code(), absl::StatusCode::kDataLoss);
  }
  // What no code can come near has one.
  EXPECT_TRUE(LoadedRows(options_, With(rows_, residual, infinite)).ok());
}

}  // namespace
}  // namespace engram
