#include "core/stream/pressure.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace engram {
namespace {

using enum PressureLevel;

constexpr PressureLevel kLevels[] = {kNormal, kWarning, kCritical, kOverloaded};

TEST(NextPressure, UpAtEachThresholdAndNotBefore) {
  EXPECT_EQ(NextPressure(kNormal, 499, 1000), kNormal);
  EXPECT_EQ(NextPressure(kNormal, 500, 1000), kWarning);
  EXPECT_EQ(NextPressure(kWarning, 799, 1000), kWarning);
  EXPECT_EQ(NextPressure(kWarning, 800, 1000), kCritical);
  EXPECT_EQ(NextPressure(kCritical, 949, 1000), kCritical);
  EXPECT_EQ(NextPressure(kCritical, 950, 1000), kOverloaded);
  EXPECT_EQ(NextPressure(kOverloaded, 1000, 1000), kOverloaded);
}

TEST(NextPressure, DownBelowEachThresholdAndNotBefore) {
  EXPECT_EQ(NextPressure(kOverloaded, 900, 1000), kOverloaded);
  EXPECT_EQ(NextPressure(kOverloaded, 899, 1000), kCritical);
  EXPECT_EQ(NextPressure(kCritical, 700, 1000), kCritical);
  EXPECT_EQ(NextPressure(kCritical, 699, 1000), kWarning);
  EXPECT_EQ(NextPressure(kWarning, 400, 1000), kWarning);
  EXPECT_EQ(NextPressure(kWarning, 399, 1000), kNormal);
  EXPECT_EQ(NextPressure(kNormal, 0, 1000), kNormal);
}

TEST(NextPressure, JumpsOverLevels) {
  EXPECT_EQ(NextPressure(kNormal, 850, 1000), kCritical);
  EXPECT_EQ(NextPressure(kNormal, 1000, 1000), kOverloaded);
  EXPECT_EQ(NextPressure(kOverloaded, 650, 1000), kWarning);
  EXPECT_EQ(NextPressure(kOverloaded, 0, 1000), kNormal);
}

// Wherever it lands, the same depth again changes nothing; else two readings would flap.
TEST(NextPressure, SettlesInOneStep) {
  for (const PressureLevel from : kLevels) {
    for (uint64_t depth = 0; depth <= 1000; ++depth) {
      const PressureLevel to = NextPressure(from, depth, 1000);
      ASSERT_EQ(NextPressure(to, depth, 1000), to) << "from " << static_cast<int>(from) << " at " << depth;
    }
  }
}

TEST(PressureGauge, TellsOnlyChanges) {
  PressureGauge gauge(1000);
  EXPECT_EQ(gauge.level(), kNormal);
  EXPECT_EQ(gauge.Update(499), std::nullopt);
  EXPECT_EQ(gauge.Update(500), kWarning);
  EXPECT_EQ(gauge.Update(500), std::nullopt);
  EXPECT_EQ(gauge.Update(999), kOverloaded);
  EXPECT_EQ(gauge.level(), kOverloaded);
  EXPECT_EQ(gauge.Update(0), kNormal);
  EXPECT_EQ(gauge.level(), kNormal);
}

TEST(PressureGauge, HoveringAtAThresholdTellsOnce) {
  for (const uint64_t threshold : {500u, 800u, 950u}) {
    PressureGauge gauge(1000);
    gauge.Update(threshold - 1);
    int told = 0;
    for (int i = 0; i < 1000; ++i) told += gauge.Update(threshold - (i % 2)).has_value();
    EXPECT_EQ(told, 1) << threshold;
  }
  for (const uint64_t threshold : {400u, 700u, 900u}) {
    PressureGauge gauge(1000);
    gauge.Update(1000);
    gauge.Update(threshold);
    int told = 0;
    for (int i = 0; i < 1000; ++i) told += gauge.Update(threshold - (i % 2)).has_value();
    EXPECT_EQ(told, 1) << threshold;
  }
}

// Each change is told to exactly one caller: replaying what was told arrives at the gauge's level.
TEST(PressureGauge, ConcurrentCrossingsAreEachToldOnce) {
  constexpr int kThreads = 4, kRounds = 20'000;
  PressureGauge gauge(1000);
  std::atomic<int64_t> ups{0}, downs{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(static_cast<uint64_t>(i));
      // Only two levels, so that each told level is one crossing.
      for (int round = 0; round < kRounds; ++round) {
        const auto told = gauge.Update(random() % 2 == 0 ? 600 : 100);
        if (told == kWarning) ++ups;
        if (told == kNormal) ++downs;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(ups - downs, gauge.level() == kWarning ? 1 : 0);
  EXPECT_GT(ups.load(), 0);
}

}  // namespace
}  // namespace engram
