#include "loadtest/load_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::DoubleNear;

double At(const LoadShape& shape, uint64_t n, double share = 1) {
  return Seconds(shape.DueNanos(n, share).value_or(-1));
}

TEST(LoadShape, AConstantRateIsEvenlySpaced) {
  const LoadShape shape({{2, 10, 10}});
  EXPECT_EQ(shape.Count(1), 20u);
  EXPECT_NEAR(At(shape, 0), 0.1, 1e-9);
  EXPECT_NEAR(At(shape, 9), 1.0, 1e-9);
  EXPECT_NEAR(At(shape, 19), 2.0, 1e-9);
  EXPECT_EQ(shape.DueNanos(20, 1), std::nullopt);
}

TEST(LoadShape, ARampHasAQuarterOfItselfInItsFirstHalf) {
  const LoadShape up({{10, 0, 100}});
  EXPECT_EQ(up.Count(1), 500u);
  EXPECT_NEAR(At(up, 124), 5.0, 1e-6);
  const LoadShape down({{10, 100, 0}});
  EXPECT_NEAR(At(down, 374), 5.0, 1e-6);
}

TEST(LoadShape, PhasesFollowOneAnotherAndNothingIsDueBeforeWhatCameBefore) {
  const LoadShape shape({{1, 10, 10}, {1, 10, 110}, {1, 100, 100}});
  EXPECT_EQ(shape.Count(1), 170u);
  EXPECT_NEAR(At(shape, 9), 1, 1e-9);
  EXPECT_NEAR(At(shape, 69), 2, 1e-9);
  EXPECT_NEAR(At(shape, 169), 3, 1e-9);
  for (uint64_t n = 1; n < 170; ++n) EXPECT_GT(At(shape, n), At(shape, n - 1)) << n;
}

TEST(LoadShape, AShareIsDueInProportion) {
  const LoadShape shape({{10, 100, 100}});
  EXPECT_EQ(shape.Count(0.25), 250u);
  EXPECT_NEAR(At(shape, 0, 0.25), 0.04, 1e-9);
}

TEST(LoadShape, ARushIsOverWhenTheLastFasterPhaseIs) {
  EXPECT_EQ(LoadShape({{5, 10, 10}}).RushEnds(), 0);
  EXPECT_EQ(LoadShape({{5, 10, 10}, {3, 100, 100}, {4, 10, 10}}).RushEnds(), 8);
  EXPECT_EQ(LoadShape({{5, 10, 10}, {3, 10, 20}}).RushEnds(), 8);
}

TEST(ZipfShares, AddUpToOneAndFallAsOneThroughTheRank) {
  EXPECT_THAT(ZipfShares(3, 1),
              ElementsAre(DoubleNear(6.0 / 11, 1e-9), DoubleNear(3.0 / 11, 1e-9), DoubleNear(2.0 / 11, 1e-9)));
  EXPECT_THAT(ZipfShares(2, 0), ElementsAre(0.5, 0.5));
}

}  // namespace
}  // namespace engram
