#include "index/filter_choice.h"

#include <gtest/gtest.h>

namespace engram {
namespace {

constexpr uint64_t kVisible = 100'000;

TEST(FilterChoiceTest, FewMatchesAreScannedAndManyAreWalked) {
  EXPECT_FALSE(ChooseForFilter(1'000, kVisible, 64).walk);
  EXPECT_TRUE(ChooseForFilter(10'000, kVisible, 64).walk);
  EXPECT_TRUE(ChooseForFilter(kVisible, kVisible, 64).walk);
}

TEST(FilterChoiceTest, AWiderWalkNeedsMoreMatches) {
  EXPECT_TRUE(ChooseForFilter(10'000, kVisible, 64).walk);
  EXPECT_FALSE(ChooseForFilter(10'000, kVisible, 256).walk);
}

TEST(FilterChoiceTest, AWalkMayCostWhatTheScanWould) {
  const FilterChoice choice = ChooseForFilter(35'000, kVisible, 64);
  EXPECT_TRUE(choice.walk);
  EXPECT_EQ(choice.most_compared, 10'000u);
}

TEST(FilterChoiceTest, WithoutMatchesOrRowsThereIsNothingToWalk) {
  EXPECT_FALSE(ChooseForFilter(0, kVisible, 64).walk);
  EXPECT_FALSE(ChooseForFilter(10, 0, 64).walk);
}

TEST(FilterChoiceTest, AnEstimateAboveWhatIsThereCountsAsAll) {
  EXPECT_EQ(ChooseForFilter(2 * kVisible, kVisible, 64).walk, ChooseForFilter(kVisible, kVisible, 64).walk);
}

}  // namespace
}  // namespace engram
