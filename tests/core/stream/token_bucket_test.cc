#include "core/stream/token_bucket.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace engram {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class TokenBucketTest : public ::testing::Test {
 protected:
  MonotonicTime now_ = MonotonicTime(seconds(1000));
  TokenBucket bucket_;
};

TEST_F(TokenBucketTest, WithoutARateEverythingPasses) {
  EXPECT_EQ(bucket_.TakeUpTo(UINT64_MAX, now_), UINT64_MAX);
  EXPECT_EQ(bucket_.Until(1'000'000), Duration{0});
  bucket_.Return(5);
  EXPECT_EQ(bucket_.TakeUpTo(7, now_), 7u);
}

TEST_F(TokenBucketTest, StartsWithABurstOfOneSecond) {
  bucket_.SetRate(1000, now_);
  EXPECT_EQ(bucket_.TakeUpTo(600, now_), 600u);
  EXPECT_EQ(bucket_.TakeUpTo(600, now_), 400u);
  EXPECT_EQ(bucket_.TakeUpTo(600, now_), 0u);
}

TEST_F(TokenBucketTest, RefillsAtTheRateUpToOneSecond) {
  bucket_.SetRate(1000, now_);
  bucket_.TakeUpTo(1000, now_);
  now_ += milliseconds(10);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 10u);
  now_ += microseconds(500);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 0u) << "half a unit is not one yet";
  now_ += microseconds(500);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 1u) << "but it was not lost";
  now_ += seconds(3600);
  EXPECT_EQ(bucket_.TakeUpTo(5000, now_), 1000u);
}

TEST_F(TokenBucketTest, UntilIsWhenTheUnitsAreThereAndNotMuchLater) {
  bucket_.SetRate(1000, now_);
  bucket_.TakeUpTo(1000, now_);
  const Duration wait = bucket_.Until(250);
  EXPECT_GE(wait, milliseconds(250));
  EXPECT_LE(wait, milliseconds(250) + microseconds(1));
  EXPECT_EQ(bucket_.TakeUpTo(250, now_ + wait), 250u);
  EXPECT_EQ(bucket_.Until(0), Duration{0});
}

TEST_F(TokenBucketTest, UntilIsNeverTooEarly) {
  for (const uint64_t rate : {3u, 7u, 999u, 3000u, 1'000'003u}) {
    TokenBucket bucket;
    bucket.SetRate(rate, now_);
    bucket.TakeUpTo(rate, now_);
    // Parts of a microsecond count as whole ones.
    EXPECT_EQ(bucket.TakeUpTo(1, now_ + bucket.Until(1)), 1u) << rate;
  }
}

TEST_F(TokenBucketTest, MoreThanABurstWaitsForAFullOne) {
  bucket_.SetRate(1000, now_);
  bucket_.TakeUpTo(1000, now_);
  const Duration wait = bucket_.Until(50'000);
  EXPECT_GE(wait, seconds(1));
  EXPECT_LE(wait, seconds(1) + microseconds(1));
  EXPECT_EQ(bucket_.TakeUpTo(50'000, now_ + wait), 1000u);
}

TEST_F(TokenBucketTest, WhatIsReturnedCanBeTakenButNeverExceedsABurst) {
  bucket_.SetRate(1000, now_);
  bucket_.TakeUpTo(1000, now_);
  bucket_.Return(300);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 300u);
  bucket_.Return(700);
  bucket_.Return(700);
  EXPECT_EQ(bucket_.TakeUpTo(5000, now_), 1000u);
}

TEST_F(TokenBucketTest, ANewRateTakesOverAtOnce) {
  bucket_.SetRate(1000, now_);
  bucket_.SetRate(100, now_);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 100u) << "a smaller burst from now on";
  bucket_.SetRate(10'000, now_);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 0u) << "raising the rate gives nothing away";
  now_ += milliseconds(10);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 100u);
  // What the old rate earned before the change stays.
  now_ += milliseconds(10);
  bucket_.SetRate(1000, now_);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 100u);
  bucket_.SetRate(0, now_);
  EXPECT_EQ(bucket_.TakeUpTo(1'000'000, now_), 1'000'000u);
  bucket_.SetRate(50, now_);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 50u);
  bucket_.SetRate(50, now_);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 0u) << "the same rate again changes nothing";
}

// Callers read the clock before they take the owner's lock, so times arrive out of order; no interval counts twice.
TEST_F(TokenBucketTest, ALateReadingOfTheClockEarnsNothing) {
  bucket_.SetRate(1000, now_);
  bucket_.TakeUpTo(1000, now_);
  const MonotonicTime later = now_ + milliseconds(100);
  EXPECT_EQ(bucket_.TakeUpTo(1000, later), 100u);
  EXPECT_EQ(bucket_.TakeUpTo(1000, now_), 0u);
  EXPECT_EQ(bucket_.TakeUpTo(1000, later), 0u);
}

// In any interval of t seconds at most rate * (t + 1) pass, and a greedy taker gets all of it.
TEST_F(TokenBucketTest, KeepsTheRateOverTime) {
  constexpr uint64_t kSeed = 7, kRate = 12'345;
  std::mt19937_64 random(kSeed);
  bucket_.SetRate(kRate, now_);
  const MonotonicTime start = now_;
  uint64_t passed = 0;
  for (int i = 0; i < 20'000; ++i) {
    passed += bucket_.TakeUpTo(random() % 500, now_);
    const double elapsed = std::chrono::duration<double>(now_ - start).count();
    ASSERT_LE(static_cast<double>(passed), kRate * (elapsed + 1) + 1) << "seed " << kSeed << " step " << i;
    now_ += microseconds(random() % 4000);
  }
  passed += bucket_.TakeUpTo(UINT64_MAX, now_);
  const double elapsed = std::chrono::duration<double>(now_ - start).count();
  EXPECT_GE(static_cast<double>(passed), kRate * elapsed - 1) << "seed " << kSeed;
}

}  // namespace
}  // namespace engram
