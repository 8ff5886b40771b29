#include "loadtest/backlog.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace engram {
namespace {

bool Holds(const std::vector<double>& samples, double rate) {
  const BacklogBound bound = BoundOf(samples, rate);
  return bound.late <= bound.limit;
}

TEST(BacklogTest, TheSecondHalfIsHeldAgainstTheFirst) {
  const BacklogBound bound = BoundOf(std::vector<double>{10, 400, 20, 30, 300, 500}, 100);
  EXPECT_EQ(bound.early, 400);
  EXPECT_EQ(bound.late, 500);
  EXPECT_EQ(bound.limit, 600);
}

TEST(BacklogTest, WhatGrowsIsAMissAndWhatStaysIsNone) {
  std::vector<double> growing, level;
  for (int i = 0; i < 180; ++i) {
    growing.push_back(50.0 * i);
    level.push_back(40'000 + 100 * (i % 7));
  }
  EXPECT_FALSE(Holds(growing, 1000));
  EXPECT_TRUE(Holds(level, 1000));
}

TEST(BacklogTest, WhatWasNotSampledMisses) {
  EXPECT_FALSE(Holds({}, 100));
  EXPECT_FALSE(Holds({0}, 100));
}

}  // namespace
}  // namespace engram
