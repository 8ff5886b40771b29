#include "clients/cli/bench_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

BenchDocument Report() {
  BenchDocument document;
  document.Put("config.arguments", Json{{"dimension", 64}, {"batch", 16}, {"streams", 3}, {"preload", 500}, {"rate", 1234.5},
                                        {"recalls_per_second", 7}, {"seed", 9}});
  document.Put("config.profile", "low_latency");
  document.Put("config.settings", Json::array({"num_workers=2"}));
  return document;
}

TEST(TakeLoadOf, TakesWhatTheCommandLineDoesNotName) {
  BenchOptions options;
  options.measured.batch = 100;
  options.given = {"--batch"};
  ASSERT_TRUE(TakeLoadOf(Report(), "r", options).ok());
  EXPECT_EQ(options.measured.dimension, 64u);
  EXPECT_EQ(options.measured.batch, 100u);
  EXPECT_EQ(options.measured.streams, 3u);
  EXPECT_EQ(options.measured.preload, 500u);
  EXPECT_EQ(options.measured.seed, 9u);
  EXPECT_EQ(options.rate, 1234.5);
  EXPECT_EQ(options.recalls_per_second, 7);
  EXPECT_EQ(options.measured.profile, "low_latency");
  EXPECT_THAT(options.measured.settings, ElementsAre("num_workers=2"));
}

TEST(TakeLoadOf, LeavesADaemonThatIsNamedAsItIs) {
  BenchOptions options;
  options.given = {"--set"};
  options.measured.settings = {"num_workers=1"};
  ASSERT_TRUE(TakeLoadOf(Report(), "r", options).ok());
  EXPECT_EQ(options.measured.profile, "balanced");
  EXPECT_THAT(options.measured.settings, ElementsAre("num_workers=1"));
}

TEST(TakeLoadOf, NamesAFigureThatIsNoLoad) {
  BenchDocument report = Report();
  report.Put("config.arguments.dimension", 1e9);
  BenchOptions options;
  const absl::Status status = TakeLoadOf(report, "before", options);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("report before: config.arguments.dimension is 1000000000"));
}

}  // namespace
}  // namespace engram
