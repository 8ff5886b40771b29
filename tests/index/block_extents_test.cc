#include "index/block_extents.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace engram {
namespace {

constexpr size_t kHead = 192, kRow = 64;
constexpr size_t kBlock = kHead + BlockExtents::kBlockRows * kRow;

TEST(BlockExtents, RowsNeverMoveAndAreTheirOwn) {
  constexpr Ordinal kRows = 5000;
  BlockExtents extents(kHead, kRow);
  std::vector<std::byte*> rows;
  for (Ordinal ordinal = 0; ordinal < kRows; ++ordinal) {
    extents.Reserve(ordinal + 1);
    std::byte* const row = extents.RowAddress(ordinal);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(extents.BlockAddress(ordinal)) % 64, 0u);
    ASSERT_EQ(row - extents.BlockAddress(ordinal), kHead + ordinal % BlockExtents::kBlockRows * kRow);
    for (size_t i = 0; i < kRow; ++i) ASSERT_EQ(row[i], std::byte{0}) << "fresh, row " << ordinal;
    std::memset(row, static_cast<int>(ordinal % 251 + 1), kRow);
    rows.push_back(row);
  }
  for (Ordinal ordinal = 0; ordinal < kRows; ++ordinal) {
    ASSERT_EQ(extents.RowAddress(ordinal), rows[ordinal]);
    for (size_t i = 0; i < kRow; ++i) ASSERT_EQ(rows[ordinal][i], static_cast<std::byte>(ordinal % 251 + 1));
  }
}

TEST(BlockExtents, TheLastOrdinalHasARoom) {
  // Address space for four thousand million rows of 4 bytes, of which one page is touched.
  BlockExtents extents(0, 4);
  extents.Reserve(kNoOrdinal);
  std::byte* const last = extents.RowAddress(kNoOrdinal - 1);
  std::memset(last, 1, 4);
  EXPECT_EQ(last[3], std::byte{1});
}

TEST(BlockExtents, AHundredRowsCostSevenBlocks) {
  BlockExtents extents(kHead, kRow);
  EXPECT_EQ(extents.ResidentBytes(0), 0u);
  EXPECT_EQ(extents.ResidentBytes(1), kBlock);
  EXPECT_EQ(extents.ResidentBytes(17), 3 * kBlock);
  EXPECT_EQ(extents.ResidentBytes(100), 7 * kBlock);
}

TEST(BlockExtents, ManyRowsCostThePagesTheyTouch) {
  BlockExtents extents(kHead, kRow);
  // Behind extents of 1, 2, 4 ... 512 blocks.
  const Ordinal before = 1023 * BlockExtents::kBlockRows;
  EXPECT_EQ(extents.ResidentBytes(before + 1) - extents.ResidentBytes(before), 4096u);
  EXPECT_LE(extents.ResidentBytes(before), 1023 * kBlock + 10 * 4096);
}

}  // namespace
}  // namespace engram
