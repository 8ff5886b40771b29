#include "loadtest/live_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using ::testing::ElementsAre;

TEST(LiveRowsTest, AnIdStandsForTheRowItWasGivenLast) {
  LiveRows live(3, 4);
  live.Put(0, 0);
  live.Put(1, 1);
  live.Put(0, 3);
  EXPECT_EQ(live.RowOf(0), 3u);
  EXPECT_EQ(live.RowOf(1), 1u);
  EXPECT_EQ(live.RowOf(2), std::nullopt);
  EXPECT_EQ(live.RowOf(99), std::nullopt);
  EXPECT_EQ(live.count(), 2u);
  EXPECT_THAT(live.users(), ElementsAre(0, 1, 0, 1));
}

TEST(LiveRowsTest, ARowIsLiveAsLongAsSomeIdStandsForIt) {
  LiveRows live(2, 1);
  live.Put(0, 0);
  live.Put(1, 0);
  EXPECT_THAT(live.users(), ElementsAre(2));
  EXPECT_TRUE(live.Remove(0));
  EXPECT_FALSE(live.Remove(0));
  EXPECT_THAT(live.users(), ElementsAre(1));
  EXPECT_EQ(live.count(), 1u);
}

TEST(LiveRowsTest, IdsSurviveTheirTexts) {
  for (const size_t id : {0u, 7u, 12345678u, 123456789u}) EXPECT_EQ(IdFrom(IdText(id)), id);
  EXPECT_EQ(IdFrom("observation-"), std::nullopt);
  EXPECT_EQ(IdFrom("observation-1x"), std::nullopt);
  EXPECT_EQ(IdFrom("something-1"), std::nullopt);
}

}  // namespace
}  // namespace engram
