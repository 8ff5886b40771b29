#include "index/slab.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace engram {
namespace {

TEST(SlabTest, RowsStayAlignedAndInPlaceAcrossExtents) {
  for (const uint32_t dimension : {1u, 3u, 16u, 17u, 100u}) {
    Slab slab(dimension);
    EXPECT_GE(slab.stride(), dimension);
    constexpr Ordinal kCount = 8000;  // Into the fourth extent.
    std::vector<const float*> rows;
    for (Ordinal o = 0; o < kCount; ++o) {
      slab.Reserve(o + 1);
      float* const row = slab.BeginRow(o);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(row) % 64, 0u);
      row[0] = static_cast<float>(o);
      row[dimension - 1] = static_cast<float>(o);
      slab.BlockOf(o).previous[Slab::Lane(o)] = o;
      rows.push_back(row);
    }
    slab.Publish(kCount);
    ASSERT_EQ(slab.size(), kCount);
    for (Ordinal o = 0; o < kCount; ++o) {
      ASSERT_EQ(slab.Row(o), rows[o]);
      ASSERT_EQ(slab.Row(o)[0], static_cast<float>(o));
      ASSERT_EQ(slab.Row(o)[dimension - 1], static_cast<float>(o));
      for (uint32_t i = dimension; i < slab.stride(); ++i) ASSERT_EQ(slab.Row(o)[i], 0.0f);
      ASSERT_EQ(slab.Previous(o), o);
      ASSERT_EQ(slab.DiedAt(o), Slab::kLive);
      if (o % Slab::kBlockRows != 0) {
        ASSERT_EQ(slab.Row(o), slab.Row(o - 1) + slab.stride());
      }
    }
  }
}

TEST(SlabTest, AViewShowsWhatHadNotDiedByItsEnd) {
  Slab slab(4);
  slab.Reserve(20);
  for (Ordinal o = 0; o < 20; ++o) slab.BeginRow(o);
  slab.Publish(20);
  slab.SetDiedAt(3, 17);  // Replaced by ordinal 17.
  slab.SetDiedAt(4, 0);   // Forgotten.
  const Slab::Block& block = slab.BlockOf(0);
  EXPECT_TRUE(block.LiveIn(3, 17));
  EXPECT_FALSE(block.LiveIn(3, 18));
  EXPECT_FALSE(block.LiveIn(4, 5));
  EXPECT_TRUE(block.LiveIn(5, 20));
}

TEST(SlabTest, CostsWhatItHolds) {
  Slab empty(768);
  EXPECT_EQ(empty.resident_bytes(), 0u);
  Slab small(768);
  small.Reserve(1);
  small.BeginRow(0);
  small.Publish(1);
  EXPECT_LE(small.resident_bytes(), 64u * 1024);
  Slab large(768);
  large.Reserve(20000);
  for (Ordinal o = 0; o < 20000; ++o) large.BeginRow(o);
  large.Publish(20000);
  const uint64_t payload = uint64_t{20000} * 768 * 4;
  EXPECT_GE(large.resident_bytes(), payload);
  EXPECT_LE(large.resident_bytes(), payload + payload / 16);
}

}  // namespace
}  // namespace engram
