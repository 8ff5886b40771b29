#include "index/flat_threshold.h"

#include <gtest/gtest.h>

#include <limits>

namespace engram {
namespace {

TEST(FlatThresholdTest, IsWhereAScanCostsWhatAWalkDoes) {
  // A walk of width 64 compares 800, by bits 1392.
  EXPECT_EQ(FlatThreshold({.scanned = 20, .walked = 100}, false), 4000u);
  EXPECT_EQ(FlatThreshold({.scanned = 20, .walked = 200}, false), 8000u);
  EXPECT_EQ(FlatThreshold({.scanned = 80, .walked = 100}, true), 1700u);
}

TEST(FlatThresholdTest, StaysWithinReason) {
  EXPECT_EQ(FlatThreshold({.scanned = 1000, .walked = 1}, false), 1000u);
  EXPECT_EQ(FlatThreshold({.scanned = 1, .walked = 1000}, false), 20'000u);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(FlatThreshold({.scanned = 0, .walked = 100}, false), 4000u);
  EXPECT_EQ(FlatThreshold({.scanned = 10, .walked = 0}, false), 4000u);
  EXPECT_EQ(FlatThreshold({.scanned = kInfinity, .walked = kInfinity}, true), 4000u);
}

// Whatever the machine and however busy: wider codes cost more to scan, and what was measured stays.
TEST(FlatThresholdTest, ComesFromWhatThisMachineTakes) {
  for (const uint32_t dimension : {2u, 128u, 768u}) {
    const SearchCosts costs = MeasureSearchCosts(Metric::kCosine, dimension);
    EXPECT_GT(costs.scanned, 0.1) << dimension;
    EXPECT_GT(costs.walked, costs.scanned / 10) << dimension;
    EXPECT_LT(costs.walked, 1e6) << dimension;
    RecordProperty("walked", std::to_string(costs.walked));
  }
  EXPECT_GT(MeasureSearchCosts(Metric::kL2, 2048).scanned, MeasureSearchCosts(Metric::kL2, 64).scanned);
  const uint64_t threshold = TunedFlatThreshold(Metric::kL2, 128);
  EXPECT_GE(threshold, 1000u);
  EXPECT_LE(threshold, 20'000u);
  EXPECT_EQ(TunedFlatThreshold(Metric::kL2, 128), threshold);
}

}  // namespace
}  // namespace engram
