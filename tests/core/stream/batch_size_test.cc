#include "core/stream/batch_size.h"

#include <gtest/gtest.h>

#include <random>

namespace engram {
namespace {

// A lane of 1000 with the defaults, 10 and 500.
uint64_t Defaults(uint64_t depth) { return BatchSize(depth, 1000, 10, 500); }

TEST(BatchSize, IsTheSeedsFormula) {
  EXPECT_EQ(Defaults(0), 10u);
  EXPECT_EQ(Defaults(1), 10u);
  EXPECT_EQ(Defaults(99), 10u) << "9.9 %: below a tenth the least";
  EXPECT_EQ(Defaults(100), 59u) << "10 %: 10 + 0.1 * 490";
  EXPECT_EQ(Defaults(450), 230u) << "45 %: 10 + 0.45 * 490, rounded down";
  EXPECT_EQ(Defaults(800), 402u) << "80 %: 10 + 0.8 * 490";
  EXPECT_EQ(Defaults(801), 500u) << "80.1 %: above four fifths the most";
  EXPECT_EQ(Defaults(1000), 500u);
  EXPECT_EQ(Defaults(5000), 500u) << "more than full";
}

TEST(BatchSize, CountsFillNotDepth) {
  for (const uint64_t capacity : {1000u, 10'000u, 250'000u}) {
    EXPECT_EQ(BatchSize(capacity / 10, capacity, 10, 500), 59u) << capacity;
    EXPECT_EQ(BatchSize(capacity / 5 * 4, capacity, 10, 500), 402u) << capacity;
    EXPECT_EQ(BatchSize(capacity / 1000 * 801, capacity, 10, 500), 500u) << capacity;
  }
}

TEST(BatchSize, OddLimits) {
  EXPECT_EQ(BatchSize(0, 0, 7, 70), 7u) << "no capacity is a capacity of one";
  EXPECT_EQ(BatchSize(1, 0, 7, 70), 70u);
  for (const uint64_t depth : {0, 50, 500, 900, 2000}) EXPECT_EQ(BatchSize(depth, 1000, 25, 25), 25u) << depth;
}

TEST(BatchSize, StaysWithinItsLimitsAndDeeperIsNeverSmaller) {
  constexpr uint64_t kSeed = 20'240'601;
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 300; ++round) {
    const uint64_t capacity = std::uniform_int_distribution<uint64_t>(1, 100'000)(random);
    const uint64_t least = std::uniform_int_distribution<uint64_t>(1, 100)(random);
    const uint64_t most = std::uniform_int_distribution<uint64_t>(least, 1000)(random);
    SCOPED_TRACE(::testing::Message() << "seed " << kSeed << " round " << round << " capacity " << capacity
                                      << " least " << least << " most " << most);
    uint64_t before = least;
    const uint64_t step = std::max<uint64_t>(capacity / 500, 1);
    for (uint64_t depth = 0; depth <= capacity + capacity / 4; depth += step) {
      const uint64_t size = BatchSize(depth, capacity, least, most);
      ASSERT_GE(size, before) << depth;
      ASSERT_LE(size, most) << depth;
      before = size;
    }
    ASSERT_EQ(before, most);
  }
}

}  // namespace
}  // namespace engram
