#include "loadtest/measure/metric_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

constexpr const char* kBefore = R"(# HELP waits Waiting.
waits_bucket{stage="encode",le="0.001"} 10
waits_bucket{stage="encode",le="0.01"} 10
waits_bucket{stage="encode",le="+Inf"} 10
waits_bucket{stage="publish",le="0.001"} 0
waits_bucket{stage="publish",le="+Inf"} 0
taken_total{memory_space="a space"} 5
taken_total{memory_space="b"} 7
taken_total_more 100
)";
constexpr const char* kAfter = R"(waits_bucket{stage="encode",le="0.001"} 60
waits_bucket{stage="encode",le="0.01"} 110
waits_bucket{stage="encode",le="+Inf"} 110
waits_bucket{stage="publish",le="0.001"} 0
waits_bucket{stage="publish",le="+Inf"} 4
taken_total{memory_space="a space"} 8
taken_total{memory_space="b"} 7
taken_total{memory_space="new"} 1
)";

TEST(MetricPageTest, SumsOneMetricOverItsSeriesAndNoOther) {
  EXPECT_EQ(MetricPage(kBefore).Sum("taken_total"), 12);
  EXPECT_EQ(MetricPage(kBefore).Sum("taken_total", "memory_space=\"a space\""), 5);
  EXPECT_EQ(MetricPage(kBefore).Sum("taken"), std::nullopt);
}

TEST(MetricPageTest, WhatMovedBetweenTwoPagesIncludesSeriesThatAreNew) {
  EXPECT_EQ(MetricPage(kAfter).Since(MetricPage(kBefore)).Sum("taken_total"), 4);
}

TEST(MetricPageTest, AQuantileIsReadOffTheBucketsThatMoved) {
  const MetricPage moved = MetricPage(kAfter).Since(MetricPage(kBefore));
  // Of the 100 that came, 50 lie below 1 ms and 50 between 1 and 10 ms.
  EXPECT_DOUBLE_EQ(*moved.Quantile("waits", 0.25, "stage=\"encode\""), 0.0005);
  EXPECT_DOUBLE_EQ(*moved.Quantile("waits", 0.75, "stage=\"encode\""), 0.0055);
  // Beyond the last bound nothing more is known than the bound.
  EXPECT_DOUBLE_EQ(*moved.Quantile("waits", 0.5, "stage=\"publish\""), 0.001);
  EXPECT_EQ(moved.Quantile("nothing", 0.5), std::nullopt);
  EXPECT_EQ(MetricPage(kBefore).Quantile("waits", 0.5, "stage=\"publish\""), std::nullopt);
}

TEST(MetricPageTest, OneStageOfAFamilyIsAddedByItself) {
  MetricPage sum(kBefore);
  sum.Add(MetricPage(kAfter).Since(MetricPage(kBefore)).Only("waits", "stage=\"publish\""));
  EXPECT_EQ(sum.Sum("waits_bucket", "stage=\"publish\""), 4);
  EXPECT_EQ(sum.Sum("waits_bucket", "stage=\"encode\""), 30);
  EXPECT_EQ(sum.Sum("taken_total"), 12);
}

TEST(MetricPageTest, NamesTheStagesThatAFamilyHas) {
  EXPECT_THAT(MetricPage(kBefore).LabelValues("waits_bucket", "stage"), ::testing::ElementsAre("encode", "publish"));
}

}  // namespace
}  // namespace engram
