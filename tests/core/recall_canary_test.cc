// The recall canary: what it measures, whom it asks, and that it keeps out of the way.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "core/recall_canary.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/inline_executor.h"
#include "tests/support/recording_journal.h"
#include "tests/support/watched_journal.h"

namespace engram::testing {
namespace {

class RecallCanaryTest : public ::testing::Test {
 protected:
  std::shared_ptr<Space> MakeSpace(bool keeps_contents, RecordedLog* log = nullptr) {
    Space::Origin origin;
    origin.name = "s";
    origin.id = 1;
    origin.config.metric = Metric::kCosine;
    origin.config.flat_threshold = 1000;
    origin.config.max_connections = 16;
    origin.config.ef_construction = 100;
    origin.config.dimension = 2;
    origin.keeps_contents = keeps_contents;
    auto space = std::make_shared<Space>(origin, 0, metrics_.AddSpace("s"));
    std::vector<TestObservation> observations;
    for (int i = 0; i < 50; ++i) observations.push_back({"n" + std::to_string(i), {1, 0.01f * static_cast<float>(i)}});
    const ObservationBatch batch = MakeBatch(observations);
    space->Apply(batch.observations, 2, {});
    if (log != nullptr) {
      JournalRecord record;
      record.observations = batch.observations;
      MutexLock lock(log->mu);
      log->records.emplace_back(JournalRecord{});
      log->records.emplace_back(record);
    }
    return space;
  }

  RecallCanaryTest() {
    space_ = MakeSpace(true);
    request_.query = query_;
    request_.k = 10;
    view_ = space_->index()->Pin();
    request_.exact = true;
    found_ = space_->index()->Search(request_, view_);
    request_.exact = false;
    found_.exact = false;
  }

  void Consider() { canary_.Consider(space_, {}, std::nullopt, request_, view_, found_); }
  uint64_t checks() { return space_->series().Count(MetricId::kRecallCanaryChecks); }

