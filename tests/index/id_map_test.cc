#include "index/id_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "index/code_slab.h"

namespace engram {
namespace {

constexpr uint64_t kSeed = 7;

class IdMapTest : public ::testing::Test {
 protected:
  // Appends without the rest of an index.
  void Append(const std::vector<std::string>& ids) {
    const Ordinal first = slab_.size();
    const auto end = static_cast<Ordinal>(first + ids.size());
    size_t bytes = 0;
    for (const std::string& id : ids) bytes += id.size();
    slab_.Reserve(end);
    arena_.Reserve(ids.size(), bytes);
    map_.Reserve(ids.size());
    std::vector<uint32_t> hashes;
    for (size_t i = 0; i < ids.size(); ++i) {
      const Ordinal ordinal = first + static_cast<Ordinal>(i);
      slab_.Append(ordinal, &kElement);
      slab_.BlockOf(ordinal).id[CodeSlab::Lane(ordinal)] = arena_.Append(ids[i]);
      hashes.push_back(map_.Hash(ids[i]));
    }
    map_.Assign(hashes, first);
    slab_.Publish(end);
  }

  static constexpr float kElement = 1;
  CodeSlab slab_{Metric::kL2, 1};
  IdArena arena_;
  IdMap map_{slab_};
};

TEST_F(IdMapTest, FindsTheNewestAndLinksToTheOneBefore) {
  EXPECT_EQ(map_.Newest("a"), kNoOrdinal);
  Append({"a", "b", "a"});
  EXPECT_EQ(map_.Newest("a"), 2u);
  EXPECT_EQ(map_.Newest("b"), 1u);
  EXPECT_EQ(slab_.Previous(2), 0u);
  EXPECT_EQ(slab_.Previous(0), kNoOrdinal);
  Append({"b"});
  EXPECT_EQ(map_.Newest("b"), 3u);
  EXPECT_EQ(slab_.Previous(3), 1u);
  EXPECT_EQ(map_.Newest("c"), kNoOrdinal);
  EXPECT_EQ(map_.Newest(std::string_view("a\0", 2)), kNoOrdinal);
}

TEST_F(IdMapTest, AgreesWithAMapThroughManyGrowths) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  std::map<std::string, Ordinal> model;
  Ordinal next = 0;
  for (int batch = 0; batch < 300; ++batch) {
    std::vector<std::string> ids;
    for (size_t n = 1 + random() % 100; n != 0; --n) {
      // Lengths 1..40 with shared prefixes, and repeats.
      std::string id = std::to_string(random() % 8000);
      if (random() % 4 == 0) id += std::string(random() % 36, 'x');
      model[id] = next++;
      ids.push_back(std::move(id));
    }
    Append(ids);
  }
  for (const auto& [id, ordinal] : model) ASSERT_EQ(map_.Newest(id), ordinal) << id;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(map_.Newest("absent" + std::to_string(i)), kNoOrdinal);
  EXPECT_LE(map_.resident_bytes(), model.size() * 8 * 3);
}

TEST_F(IdMapTest, KeepsIdsOfAnyLengthInPlace) {
  const std::string large(100000, 'y');
  Append({"small", large, "z"});
  EXPECT_EQ(IdArena::View(slab_.BlockOf(1).id[1]), large);
  EXPECT_EQ(IdArena::View(slab_.BlockOf(0).id[0]), "small");
  EXPECT_EQ(map_.Newest(large), 1u);
}

TEST_F(IdMapTest, KeepsIdsWhoseLengthIsNearToWhatAByteHolds) {
  std::vector<std::string> ids;
  for (size_t length = 250; length < 262; ++length) ids.emplace_back(length, 'x');
  ids.emplace_back("short");
  Append(ids);
  for (Ordinal i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(IdArena::View(slab_.Versions(i).id[CodeSlab::Lane(i)]), ids[i]) << i;
    EXPECT_EQ(map_.Newest(ids[i]), i);
  }
}

TEST_F(IdMapTest, AShortIdCostsOneByteMoreThanItHas) {
  const uint64_t before = arena_.resident_bytes();
  arena_.Reserve(100, 100 * 20);
  EXPECT_LE(arena_.resident_bytes() - before, 100u * 21 + 32);
}

TEST_F(IdMapTest, HashesDifferBetweenMaps) {
  // The seed is secret: another map hashes the same ids elsewhere.
  IdMap other(slab_);
  int same = 0;
  for (int i = 0; i < 64; ++i) same += map_.Hash(std::to_string(i)) == other.Hash(std::to_string(i));
  EXPECT_LT(same, 4);
}

}  // namespace
}  // namespace engram
