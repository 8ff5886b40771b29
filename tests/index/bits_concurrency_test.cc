// Scans by bits while rows are appended and replaced and their bits are made: whoever lives in a view is found by its own
// vector, and nobody who does not.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
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

constexpr uint32_t kDimension = 256;
// So many live that a scan need not be exact, and so long a tail that it goes by bits.
constexpr int kIds = 10'000;
constexpr int kAppended = 4000;

class BitsConcurrencyTest : public ::testing::Test {
 protected:
  BitsConcurrencyTest() {
    IndexOptions options;
    options.dimension = kDimension;
    options.flat_threshold = 1'000'000;
    options.keep_rows = true;
    index_ = SpaceIndex::Create(options);
    for (int i = 0; i < kIds; i += 100) Append(i, 100);
    while (index_->MakeBits(4096) != 0) {
    }
  }

  // Ids from `first` on.
  void Append(int first, size_t count) {
    const std::vector<Vector> vectors = source_.Next(count);
    std::vector<std::string> ids;
    for (size_t i = 0; i < count; ++i) ids.push_back(std::to_string((first + static_cast<int>(i)) % kIds));
    std::vector<SpaceIndex::Entry> entries;
    for (size_t i = 0; i < count; ++i) entries.push_back({ids[i], AsEmbedding(vectors[i])});
    index_->Append(entries);
  }

  // True when it went by bits.
  bool FindOne(std::mt19937_64& random) const {
    const IndexView view = index_->Pin();
    Ordinal own = 0;
    do {
      own = static_cast<Ordinal>(random() % view.visible);
    } while (!index_->Live(own, view));
    const OrdinalFilter most([](Ordinal o) { return o % 16 != 3; }, kIds);
    SearchRequest request;
    request.query = index_->KeptRow(own);
    request.k = 10;
    if (random() % 3 == 0 && own % 16 != 3) request.filter = &most;
    const SearchResult result = index_->Search(request, view);
    EXPECT_EQ(result.hits.size(), 10u);
    if (!result.hits.empty()) {
      EXPECT_EQ(result.hits[0].ordinal, own);
      EXPECT_NEAR(result.hits[0].similarity, 1, 1e-5);
    }
    for (const SearchHit& hit : result.hits) {
      EXPECT_LT(hit.ordinal, view.visible);
      EXPECT_TRUE(index_->Live(hit.ordinal, view));
      EXPECT_TRUE(request.filter == nullptr || hit.ordinal % 16 != 3);
    }
    EXPECT_FALSE(result.exact);
    EXPECT_LE(result.tail_scanned, view.visible);
    // By bytes those that are dead are not compared.
    return result.tail_scanned > kIds;
  }

  ClusteredVectors source_{21, kDimension};
  std::unique_ptr<SpaceIndex> index_;
};

TEST_F(BitsConcurrencyTest, EachIsFoundByItsOwnVectorWhileBitsAreMade) {
  std::atomic<bool> written{false};
  std::atomic<int> by_bits{0}, searches{0};
  std::vector<std::jthread> threads;
  for (uint64_t r = 0; r < 2; ++r) {
    threads.emplace_back([&, r] {
      std::mt19937_64 random(r);
      while (!written.load() || searches.load() < 50) {
        by_bits.fetch_add(FindOne(random));
        searches.fetch_add(1);
      }
    });
  }
  threads.emplace_back([&] {
    while (!written.load() || index_->bits_backlog() != 0) {
      if (index_->MakeBits(64) == 0) std::this_thread::yield();
    }
  });
  threads.emplace_back([&] {
    std::mt19937_64 random(5);
    for (int done = 0; done < kAppended; done += 20) Append(static_cast<int>(random() % kIds), 20);
    written.store(true);
  });
  threads.clear();
  EXPECT_GT(by_bits.load(), 0);
  EXPECT_EQ(index_->live(), static_cast<uint64_t>(kIds));
}

}  // namespace
}  // namespace engram