  Metrics metrics_{1, 10};
  FakeClock clock_;
  InlineExecutor executor_;
  std::shared_ptr<Space> space_;
  const std::vector<float> query_ = {1, 0};
  SearchRequest request_;
  IndexView view_;
  SearchResult found_;
  RecallCanary canary_{&executor_, &clock_, nullptr};
};

TEST_F(RecallCanaryTest, MeasuresTheShareOfTheTrueHits) {
  canary_.Tune(1);
  Consider();
  executor_.RunAll();
  ASSERT_TRUE(space_->canary().Read());
  EXPECT_EQ(space_->canary().Read()->mean, 1);
  found_.hits[3] = {40, 0.5f};
  found_.hits[7] = {41, 0.5f};
  Consider();
  executor_.RunAll();
  EXPECT_EQ(checks(), 2u);
  EXPECT_FLOAT_EQ(static_cast<float>(space_->canary().Read()->mean), 0.9f);
  EXPECT_FLOAT_EQ(static_cast<float>(space_->canary().Read()->least), 0.8f);
}

TEST_F(RecallCanaryTest, WhatDiesAfterTheWalkCountsForIt) {
  canary_.Tune(1);
  Consider();
  space_->index()->Forget("n0");
  space_->index()->Forget("n5");
  executor_.RunAll();
  EXPECT_EQ(space_->canary().Read()->mean, 1);
}

TEST_F(RecallCanaryTest, WhichOfEqualsWereFoundIsNoMiss) {
  std::vector<TestObservation> equals;
  for (int i = 0; i < 30; ++i) equals.push_back({"same" + std::to_string(i), {2, 0}});
  const ObservationBatch batch = MakeBatch(equals);
  space_->Apply(batch.observations, 3, {});
  view_ = space_->index()->Pin();
  request_.k = 30;
  request_.exact = true;
  found_ = space_->index()->Search(request_, view_);
  found_.exact = request_.exact = false;
  // Fifteen of 31 that are the same, where ten were asked for, and none of those that an exact recall would have had.
  request_.k = 10;
  found_.hits.erase(found_.hits.begin(), found_.hits.begin() + 15);
  canary_.Tune(1);
  Consider();
  executor_.RunAll();
  ASSERT_TRUE(space_->canary().Read());
  EXPECT_EQ(space_->canary().Read()->mean, 1);
}

TEST_F(RecallCanaryTest, WhatCannotBeReadAnyMoreIsNoMiss) {
  const auto log = std::make_shared<RecordedLog>();
  const auto reads = std::make_shared<WatchedReads>();
  absl::Status of_the_best;
  reads->answer = [&](RecordAddress address) { return address.place < 5 ? of_the_best : absl::OkStatus(); };
  const WatchedJournal journal(std::make_unique<RecordingJournal>(log), reads);
  RecallCanary canary(&executor_, &clock_, &journal);
  canary.Tune(1);
  space_ = MakeSpace(false, log.get());
  view_ = space_->index()->Pin();
  for (const absl::Status& status : {absl::NotFoundError("rewritten away"), absl::DataLossError("damaged"), absl::OkStatus()}) {
    EXPECT_EQ(checks(), 0u);
    of_the_best = status;
    canary.Consider(space_, {}, std::nullopt, request_, view_, found_);
    executor_.RunAll();
  }
  EXPECT_EQ(checks(), 1u);
  EXPECT_EQ(space_->canary().Read()->mean, 1);
}

TEST_F(RecallCanaryTest, AsksNobodyTwiceAtOnceAndNobodyAtRateZero) {
  Consider();
  EXPECT_EQ(executor_.queued(), 0u);
  canary_.Tune(1);
  Consider();
  Consider();
  EXPECT_EQ(executor_.queued(), 1u);
  executor_.RunAll();
  Consider();
  EXPECT_EQ(executor_.queued(), 1u) << "the clock stands, so the check took no time and no rest follows";
  executor_.RunAll();
}

TEST_F(RecallCanaryTest, AnExactAnswerIsNotChecked) {
  canary_.Tune(1);
  found_.exact = true;
  Consider();
  EXPECT_EQ(executor_.queued(), 0u);
  found_.exact = false;
  request_.exact = true;
  Consider();
  EXPECT_EQ(executor_.queued(), 0u);
}

TEST_F(RecallCanaryTest, ChecksAboutTheShareItIsTuned) {
  canary_.Tune(0.1);
  for (int i = 0; i < 2000; ++i) {
    Consider();
    executor_.RunAll();
  }
  EXPECT_GT(checks(), 120u);
  EXPECT_LT(checks(), 280u);
}

class RecallCanaryEngineTest : public EngineFixture {};

TEST_F(RecallCanaryEngineTest, AGraphThatIsTooNarrowShowsInTheMetrics) {
  settings_.recall_canary_rate = 1;
  SpaceConfig config;
  config.dimension = 32;
  config.max_connections = 4;
  config.ef_construction = 16;
  config.flat_threshold = 0;
  ASSERT_TRUE(engine().CreateSpace("s", config).ok());
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  const auto vector = [&] {
    std::vector<float> v(32);
    for (float& x : v) x = normal(random);
    return v;
  };
  for (int i = 0; i < 3000; i += 500) {
    std::vector<TestObservation> batch;
    for (int j = 0; j < 500; ++j) batch.push_back({std::to_string(i + j), vector()});
    MustObserve("s", std::move(batch));
  }
  while (engine().GetSpace("s")->linked < 3000) std::this_thread::yield();
  const auto recall = [&](bool exact) {
    const std::vector<float> cue = vector();
    RecallQuery query;
    query.space = "s";
    query.embedding = ViewOf(cue);
    query.k = 10;
    query.ef = 10;
    query.exact = exact;
    EXPECT_TRUE(engine().Recall(query, Soon()).ok());
  };
  const auto sample = [&](MetricId id) -> std::optional<double> {
    for (const Metrics::Family& family : metrics().Collect()) {
      if (family.row->id != id) continue;
      for (const Metrics::Sample& s : family.samples) {
        if (s.labels.front().second == "s") return s.value;
      }
    }
    return std::nullopt;
  };
  recall(true);
  EXPECT_EQ(sample(MetricId::kRecallCanaryMean), std::nullopt) << "no alarm before anything was measured";
  const MonotonicTime end = Soon();
  while (sample(MetricId::kRecallCanaryChecks).value_or(0) < 20 && real_clock_.Now() < end) recall(false);
  ASSERT_GE(sample(MetricId::kRecallCanaryChecks), 20);
  EXPECT_LT(sample(MetricId::kRecallCanaryMean), 0.9) << "what the alert looks for";
  EXPECT_GT(sample(MetricId::kRecallCanaryMean), 0.1);
  EXPECT_LE(sample(MetricId::kRecallCanaryLeast), sample(MetricId::kRecallCanaryMean));
}

}  // namespace
}  // namespace engram::testing
