#include "loadtest/measure/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace engram {
namespace {

constexpr const char* kRate = "throughput.observations_per_second";

// A figure as a report has it: one of all rounds together, here the largest, and each round's.
void Put(BenchDocument& document, const std::string& path, const std::vector<double>& rounds) {
  document.Put(path, *std::max_element(rounds.begin(), rounds.end()));
  document.PutRounds(path, rounds);
}

BenchDocument With(const std::vector<double>& rates, double sink = 1000) {
  BenchDocument document;
  Put(document, kRate, rates);
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

TEST(CompareTest, AMachineThatIsAnotherLeavesOpenWhatItMayExplainAndNothingElse) {
  BenchDocument base = With({100, 101, 102, 101}, 1000), now = With({75, 76, 77, 76}, 700);
  Put(base, "recall.at_10", {0.99, 0.98, 0.99, 0.99});
  Put(now, "recall.at_10", {0.99, 0.98, 0.99, 0.99});
  Comparison comparison = CompareStored(base, now, 0.05);
  EXPECT_EQ(VerdictOf(comparison, kRate), Compared::Verdict::kMachine);
  EXPECT_EQ(VerdictOf(comparison, "recall.at_10"), Compared::Verdict::kSame);
  EXPECT_TRUE(comparison.Incomparable());
  EXPECT_FALSE(comparison.Regressed());
  Put(now, "recall.at_10", {0.7, 0.71, 0.7, 0.7});
  EXPECT_TRUE(CompareStored(base, now, 0.05).Regressed());
  PutComparison(comparison, "before", now);
  EXPECT_EQ(*now.Find("comparison.incomparable"), true);
  EXPECT_EQ((*now.Find("comparison.machine"))[0]["limit"], "grpc_sink");
  EXPECT_EQ((*now.Find("comparison.machine"))[0]["comparable"], false);
}

TEST(CompareTest, AMachineThatIsAnotherExcusesNoMoreThanItMoved) {
  // A quarter faster, and the throughput fell by more than two thirds.
  EXPECT_TRUE(CompareStored(With({100, 101, 102, 101}, 1000), With({30, 31, 30, 30}, 1250), 0.05).Regressed());
  // A quarter slower, and the same.
  EXPECT_TRUE(CompareStored(With({100, 101, 102, 101}, 1000), With({30, 31, 30, 30}, 750), 0.05).Regressed());
  // Twice as fast, and the throughput did not follow: whether it should have nobody knows.
  EXPECT_TRUE(CompareStored(With({100, 101, 102, 101}, 1000), With({100, 101, 102, 101}, 2000), 0.05).Incomparable());
  const Comparison better = CompareStored(With({100, 101, 102, 101}, 1000), With({300, 301, 302, 301}, 1300), 0.05);
  EXPECT_EQ(VerdictOf(better, kRate), Compared::Verdict::kBetter);
  EXPECT_FALSE(better.Incomparable());
}

TEST(CompareTest, WithoutSyncsAcknowledgementsDoNotHangOnTheDisk) {
  for (const char* path : {"latency.observe.p50_seconds", "latency.durable.p99_seconds", "latency.indexed.p50_seconds"}) {
    // A little slower, and so is the disk, but not the sink.
    const auto report = [&](const char* durability, double seconds, double disk) {
      BenchDocument document;
      Put(document, path, {seconds, seconds, seconds});
      document.Put("config.durability", durability);
      document.Put("limits.disk_sync.observations_per_second", disk);
      document.Put("limits.grpc_sink.observations_per_second", 1000);
      return document;
    };
    const auto judged = [&](const char* durability) {
      return VerdictOf(CompareStored(report(durability, 0.0100, 1000), report(durability, 0.0115, 850), 0.05), path);
    };
    EXPECT_EQ(judged("fsync"), Compared::Verdict::kSame) << path;
    EXPECT_EQ(judged("memory"), Compared::Verdict::kWorse) << path;
  }
}

TEST(CompareTest, WhatOtherFiguresDoNotShowIsJudgedAndTheRestIsTold) {
  BenchDocument base, now;
  const char* judged[] = {"throughput.observations_per_second", "throughput.kept_per_second", "latency.durable.p50_seconds",
                          "latency.recall.p99_seconds", "recall.at_10", "resources.daemon_cpu_seconds_per_million",
                          "resources.copies_per_observation"};
  const char* told[] = {"throughput.bytes_per_second", "latency.durable.p90_seconds", "latency.observe.p95_seconds",
                        "latency.recall.p999_seconds", "latency.recall.max_seconds", "stages.queue.p50_seconds",
                        "stages.queue.p99_seconds", "recall.min_at_10", "resources.peak_memory_bytes"};
  const auto rises = [](std::string_view path) {
    return path.starts_with("latency") || path.starts_with("stages") || path.starts_with("resources");
  };
  for (const auto& paths : {std::span<const char*>(judged), std::span<const char*>(told)}) {
    for (const char* path : paths) {
      Put(base, path, {1, 1.01, 1});
      Put(now, path, rises(path) ? std::vector<double>{4, 4.04, 4} : std::vector<double>{0.25, 0.2525, 0.25});
    }
  }
  base.Put("stages.only_before.p50_seconds", 1.0);
  const Comparison comparison = CompareStored(base, now, 0.05);
  EXPECT_EQ(comparison.figures.size(), std::size(judged) + std::size(told));
  EXPECT_EQ(comparison.judged, std::size(judged));
  for (const char* path : judged) EXPECT_EQ(VerdictOf(comparison, path), Compared::Verdict::kWorse) << path;
  for (const char* path : told) EXPECT_EQ(VerdictOf(comparison, path), Compared::Verdict::kTold) << path;
}

TEST(CompareTest, WhatHasNoRoundsIsTold) {
  BenchDocument base, now;
  base.Put("recall.at_10", 0.99);
  now.Put("recall.at_10", 0.5);
  EXPECT_EQ(VerdictOf(CompareStored(base, now, 0.05), "recall.at_10"), Compared::Verdict::kTold);
}

TEST(CompareTest, OneStallInOneRoundDoesNotDecide) {
  constexpr const char* kLatency = "latency.recall.p99_seconds";
  BenchDocument base, now;
  Put(base, kLatency, {0.0100, 0.0102, 0.0101, 0.0100, 0.0101, 0.0099, 0.0100, 0.0101, 0.0100, 0.0102});
  Put(now, kLatency, {0.0101, 0.0100, 0.0102, 0.5000, 0.0101, 0.0099, 0.0101, 0.0100, 0.0101, 0.0102});
  const Comparison comparison = CompareStored(base, now, 0.05);
  EXPECT_FALSE(comparison.Regressed());
  ASSERT_EQ(comparison.figures.size(), 1u);
  EXPECT_NEAR(comparison.figures[0].ratio, 1, 0.02);
  EXPECT_NEAR(comparison.figures[0].now, 0.0101, 1e-9);
  // Told all the same.
  EXPECT_EQ(comparison.figures[0].now_whole, 0.5);
  PutComparison(comparison, "before", now);
  EXPECT_EQ((*now.Find("comparison.figures"))[0]["now_whole"], 0.5);
}

TEST(CompareTest, AFallToAlmostNothingIsNoChance) {
  // However much few rounds differ; and a fall to nothing has a ratio, too.
  const BenchDocument base = With({100, 160, 60}), little = With({1, 3, 2}), nothing = With({0, 0, 0});
  EXPECT_TRUE(CompareStored(base, little, 0.05).Regressed());
  EXPECT_TRUE(CompareAlternating(base, little, 0.05).Regressed());
  EXPECT_TRUE(CompareStored(base, nothing, 0.05).Regressed());
}

TEST(CompareTest, AThresholdIsAFactorEitherWay) {
  EXPECT_TRUE(CompareStored(With({100, 100, 100}), With({50, 50, 50}), 0.9).Regressed());
  EXPECT_FALSE(CompareStored(With({100, 100, 100}), With({51, 51, 51}), 1.0).Regressed());
}

TEST(CompareTest, RoundsThatTookTurnsAreComparedPairByPair) {
  // Both drift together by a factor of two; each round of one is a tenth below the other's.
  const Comparison comparison =
      CompareAlternating(With({100, 140, 200, 160}), With({90, 126, 180, 144}), 0.05);
  EXPECT_TRUE(comparison.Regressed());
  EXPECT_NEAR(comparison.figures.front().ratio, 0.9, 1e-9);
  EXPECT_FALSE(CompareAlternating(With({100, 140, 200, 160}), With({90, 160, 170, 170}), 0.05).Regressed());
  // The median of the ratios, not their mean.
  EXPECT_NEAR(CompareAlternating(With({100, 140, 200}), With({10, 140, 200}), 0.05).figures.front().ratio, 1, 1e-9);
}

TEST(CompareTest, OfLatenciesLessIsBetter) {
  BenchDocument before, now;
  Put(before, "latency.recall.p50_seconds", {0.001, 0.001, 0.001});
  Put(now, "latency.recall.p50_seconds", {0.002, 0.002, 0.002});
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
