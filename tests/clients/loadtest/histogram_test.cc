#include "loadtest/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace engram {
namespace {

TEST(HistogramTest, WithoutSamplesEverythingIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Percentile(0.5), 0);
  EXPECT_EQ(histogram.max(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (int64_t value = 1; value <= 100; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.Percentile(0), 1);
  EXPECT_EQ(histogram.Percentile(0.5), 50);
  EXPECT_EQ(histogram.Percentile(0.99), 99);
  EXPECT_EQ(histogram.Percentile(1), 100);
  EXPECT_DOUBLE_EQ(histogram.mean(), 50.5);
}

TEST(HistogramTest, PercentilesOfAnyMagnitudeAreWithinOnePercent) {
  constexpr uint64_t kSeed = 7;
  SCOPED_TRACE(kSeed);
  std::mt19937_64 random(kSeed);
  std::lognormal_distribution<double> distribution(14, 4);
  Histogram histogram;
  std::vector<int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<int64_t>(distribution(random)));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double quantile : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(values[static_cast<size_t>(quantile * values.size()) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.Percentile(quantile)), exact, exact * 0.01) << quantile;
  }
  EXPECT_EQ(histogram.Percentile(1), values.back());
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(HistogramTest, TakesTheExtremesOfItsRange) {
  Histogram histogram;
  histogram.Record(-5);
  histogram.Record(INT64_MAX);
  EXPECT_EQ(histogram.Percentile(0.5), 0);
  EXPECT_EQ(histogram.max(), INT64_MAX);
  EXPECT_NEAR(static_cast<double>(histogram.Percentile(1)), static_cast<double>(INT64_MAX), 1e17);
}

TEST(HistogramTest, AWeightCountsAsManySamples) {
  Histogram weighted, single;
  weighted.Record(10, 99);
  weighted.Record(2000, 1);
  for (int i = 0; i < 99; ++i) single.Record(10);
  single.Record(2000);
  EXPECT_EQ(weighted.Percentile(0.99), 10);
  EXPECT_EQ(weighted.Percentile(0.991), single.Percentile(0.991));
  EXPECT_EQ(weighted.count(), single.count());
}

TEST(HistogramTest, MergingIsRecordingBoth) {
  Histogram low, high;
  for (int i = 0; i < 90; ++i) low.Record(1);
  for (int i = 0; i < 10; ++i) high.Record(100'000);
  low.Merge(high);
  EXPECT_EQ(low.count(), 100u);
  EXPECT_EQ(low.Percentile(0.9), 1);
  EXPECT_NEAR(static_cast<double>(low.Percentile(0.91)), 100'000, 1000);
  EXPECT_EQ(low.max(), 100'000);
}

}  // namespace
}  // namespace engram
