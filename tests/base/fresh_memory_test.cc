#include "core/base/fresh_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace engram {
namespace {

constexpr size_t kPage = 4096;

bool AllZero(const std::byte* at, size_t bytes) {
  return std::all_of(at, at + bytes, [](std::byte one) { return one == std::byte{0}; });
}

TEST(FreshMemory, ReadsAsZeroAndIsAlignedHoweverLarge) {
  for (const size_t bytes : {size_t{1}, size_t{63}, size_t{64}, size_t{100}, kOwnPagesBytes - 1, kOwnPagesBytes,
                             kOwnPagesBytes + 1, size_t{1} << 20}) {
    SCOPED_TRACE(bytes);
    // Twice: the second may get what the first gave back.
    for (int round = 0; round < 2; ++round) {
      std::byte* const taken = TakeFresh(bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(taken) % kFreshAlignment, 0u);
      EXPECT_TRUE(AllZero(taken, bytes));
      std::fill_n(taken, bytes, std::byte{0xff});
      GiveBackFresh(taken, bytes);
    }
  }
  GiveBackFresh(nullptr, 1);
}

TEST(FreshMemory, OfALargePieceOnlyWhatIsTouchedIsThere) {
  constexpr size_t kBytes = size_t{8} << 20;
  std::byte* const taken = TakeFresh(kBytes);
  std::fill_n(taken, 3 * kPage + 1, std::byte{1});
  std::vector<unsigned char> pages(kBytes / kPage);
  ASSERT_EQ(::mincore(taken, kBytes, pages.data()), 0);
  const auto there = std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; });
  // The machine may give a few more than were asked for.
  EXPECT_GE(there, 4);
  EXPECT_LT(there, 600);
  EXPECT_EQ(FreshBytes(kBytes, 3 * kPage + 1), 4 * kPage);
  GiveBackFresh(taken, kBytes);
}

TEST(FreshMemory, ASmallPieceCostsNoPage) {
  EXPECT_EQ(FreshBytes(100, 1), 128u);
  EXPECT_EQ(FreshBytes(kOwnPagesBytes - 64, 0), kOwnPagesBytes - 64);
  EXPECT_EQ(FreshBytes(kOwnPagesBytes, 0), 0u);
}

}  // namespace
}  // namespace engram
