#include "loadtest/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace engram {
namespace {

TEST(ReportTest, ABarKnowsItsDirection) {
  EXPECT_TRUE((Bar{"latency", 3.0, 3.0, false, "ms"}.Passed()));
  EXPECT_FALSE((Bar{"latency", 3.1, 3.0, false, "ms"}.Passed()));
  EXPECT_TRUE((Bar{"share", 40, 40, true, "%"}.Passed()));
  EXPECT_FALSE((Bar{"share", 39.9, 40, true, "%"}.Passed()));
}

TEST(ReportTest, OneMissIsAMiss) {
  Report report(true);
  EXPECT_TRUE(report.AllPassed());
  report.AddBar({"a", 1, 2, false, "ms"});
  EXPECT_TRUE(report.AllPassed());
  report.AddBar({"b", 3, 2, false, "ms"});
  EXPECT_FALSE(report.AllPassed());
}

TEST(ReportTest, JsonCarriesFiguresAndBars) {
  Report report(true);
  report.Line("not shown");
  report.Put("ingest/128d", {{"rounds", 3}});
  report.AddBar({"share", 50, 40, true, "%"});
  ::testing::internal::CaptureStdout();
  report.Finish();
  const auto json = nlohmann::json::parse(::testing::internal::GetCapturedStdout());
  EXPECT_EQ(json["ingest"]["128d"]["rounds"], 3);
  EXPECT_EQ(json["bars"][0]["at_least"], 40);
  EXPECT_EQ(json["bars"][0]["passed"], true);
}

TEST(ReportTest, NumbersAreReadable) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1234567.4), "1 234 567");
  EXPECT_EQ(Grouped(-1234), "-1 234");
  EXPECT_EQ(Grouped(-123), "-123");
  EXPECT_EQ(Milliseconds(1'234'000), "1.23");
  EXPECT_EQ(Milliseconds(12'340'000), "12.3");
  EXPECT_EQ(Milliseconds(1'234'000'000), "1234");
}

TEST(ReportTest, MedianOfOddAndEven) {
  EXPECT_EQ(SpreadOf({5, 1, 3}).median, 3);
  EXPECT_EQ(SpreadOf({4, 1, 3, 2}).median, 2.5);
  EXPECT_EQ(SpreadOf({4, 1, 3, 2}).least, 1);
  EXPECT_EQ(SpreadOf({4, 1, 3, 2}).most, 4);
  EXPECT_EQ(SpreadOf({}).median, 0);
}

TEST(ReportTest, AMissingFigureMissesItsBar) {
  const double missing = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(SpreadOf({1, missing, 3}).median));
  EXPECT_FALSE((Bar{"share", missing, 40, true, "%"}.Passed()));
  EXPECT_FALSE((Bar{"latency", missing, 3, false, "ms"}.Passed()));
}

}  // namespace
}  // namespace engram
