#include "loadtest/measure/compare.h"

#include <gtest/gtest.h>

#include <span>
#include <string_view>

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
  const BenchDocument base = With({100, 101, 102, 101}, 1000), now = With({80, 81, 82, 81}, 840);
  EXPECT_FALSE(CompareStored(base, now, 0.05).Regressed());
  EXPECT_FALSE(CompareStored(base, now, 0.05).Incomparable());
}

TEST(CompareTest, AMachineThatBecameFasterExcusesNoFall) {
  EXPECT_TRUE(CompareStored(With({100, 101, 102, 101}, 1000), With({80, 81, 82, 81}, 1190), 0.05).Regressed());
}

TEST(CompareTest, AMachineThatIsAnotherLeavesOpenWhatDependsOnItAndNothingElse) {
  BenchDocument base = With({100, 101, 102, 101}, 1000), now = With({50, 51, 52, 51}, 700);
  base.Put("recall.at_10", 0.99);
  now.Put("recall.at_10", 0.99);
  Comparison comparison = CompareStored(base, now, 0.05);
  EXPECT_EQ(VerdictOf(comparison, kRate), Compared::Verdict::kMachine);
  EXPECT_EQ(VerdictOf(comparison, "recall.at_10"), Compared::Verdict::kSame);
  EXPECT_TRUE(comparison.Incomparable());
  EXPECT_FALSE(comparison.Regressed());
  now.Put("recall.at_10", 0.7);
  EXPECT_TRUE(CompareStored(base, now, 0.05).Regressed());
  PutComparison(comparison, "before", now);
  EXPECT_EQ(*now.Find("comparison.incomparable"), true);
  EXPECT_EQ((*now.Find("comparison.machine"))[0]["limit"], "grpc_sink");
  EXPECT_EQ((*now.Find("comparison.machine"))[0]["comparable"], false);
}

TEST(CompareTest, EveryFigureThatBothHaveIsComparedAndTheRarestAreToldOnly) {
  BenchDocument base, now;
  const char* judged[] = {"throughput.kept_per_second", "latency.durable.p90_seconds", "latency.observe.p95_seconds",
                          "latency.recall.p99_seconds", "stages.queue.p50_seconds", "recall.at_10",
                          "resources.copies_per_observation"};
  const char* told[] = {"throughput.bytes_per_second", "latency.recall.p999_seconds", "latency.recall.max_seconds",
                        "stages.queue.p99_seconds", "recall.min_at_10"};
  const auto rises = [](std::string_view path) {
    return path.starts_with("latency") || path.starts_with("stages") || path.starts_with("resources");
  };
  for (const auto& paths : {std::span<const char*>(judged), std::span<const char*>(told)}) {
    for (const char* path : paths) {
      base.Put(path, 1.0);
      now.Put(path, rises(path) ? 2.0 : 0.5);
    }
  }
  base.Put("stages.only_before.p50_seconds", 1.0);
  const Comparison comparison = CompareStored(base, now, 0.05);
  EXPECT_EQ(comparison.figures.size(), std::size(judged) + std::size(told));
  for (const char* path : judged) EXPECT_EQ(VerdictOf(comparison, path), Compared::Verdict::kWorse) << path;
  for (const char* path : told) EXPECT_EQ(VerdictOf(comparison, path), Compared::Verdict::kTold) << path;
}

TEST(CompareTest, AStageThatGrewByLessThanAnyoneFeelsIsTheSame) {
  BenchDocument base, now;
  base.Put("stages.queue.p50_seconds", 5e-6);
  now.Put("stages.queue.p50_seconds", 20e-6);
  EXPECT_FALSE(CompareStored(base, now, 0.05).Regressed());
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
