#include "loadtest/exact_search.h"

#include <gtest/gtest.h>

#include <vector>

namespace engram {
namespace {

TEST(ExactSearchTest, OrdersByCosine) {
  const Matrix matrix{2, {1, 0, 0, 5, 3, 3, -1, 0}};
  const ExactSearch exact(matrix);
  const std::vector<float> cue = {2, 1};
  const auto best = exact.Best(cue, 3);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_EQ(best[0].row, 2u);
  EXPECT_NEAR(best[0].similarity, 3 / std::sqrt(10.0), 1e-12);
  EXPECT_EQ(best[1].row, 0u);
  EXPECT_EQ(best[2].row, 1u);
}

TEST(ExactSearchTest, CountsTheRightRowsOnce) {
  const Matrix matrix{2, {1, 0, 2, 0, 0, 1, 1, 1}};
  const ExactSearch exact(matrix);
  const std::vector<float> cue = {1, 0};
  // Rows 0 and 1 point the same way: either is a right answer for k 1.
  for (const size_t row : {0u, 1u}) EXPECT_EQ(exact.CountCorrect(cue, std::vector<size_t>{row}, 1), 1u);
  EXPECT_EQ(exact.CountCorrect(cue, std::vector<size_t>{2}, 1), 0u);
  EXPECT_EQ(exact.CountCorrect(cue, std::vector<size_t>{0, 0}, 2), 1u);
  EXPECT_EQ(exact.CountCorrect(cue, std::vector<size_t>{0, 1, 3}, 3), 3u);
  EXPECT_EQ(exact.CountCorrect(cue, std::vector<size_t>{0, 1, 2}, 3), 2u);
}

TEST(ExactSearchTest, ManyCuesGetWhatEachGetsByItself) {
  const Matrix matrix = RandomMatrix(300, 19, 1), cues = RandomMatrix(7, 19, 2);
  const ExactSearch exact(matrix);
  const auto best = exact.BestForEach(cues, 10, {});
  ASSERT_EQ(best.size(), 7u);
  for (size_t cue = 0; cue < cues.rows(); ++cue) {
    const auto alone = exact.Best(cues.row(cue), 10);
    ASSERT_EQ(best[cue].size(), 10u);
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(best[cue][i].row, alone[i].row);
      EXPECT_EQ(best[cue][i].similarity, alone[i].similarity);
    }
  }
}

TEST(ExactSearchTest, ARowCountsForEachThatUsesIt) {
  const Matrix matrix{2, {1, 0, 2, 1, 0, 1}};
  const ExactSearch exact(matrix);
  const Matrix cues{2, {1, 0}};
  const auto best = exact.BestForEach(cues, 4, std::vector<uint32_t>{0, 2, 1});
  ASSERT_EQ(best[0].size(), 3u);
  EXPECT_EQ(best[0][0].row, 1u);
  EXPECT_EQ(best[0][1].row, 1u);
  EXPECT_EQ(best[0][2].row, 2u);
  EXPECT_EQ(exact.CountCorrect(cues.row(0), std::vector<size_t>{1, 1, 0}, best[0]), 3u);
  EXPECT_EQ(exact.CountCorrect(cues.row(0), std::vector<size_t>{1, 2}, exact.BestForEach(cues, 1, {})[0]), 0u);
}

}  // namespace
}  // namespace engram
