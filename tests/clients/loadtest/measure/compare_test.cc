#include "loadtest/measure/compare.h"

#include <gtest/gtest.h>

namespace engram {
namespace {

constexpr const char* kRate = "throughput.observations_per_second";

BenchDocument With(std::vector<double> rates, double sink = 1000) {
  BenchDocument document;
  document.Put(kRate, rates[rates.size() / 2]);
  document.PutRounds(kRate, rates);
  document.Put("limits.grpc_sink.observations_per_second", sink);
  return document;
}

Compared::Verdict VerdictOf(const Comparison& comparison, const std::string& path) {
  for (const Compared& figure : comparison.figures) {
    if (figure.path == path) return figure.verdict;
  }
  ADD_FAILURE() << path << " was not compared";
  return Compared::Verdict::kSame;
}

TEST(CompareTest, AFallBeyondThresholdAndChanceIsARegression) {
  const Comparison comparison = CompareStored(With({100, 101, 102, 101}), With({80, 81, 82, 81}), 0.05);
  EXPECT_TRUE(comparison.Regressed());
  EXPECT_EQ(VerdictOf(comparison, kRate), Compared::Verdict::kWorse);
}

TEST(CompareTest, ARiseIsBetterAndNoRegression) {
  const Comparison comparison = CompareStored(With({80, 81, 82, 81}), With({100, 101, 102, 101}), 0.05);
  EXPECT_FALSE(comparison.Regressed());
  EXPECT_EQ(VerdictOf(comparison, kRate), Compared::Verdict::kBetter);
}

TEST(CompareTest, AFallWithinTheThresholdIsTheSame) {
  EXPECT_FALSE(CompareStored(With({100, 101, 102, 101}), With({80, 81, 82, 81}), 0.3).Regressed());
}

TEST(CompareTest, AFallThatTheRoundsThemselvesShowIsChance) {
  EXPECT_FALSE(CompareStored(With({140, 60, 100, 130}), With({40, 120, 81, 60}), 0.05).Regressed());
}

TEST(CompareTest, AMachineThatBecameSlowerExcusesTheFall) {
  EXPECT_FALSE(CompareStored(With({100, 101, 102, 101}, 1000), With({80, 81, 82, 81}, 790), 0.05).Regressed());
}

TEST(CompareTest, RoundsThatTookTurnsAreComparedPairByPair) {
  // Both drift together by a factor of two; each round of one is a tenth below the other's.
  const Comparison comparison =
      CompareAlternating(With({100, 140, 200, 160}), With({90, 126, 180, 144}), 0.05);
  EXPECT_TRUE(comparison.Regressed());
  EXPECT_NEAR(comparison.figures.front().ratio, 0.9, 1e-9);
  EXPECT_FALSE(CompareAlternating(With({100, 140, 200, 160}), With({90, 160, 170, 170}), 0.05).Regressed());
}

TEST(CompareTest, OfLatenciesLessIsBetter) {
  BenchDocument before, now;
  before.Put("latency.recall.p50_seconds", 0.001);
  now.Put("latency.recall.p50_seconds", 0.002);
  EXPECT_TRUE(CompareStored(before, now, 0.05).Regressed());
  EXPECT_FALSE(CompareStored(now, before, 0.05).Regressed());
}

TEST(CompareTest, WhatOneSideLacksIsNotCompared) {
  EXPECT_TRUE(CompareStored(BenchDocument(), With({80, 81, 82, 81}), 0.05).figures.empty());
}

TEST(CompareTest, AnotherLoadIsNamed) {
  BenchDocument before, now;
  before.Put("config.arguments.dimension", 384);
  now.Put("config.arguments.dimension", 32);
  before.Put("config.arguments.batch", 256);
  now.Put("config.arguments.batch", 256);
  EXPECT_EQ(DifferencesOf(before, now), std::vector<std::string>{"dimension: 384 before, 32 now"});
}

TEST(CompareTest, TheVerdictStandsInTheDocument) {
  BenchDocument now = With({80, 81, 82, 81});
  PutComparison(CompareStored(With({100, 101, 102, 101}), now, 0.05), "before", now);
  EXPECT_EQ(now.Text("comparison.base"), "before");
  EXPECT_EQ((*now.Find("comparison.regressed")), true);
  EXPECT_EQ((*now.Find("comparison.figures"))[0]["verdict"], "worse");
}

}  // namespace
}  // namespace engram
