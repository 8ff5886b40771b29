// How many observations may wait to be linked, and who waits when there are that many.
#include "core/recall_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/core/metrics/gates.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/inline_executor.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

std::vector<TestObservation> Some(size_t count, const std::string& prefix) {
  std::vector<TestObservation> observations;
  for (size_t i = 0; i < count; ++i) {
    observations.push_back({.id = prefix + std::to_string(i), .embedding = {1, 0.001f * static_cast<float>(i)}});
  }
  return observations;
}

TEST(RowCostTest, OneUnluckyRecallMovesItByAnEighthAndManyAllTheWay) {
  EXPECT_EQ(NextRowCost(0, 30), 30);
  EXPECT_EQ(NextRowCost(8, 16), 9);
  EXPECT_EQ(NextRowCost(8, 1e9), 9);
  EXPECT_EQ(NextRowCost(8, 0), 7.5);
  double cost = 8;
  for (int i = 0; i < 200; ++i) cost = NextRowCost(cost, 800);
  EXPECT_NEAR(cost, 800, 1);
  for (int i = 0; i < 200; ++i) cost = NextRowCost(cost, 8);
  EXPECT_NEAR(cost, 8, 0.1);
}

TEST(BacklogBoundTest, IsTheBudgetOverTheCostOfARow) {
  EXPECT_EQ(BacklogBound(milliseconds(0), 10), 0u);
  EXPECT_EQ(BacklogBound(milliseconds(2), 10), 200'000u);
  EXPECT_EQ(BacklogBound(milliseconds(4), 10), 400'000u);
  EXPECT_EQ(BacklogBound(milliseconds(2), 1e9), kLeastBacklogBound);
  EXPECT_EQ(BacklogBound(milliseconds(60'000), 1e-9), kNoOrdinal);
}

TEST(LinkTurnTest, IsLongForADeepBacklog) {
  EXPECT_EQ(TurnLength(1), 32u);
  EXPECT_EQ(TurnLength(6400), 100u);
  EXPECT_EQ(TurnLength(1'000'000), 512u);
}

TEST(SpaceBacklogTest, ThoseOnTheirWayInCountUntilTheyHaveEntered) {
  SpaceBacklog backlog;
  EXPECT_TRUE(backlog.TryEnter(60, 0, 100));
  EXPECT_TRUE(backlog.TryEnter(60, 0, 100));
  EXPECT_FALSE(backlog.TryEnter(1, 0, 100));
  backlog.Entered(60);
  EXPECT_TRUE(backlog.TryEnter(1, 39, 100));
  EXPECT_FALSE(backlog.TryEnter(1, 39, 100));
}

TEST(SpaceBacklogTest, TheLevelRisesBeforeTheBoundAndIsNormalWithoutOne) {
  SpaceBacklog backlog;
  EXPECT_EQ(backlog.UpdateLevel(49, 100), std::nullopt);
  EXPECT_EQ(backlog.UpdateLevel(50, 100), PressureLevel::kWarning);
  EXPECT_EQ(backlog.UpdateLevel(80, 100), PressureLevel::kCritical);
  EXPECT_EQ(backlog.UpdateLevel(95, 100), PressureLevel::kOverloaded);
  EXPECT_EQ(backlog.UpdateLevel(95, 100), std::nullopt);
  EXPECT_EQ(backlog.UpdateLevel(95, 0), PressureLevel::kNormal);
}

// A space of two dimensions with `rows` rows, linked from 101 on.
class RecallBudgetTest : public ::testing::Test {
 protected:
  std::shared_ptr<Space> MakeSpace(const std::string& name, size_t rows) {
    Space::Origin origin;
    origin.name = name;
    origin.id = 1;
    origin.config.flat_threshold = 100;
    origin.config.max_connections = 16;
    origin.config.ef_construction = 50;
    origin.config.ef_search = 50;
    origin.config.dimension = 2;
    auto space = std::make_shared<Space>(origin, 0, metrics_.AddSpace(name));
    const ObservationBatch batch = MakeBatch(Some(rows, "r"));
    space->Apply(batch.observations, 2, {});
    return space;
  }

  Metrics metrics_{1, 10};
  FakeClock clock_;
  InlineExecutor executor_;
  Linker linker_{&executor_, &clock_, [](Space&, const LinkedTurn&) {}, [] { return UINT64_MAX; }};
  RecallBudget budget_{milliseconds(1), &linker_, &clock_, &metrics_};
};

TEST_F(RecallBudgetTest, TheBoundFollowsWhatRecallsOfTheSpaceTake) {
  const auto space = MakeSpace("s", 200);
  EXPECT_EQ(budget_.Read(*space).backlog, 200u);
  for (int i = 0; i < 100; ++i) budget_.NoteScan(*space, 2000, nanoseconds(200'000));
  EXPECT_NEAR(static_cast<double>(budget_.Read(*space).bound), 1e6 / 100, 100);
  budget_.Tune(milliseconds(0));
  EXPECT_EQ(budget_.Read(*space).bound, 0u);
}

TEST_F(RecallBudgetTest, ASpaceThatNobodyRecalledIsBoundedByWhatOthersTake) {
  const auto recalled = MakeSpace("recalled", 200);
  const auto silent = MakeSpace("silent", 200);
  const uint64_t before = budget_.Read(*silent).bound;
  for (int i = 0; i < 100; ++i) budget_.NoteScan(*recalled, 2000, nanoseconds(200'000));
  EXPECT_GT(before, 100'000u);
  EXPECT_NEAR(static_cast<double>(budget_.Read(*silent).bound), 1e6 / 100, 100);
}

TEST_F(RecallBudgetTest, ShortScansSayNothing) {
  const auto space = MakeSpace("s", 200);
  const uint64_t before = budget_.Read(*space).bound;
  for (int i = 0; i < 100; ++i) budget_.NoteScan(*space, 200, nanoseconds(200'000));
  EXPECT_EQ(budget_.Read(*space).bound, before);
}

TEST_F(RecallBudgetTest, ThereIsNoBoundWhereWaitingWouldNotHelp) {
  EXPECT_EQ(budget_.Read(*MakeSpace("flat", 100)).bound, 0u);
  const auto space = MakeSpace("s", 200);
  EXPECT_GT(budget_.Read(*space).bound, 0u);
  space->NoteLinkingStalled(true);
  EXPECT_EQ(budget_.Read(*space).bound, 0u);
  space->NoteLinkingStalled(false);
  ASSERT_TRUE(space->ClaimLinking());
  EXPECT_EQ(budget_.Read(*space).bound, 0u);
  space->ReleaseLinking();
  EXPECT_GT(budget_.Read(*space).bound, 0u);
}

TEST_F(RecallBudgetTest, WhoIsRefusedIsToldWhenToComeBack) {
  const auto space = MakeSpace("s", 200);
  for (int i = 0; i < 400; ++i) budget_.NoteScan(*space, 2000, std::chrono::milliseconds(100));
  const uint64_t bound = budget_.Read(*space).bound;
  ASSERT_EQ(bound, kLeastBacklogBound);
  // What is on its way in fills it, while the backlog is far from any level.
  ASSERT_TRUE(budget_.TryEnter(*space, bound));
  ASSERT_FALSE(budget_.TryEnter(*space, 1));
  ASSERT_FALSE(budget_.NoteBacklog(*space));
  const RecallBudget::Refused refused = budget_.Refusal(*space);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status));
  EXPECT_GE(refused.retry_after.count(), 1000);
}

TEST_F(RecallBudgetTest, WhileWritersAreHeldTheirSpaceIsLinkedAmongTheBatches) {
  struct Watched final : Executor {
    void Submit(WorkClass work_class, Task) override { classes.push_back(work_class); }
    void RunHigh(const Task&) override {}
    void AwaitIdle() override {}
    std::vector<WorkClass> classes;
  } watched;
  Linker linker(&watched, &clock_, [](Space&, const LinkedTurn&) {}, [] { return UINT64_MAX; });
  const auto relaxed = MakeSpace("relaxed", 200);
  const auto held = MakeSpace("held", 200);
  held->backlog().Hold();
  linker.Schedule(relaxed);
  linker.Schedule(held);
  EXPECT_THAT(watched.classes, ::testing::ElementsAre(WorkClass::kLow, WorkClass::kNormal));
}

// Stands still, or goes on by `tick` at each look, so that recalls seem to take their time.
class TickingClock final : public Clock {
 public:
  MonotonicTime Now() const override {
    gone_.fetch_add(tick.load());
    return still_.Now() + nanoseconds(gone_.load());
  }
  int64_t WallMicros() const override { return still_.WallMicros(); }
  bool WaitUntil(CondVar& cv, Mutex& mu, MonotonicTime deadline) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return still_.WaitUntil(cv, mu, deadline);
  }
  void Advance(Duration by) { still_.Advance(by); }
  void AwaitWaiters(size_t count) { still_.AwaitWaiters(count); }

  // Nanoseconds. Atomic: set while others look.
  std::atomic<int64_t> tick{0};

 private:
  FakeClock still_;
  mutable std::atomic<int64_t> gone_{0};
};

// A space 'slow' of 9000 observations, none linked, whose recalls take so long that 4096 may wait.
class RecallBudgetEngine : public ::testing::Test {
 protected:
  RecallBudgetEngine() {
    settings_.index_flat_threshold = 100;
    settings_.recall_budget_ms = milliseconds(1);
    engine_ = Engine::Create(std::make_shared<const Settings>(settings_),
                             {.clock = &clock_, .executor = &executor_, .metrics = &metrics_});
    engine_->Start();
    executor_.HoldLinking();
    for (int i = 0; i < 9; ++i) EXPECT_EQ(Observe("slow", Some(1000, "o" + std::to_string(i)))->accepted, 1000u);
    clock_.tick = 10'000'000;
    for (int i = 0; i < 60; ++i) Recall();
    clock_.tick = 0;
    // The clock's own waiter.
    clock_.AwaitWaiters(1);
  }
  ~RecallBudgetEngine() override { executor_.ReleaseLinking(); }

  absl::StatusOr<ObserveOutcome> Observe(const std::string& space, std::vector<TestObservation> observations) {
    return engine_->Observe(space, MakeBatch(std::move(observations)), Priority::kNormal, AckLevel::kDurable,
                            clock_.Now() + std::chrono::hours(1));
  }
  void Recall() {
    RecallQuery query;
    query.space = "slow";
    const std::vector<float> east = {1, 0};
    query.embedding = ViewOf(east);
    query.k = 10;
    const auto answer = engine_->Recall(query, clock_.Now() + std::chrono::hours(1));
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(answer->tail_scanned, 9000u);
  }
  double Gauge(MetricId id) {
    const auto families = metrics_.Collect();
    for (const Metrics::Sample& sample : families[static_cast<size_t>(id)].samples) {
      if (sample.labels[0].second == "slow") return sample.value;
    }
    return -1;
  }
  std::shared_ptr<ObserveStream> Open(Waker& waker) {
    auto stream = engine_->OpenStream({.space = "slow"}, &waker);
    EXPECT_TRUE(stream.ok()) << stream.status();
    return *std::move(stream);
  }
  // Returns once the writer waits, with time standing still.
  std::jthread SubmitAndWait(ObserveStream& stream) {
    std::jthread writer([&] { stream.Submit(1, Priority::kNormal, MakeBatch(Some(20, "late"))); });
    clock_.AwaitWaiters(2);
    return writer;
  }

  Settings settings_;
  Metrics metrics_{settings_.num_workers, 50};
  TickingClock clock_;
  GatedExecutor executor_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(RecallBudgetEngine, AWriterWaitsAtTheBoundAndGoesOnOnceItIsLinked) {
  EXPECT_EQ(Gauge(MetricId::kBacklogBound), static_cast<double>(kLeastBacklogBound));
  EXPECT_EQ(Gauge(MetricId::kLinkBacklog), 9000);
  Waker waker;
  const auto stream = Open(waker);
  std::jthread writer = SubmitAndWait(*stream);
  const StreamProgress waiting = stream->TakeProgress();
  EXPECT_EQ(waiting.received_through, 0u);
  EXPECT_TRUE(waiting.pressure_due);
  EXPECT_EQ(waiting.pressure.level, PressureLevel::kOverloaded);
  EXPECT_EQ(waiting.pressure.depth, 9000u);
  EXPECT_EQ(waiting.pressure.capacity, kLeastBacklogBound);
  EXPECT_EQ(Gauge(MetricId::kBackpressureState), 3);
  // Others are none of its business.
  EXPECT_EQ(Observe("quick", Some(20, "q"))->accepted, 20u);

  executor_.ReleaseLinking();
  writer.join();
  while (!stream->Reached()) ASSERT_TRUE(waker.Await());
  const StreamProgress done = stream->TakeProgress();
  EXPECT_EQ(done.durable_through, 20u);
  EXPECT_THAT(done.rejected, SizeIs(0));
  EXPECT_EQ(metrics_.process().ReadHistogram(MetricId::kBudgetWait).counts[0], 1u);
  double activations = 0;
  const auto families = metrics_.Collect();
  for (const Metrics::Sample& sample : families[static_cast<size_t>(MetricId::kBudgetActivations)].samples) {
    if (sample.labels[0].second == "slow") activations += sample.value;
  }
  EXPECT_GE(activations, 1);
  EXPECT_LE(Gauge(MetricId::kLinkStalls), 0) << "it was slow, and never out of memory";
}

TEST_F(RecallBudgetEngine, WhatWaitedTooLongIsRefusedAndCanBeSentAgain) {
  absl::StatusOr<ObserveOutcome> outcome;
  {
    std::jthread caller([&] { outcome = Observe("slow", Some(20, "late")); });
    clock_.AwaitWaiters(2);
    clock_.Advance(settings_.queue_max_wait + std::chrono::seconds(60));
  }
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->accepted, 0u);
  ASSERT_THAT(outcome->rejected, SizeIs(1));
  EXPECT_EQ(outcome->rejected[0].count, 20u);
  EXPECT_EQ(outcome->rejected[0].status,
            absl::ResourceExhaustedError(
                "9000 observations of space 'slow' wait to be linked, recall.budget_ms 1 allows 4096"));
  EXPECT_GT(outcome->rejected[0].retry_after.count(), 0);
  executor_.ReleaseLinking();
  EXPECT_EQ(Observe("slow", Some(20, "late"))->accepted, 20u);
}

TEST_F(RecallBudgetEngine, ADrainEndsTheWait) {
  Waker waker;
  const auto stream = Open(waker);
  std::jthread writer = SubmitAndWait(*stream);
  engine_->StopAdmitting();
  writer.join();
  const StreamProgress progress = stream->TakeProgress();
  ASSERT_THAT(progress.rejected, SizeIs(1));
  EXPECT_TRUE(absl::IsUnavailable(progress.rejected[0].status)) << progress.rejected[0].status;
}

TEST_F(RecallBudgetEngine, DeletingTheSpaceEndsTheWait) {
  Waker waker;
  const auto stream = Open(waker);
  std::jthread writer = SubmitAndWait(*stream);
  EXPECT_EQ(*engine_->DeleteSpace("slow"), 9000u);
  writer.join();
  EXPECT_TRUE(absl::IsNotFound(stream->TakeProgress().ended));
}

TEST_F(RecallBudgetEngine, ClosingTheStreamEndsTheWait) {
  Waker waker;
  const auto stream = Open(waker);
  std::jthread writer = SubmitAndWait(*stream);
  stream->Close();
}

TEST_F(RecallBudgetEngine, WithoutABudgetNobodyWaits) {
  Waker waker;
  const auto stream = Open(waker);
  std::jthread writer = SubmitAndWait(*stream);
  Settings settings = settings_;
  settings.recall_budget_ms = milliseconds(0);
  engine_->ApplySettings(std::make_shared<const Settings>(settings));
  writer.join();
  EXPECT_EQ(stream->TakeProgress().received_through, 20u);
}

}  // namespace
}  // namespace engram::testing
