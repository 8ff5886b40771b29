#include "core/base/chunked_column.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace engram {
namespace {

TEST(ChunkedColumn, AnEmptyOneHasNoRowsAndNoMemory) {
  ChunkedColumn<uint64_t> column;
  EXPECT_EQ(column.bytes(), 0u);
  column.Extend(0);
  EXPECT_EQ(column.bytes(), 0u);
}

TEST(ChunkedColumn, ChunksDoubleAndNeverShrink) {
  ChunkedColumn<uint32_t> column;
  column.Extend(1);
  EXPECT_EQ(column.bytes(), 16 * sizeof(uint32_t));
  column.Extend(16);
  EXPECT_EQ(column.bytes(), 16 * sizeof(uint32_t));
  column.Extend(17);
  EXPECT_EQ(column.bytes(), (16 + 32) * sizeof(uint32_t));
  column.Extend(3);
  EXPECT_EQ(column.bytes(), (16 + 32) * sizeof(uint32_t));
  column.Extend(16 + 32 + 64 + 1);
  EXPECT_EQ(column.bytes(), (16 + 32 + 64 + 128) * sizeof(uint32_t));
}

TEST(ChunkedColumn, OfALargeChunkOnlyWhatIsFilledCosts) {
  ChunkedColumn<uint64_t> column;
  constexpr uint64_t kBefore = 16 * ((uint64_t{1} << 14) - 1);
  column.Extend(kBefore + 1);
  // The next chunk has 2 MiB.
  EXPECT_EQ(column.bytes(), kBefore * sizeof(uint64_t) + 4096);
  column.Extend(kBefore + 513);
  EXPECT_EQ(column.bytes(), kBefore * sizeof(uint64_t) + 2 * 4096);
}

TEST(ChunkedColumn, InitialisesWhatIsNotZero) {
  struct NotZero {
    int64_t first = INT64_MAX;
  };
  ChunkedColumn<NotZero, 1> column;
  for (uint64_t row = 0; row < 5000; ++row) {
    column.Extend(row + 1);
    ASSERT_EQ(column[row].first, INT64_MAX) << row;
  }
}

TEST(ChunkedColumn, RowsNeverMoveAndAreTheirOwn) {
  ChunkedColumn<uint64_t> column;
  std::vector<uint64_t*> where;
  for (uint64_t row = 0; row < 10'000; ++row) {
    column.Extend(row + 1);
    ASSERT_EQ(column[row], 0u) << "new rows are value-initialised, row " << row;
    column[row] = row + 1;
    where.push_back(&column[row]);
  }
  for (uint64_t row = 0; row < where.size(); ++row) {
    ASSERT_EQ(&column[row], where[row]) << row;
    ASSERT_EQ(column[row], row + 1) << row;
  }
}

TEST(ChunkedColumn, DestroysWhatItHolds) {
  const auto token = std::make_shared<int>(7);
  {
    ChunkedColumn<std::shared_ptr<int>> column;
    column.Extend(200);
    for (uint64_t row = 0; row < 200; ++row) column[row] = token;
    EXPECT_EQ(token.use_count(), 201);
  }
  EXPECT_EQ(token.use_count(), 1);
}

// The contract: a row whose number came by an acquire of the writer's release is there, whole, and stays.
TEST(ChunkedColumn, ReadersFollowAWriterWithoutALock) {
  constexpr uint64_t kRows = 50'000;
  ChunkedColumn<uint64_t> column;
  std::atomic<uint64_t> published{0};
  std::atomic<uint64_t> wrong{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      for (uint64_t seen = 0; seen < kRows;) {
        const uint64_t rows = published.load(std::memory_order_acquire);
        // The newest, and some of all before.
        for (uint64_t row = seen; row < rows; ++row) wrong += column[row] != row * 3 + 1;
        for (uint64_t row = 0; row < rows; row += 997) wrong += column[row] != row * 3 + 1;
        if (rows == seen) std::this_thread::yield();
        seen = rows;
      }
    });
  }
  for (uint64_t row = 0; row < kRows; ++row) {
    column.Extend(row + 1);
    column[row] = row * 3 + 1;
    published.store(row + 1, std::memory_order_release);
  }
  readers.clear();
  EXPECT_EQ(wrong.load(), 0u);
}

}  // namespace
}  // namespace engram
