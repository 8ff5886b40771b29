#include "loadtest/measure/settling.h"

#include <gtest/gtest.h>

namespace engram {
namespace {

class SettlingTest : public ::testing::Test {
 protected:
  // Quiet from `instant` on.
  Settling::Question QuietAt(int64_t instant) {
    return [this, instant]() -> absl::StatusOr<bool> {
      ++asked_;
      return now_ >= instant;
    };
  }
  bool Await(int64_t instant) { return settling_.Await(QuietAt(instant)).value(); }

  int64_t now_ = 0;
  int asked_ = 0;
  Settling settling_{100, 10, [this] { return now_; }, [this](int64_t instant) { now_ = instant; }};
};

TEST_F(SettlingTest, WhatIsQuietIsAskedOnce) {
  EXPECT_TRUE(Await(0));
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(now_, 0);
}

TEST_F(SettlingTest, WhatBecomesQuietIsWaitedForEachTime) {
  EXPECT_TRUE(Await(35));
  EXPECT_EQ(now_, 40);
  EXPECT_TRUE(Await(120)) << "the patience is for each wait";
  EXPECT_EQ(now_, 120);
}

TEST_F(SettlingTest, WhatWasNotQuietInTimeIsNotWaitedForAgain) {
  EXPECT_FALSE(Await(1000));
  EXPECT_EQ(now_, 100);
  const int asked = asked_;
  EXPECT_FALSE(Await(0));
  EXPECT_EQ(asked_, asked);
  EXPECT_EQ(now_, 100);
}

TEST_F(SettlingTest, AQuestionThatFailsEndsTheWaitAndIsNoAnswer) {
  const auto failed = settling_.Await([]() -> absl::StatusOr<bool> { return absl::UnavailableError("gone"); });
  EXPECT_TRUE(absl::IsUnavailable(failed.status())) << failed.status();
  EXPECT_TRUE(Await(35));
}

}  // namespace
}  // namespace engram
