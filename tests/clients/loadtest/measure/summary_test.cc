#include "loadtest/measure/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kMilli = 1'000'000;

// One round: a steady part of half a second and a burst of as much.
Measured Once() {
  Measured measured;
  RoundOutcome round;
  round.steady_part.began = 0;
  round.steady_part.ended = 499 * kMilli;
  round.burst_part.began = 1000 * kMilli;
  round.burst_part.ended = 1499 * kMilli;
  round.burst.observations = 100;
  round.burst.payload_bytes = 1000;
  round.burst.seconds = 0.5;
  measured.rounds.push_back(round);
  return measured;
}

TEST(SummaryTest, RecallsHaveTheirLatencyOverTimeInEachSlot) {
  Measured measured = Once();
  for (int i = 1; i <= 100; ++i) {
    // All within the first quarter of a second, from the slowest on.
    measured.rounds[0].steady.recalls.push_back({i * kMilli, 1, (101 - i) * kMilli});
  }
  const BenchDocument document = Summarise(BenchPlan(), measured);
  const Json &p50 = *document.Find("series.recall_p50_seconds"), &p99 = *document.Find("series.recall_p99_seconds");
  ASSERT_EQ(p50.size(), 4u);
  EXPECT_DOUBLE_EQ(p50[0].get<double>(), 0.050);
  EXPECT_DOUBLE_EQ(p99[0].get<double>(), 0.099);
  // Nothing was recalled then, and nothing in a burst.
  for (size_t i = 1; i < 4; ++i) EXPECT_TRUE(p50[i].is_null()) << i;
}

TEST(SummaryTest, CopiesAreThoseOutOfTheTransportIntoTheGroupAndIntoTheKernel) {
  Measured measured = Once();
  measured.rounds[0].burst_part.moved = MetricPage(
      "engram_pool_copied_bytes_total 1100\nengram_journal_bytes_total 1050\nengram_journal_payload_bytes_total 1000\n"
      "engram_journal_syncs_total 2\n");
  const BenchDocument document = Summarise(BenchPlan(), measured);
  EXPECT_DOUBLE_EQ(*document.Number("resources.copies_per_observation"), 3.2);
  EXPECT_DOUBLE_EQ(*document.Number("resources.written_per_byte"), 1.05);
}

TEST(SummaryTest, WithoutAJournalTheCopiesAreUnknown) {
  const BenchDocument document = Summarise(BenchPlan(), Once());
  const Json* copies = document.Find("resources.copies_per_observation");
  ASSERT_NE(copies, nullptr);
  EXPECT_TRUE(copies->is_null());
}

TEST(SummaryTest, WhatIsJudgedHasItsValueInEachRound) {
  Measured measured = Once();
  measured.rounds.push_back(measured.rounds[0]);
  for (size_t i = 0; i < 2; ++i) {
    measured.rounds[i].steady.acknowledged_per_second = 100.0 * static_cast<double>(i + 1);
    measured.rounds[i].burst_part.moved =
        MetricPage(i == 0 ? "engram_pool_copied_bytes_total 100\nengram_journal_bytes_total 100\n"
                            "engram_journal_payload_bytes_total 100\nengram_journal_syncs_total 2\n"
                          : "engram_pool_copied_bytes_total 200\nengram_journal_bytes_total 100\n"
                            "engram_journal_payload_bytes_total 100\nengram_journal_syncs_total 2\n");
  }
  measured.quality.latency.Record(kMilli);
  measured.quality.mean = 0.85;
  measured.quality.shares = {1, 0.8, 0.9, 0.7};
  const BenchDocument document = Summarise(BenchPlan(), measured);
  EXPECT_THAT(document.Rounds("throughput.kept_per_second"), ElementsAre(100, 200));
  EXPECT_THAT(document.Rounds("resources.copies_per_observation"), ElementsAre(3, 4));
  // Every second cue.
  EXPECT_THAT(document.Rounds("recall.at_10"),
              ElementsAre(::testing::DoubleEq(0.95), ::testing::DoubleEq(0.75)));
}

TEST(SummaryTest, ALatencyThatIsMissingInOneRoundHasNoRounds) {
  Measured measured = Once();
  measured.rounds.push_back(measured.rounds[0]);
  for (RoundOutcome& round : measured.rounds) round.steady.observe.Record(kMilli);
  measured.rounds[0].steady.recall.Record(kMilli);
  const BenchDocument document = Summarise(BenchPlan(), measured);
  EXPECT_EQ(document.Rounds("latency.observe.p50_seconds").size(), 2u);
  EXPECT_TRUE(document.Number("latency.recall.p50_seconds").has_value());
  EXPECT_TRUE(document.Rounds("latency.recall.p50_seconds").empty());
}

TEST(SummaryTest, PressureThatIsOverIsNoEventOfItsOwn) {
  Measured measured = Once();
  measured.rounds[0].burst_part.moved =
      MetricPage("engram_streaming_backpressure_activations_total{memory_space=\"a\",level=\"warning\"} 3\n"
                 "engram_streaming_backpressure_activations_total{memory_space=\"a\",level=\"critical\"} 1\n"
                 "engram_streaming_backpressure_activations_total{memory_space=\"a\",level=\"normal\"} 3\n");
  EXPECT_EQ(Summarise(BenchPlan(), measured).Number("scheduling.pressure_events"), 4);
}

}  // namespace
}  // namespace engram
