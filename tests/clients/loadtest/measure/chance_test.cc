#include "loadtest/measure/chance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

namespace engram {
namespace {

TEST(ChanceTest, StudentsQuantilesAreThoseOfTheTables) {
  // One-sided, as printed.
  EXPECT_NEAR(StudentQuantile(0.01, 1), 31.821, 1e-3);
  EXPECT_NEAR(StudentQuantile(0.01, 2), 6.965, 1e-3);
  EXPECT_NEAR(StudentQuantile(0.05, 4), 2.132, 1e-3);
  EXPECT_NEAR(StudentQuantile(0.01, 9), 2.821, 1e-3);
  EXPECT_NEAR(StudentQuantile(0.001, 5), 5.893, 1e-3);
  EXPECT_NEAR(StudentQuantile(0.0005, 2), 31.599, 1e-3);
  EXPECT_NEAR(StudentQuantile(0.0005, 18), 3.922, 1e-3);
}

TEST(ChanceTest, SmallChancesOfOneAndTwoDegreesAreWhatTheirFormulasSay) {
  for (const double t : {1.5, 7.0, 60.0, 4000.0}) {
    EXPECT_NEAR(StudentTail(t, 1) / (std::atan(1 / t) / std::numbers::pi), 1, 1e-9) << t;
    const double root = std::sqrt(2 + t * t);
    EXPECT_NEAR(StudentTail(t, 2) / (1 / (root * (root + t))), 1, 1e-9) << t;
  }
}

TEST(ChanceTest, PartsOfADegreeLieBetweenWholeOnesAndManyAreTheNormalDistribution) {
  const double part = StudentQuantile(0.001, 3.5);
  EXPECT_LT(part, StudentQuantile(0.001, 3));
  EXPECT_GT(part, StudentQuantile(0.001, 4));
  EXPECT_NEAR(StudentQuantile(0.01, 1e6), 2.326, 0.03);
}

TEST(ChanceTest, TheMediansErrorIsWhatMediansDifferBy) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  double squares = 0, errors = 0;
  constexpr int kTrials = 20'000;
  for (int i = 0; i < kTrials; ++i) {
    std::vector<double> values(9);
    for (double& value : values) value = normal(random);
    const double error = ErrorOfMedian(values).error;
    errors += error * error / kTrials;
    std::sort(values.begin(), values.end());
    squares += values[4] * values[4] / kTrials;
  }
  // Of few values it is somewhat less than said, so chance is not underrated.
  EXPECT_GT(errors, squares);
  EXPECT_LT(errors, 1.2 * squares);
}

TEST(ChanceTest, OfADifferenceTheFreedomIsBetweenTheLesserAndBoth) {
  const std::vector<double> calm = {1, 1.01, 0.99, 1.02}, wild = {1, 5, 3, 9};
  EXPECT_NEAR(ErrorOfDifference(wild, wild).freedom, 6, 1e-9);
  EXPECT_NEAR(ErrorOfDifference(calm, wild).freedom, 3, 0.01);
  EXPECT_EQ(ErrorOfDifference({1, 1}, {1, 1}).error, 0);
  EXPECT_NEAR(ErrorOfDifference(calm, wild).error, ErrorOfMedian(wild).error, 1e-3);
}

}  // namespace
}  // namespace engram
