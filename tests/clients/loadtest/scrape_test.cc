#include "loadtest/scrape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using ::testing::ElementsAre;

TEST(ScrapeTest, PicksLinesByWholeName) {
  const std::string page =
      "# HELP a_total Words.\n# TYPE a_total counter\na_total{space=\"x y\"} 3\na_total{space=\"z\"} 0\n"
      "a_total_more 4\nb 10\nc 5";
  EXPECT_THAT(SampleLines(page, {"a_total", "b", "c"}), ElementsAre("a_total{space=\"x y\"} 3", "b 10", "c 5"));
  EXPECT_TRUE(SampleLines("", {"a"}).empty());
}

TEST(ScrapeTest, SaysThatNobodyAnswers) {
  EXPECT_EQ(Scrape("127.0.0.1:1", "/metrics").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Scrape("nowhere", "/metrics").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ScrapeTest, AMetricIsTheSumOfItsSeries) {
  const std::string page =
      "# HELP a_total what a_total is\n"
      "a_total{space=\"x y\"} 1.5\n"
      "a_total{space=\"}\"} 2\n"
      "a_total_more 100\n"
      "b 7 1700000000000\n"
      "c 0";
  EXPECT_EQ(MetricValue(page, "a_total"), 3.5);
  EXPECT_EQ(MetricValue(page, "b"), 7);
  EXPECT_EQ(MetricValue(page, "c"), 0);
  EXPECT_EQ(MetricValue(page, "a"), std::nullopt);
  EXPECT_EQ(MetricValue("", "a"), std::nullopt);
}

}  // namespace
}  // namespace engram
