#include "loadtest/clustered_matrix.h"

#include <gtest/gtest.h>

#include "loadtest/exact_search.h"

namespace engram {
namespace {

TEST(ClusteredSourceTest, TheSameSeedAndStreamGiveTheSameRows) {
  const Matrix once = ClusteredSource(32, 5).Draw(50, kRowStream);
  EXPECT_EQ(once.dimension, 32u);
  EXPECT_EQ(once.rows(), 50u);
  EXPECT_EQ(once.values, ClusteredSource(32, 5).Draw(50, kRowStream).values);
  EXPECT_NE(once.values, ClusteredSource(32, 5).Draw(50, kCueStream).values);
  EXPECT_NE(once.values, ClusteredSource(32, 6).Draw(50, kRowStream).values);
}

TEST(ClusteredSourceTest, ACueHasNeighboursCloserThanTheRest) {
  const ClusteredSource source(64, 1, 10);
  const Matrix rows = source.Draw(500, kRowStream), cues = source.Draw(20, kCueStream);
  const ExactSearch exact(rows);
  for (size_t i = 0; i < cues.rows(); ++i) {
    const auto all = exact.Best(cues.row(i), rows.rows());
    EXPECT_GT(all[0].similarity, 0.8);
    EXPECT_LT(all[rows.rows() / 2].similarity, 0.5);
  }
}

}  // namespace
}  // namespace engram
