// The engine counts what happened: every metric it moves, exactly, with the queue standing still where that is needed.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "tests/core/metrics/asserted_metrics.h"
#include "tests/core/metrics/gates.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/fake_clock.h"

namespace engram::testing {
namespace {

// What tests/server/metrics_end_to_end_test.cc, process_gauges_test.cc, ../recall_follow_test.cc, ../recall_canary_test.cc, ../trace/engine_trace_test.cc have.
[[maybe_unused]] const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new EveryRowIsAsserted({
    MetricId::kStage, MetricId::kBacklogBound, MetricId::kBudgetActivations, MetricId::kBudgetWait, MetricId::kLinkStalls,
    MetricId::kRecallFollowers, MetricId::kRecallFollowHits, MetricId::kRecallFollowLag,
    MetricId::kRecallCanaryChecks, MetricId::kRecallCanaryMean, MetricId::kRecallCanaryLeast,
    MetricId::kPoolReuses, MetricId::kPoolFallbacks, MetricId::kPoolBytes,
    MetricId::kJournalBytes,
    MetricId::kJournalSyncs,
    MetricId::kJournalSync,
    MetricId::kJournalPrepared,
    MetricId::kJournalSpares,
    MetricId::kJournalSegments,
    MetricId::kJournalDisk,
    MetricId::kJournalWaiting,
    MetricId::kJournalDefects,
    MetricId::kJournalRewritten,
    MetricId::kJournalFreed,
    MetricId::kCheckpoints,
    MetricId::kCheckpointBytes,
    MetricId::kProcessCpu,
    MetricId::kProcessResident,
    MetricId::kProcessVirtual,
    MetricId::kProcessFds,
    MetricId::kProcessMaxFds,
    MetricId::kProcessThreads,
    MetricId::kProcessStart,
}));

// What one observation of two dimensions without a text weighs in the queue.
constexpr double kQueuedBytes = sizeof(ObservationView) + 2 * sizeof(float);

class EngineMetrics : public ::testing::Test {
 protected:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  EngineMetrics() {
    settings_.num_workers = 1;
    settings_.queue_capacity = 1000;
    settings_.queue_high_priority_ratio = 0.1;
    settings_.queue_max_wait = std::chrono::microseconds(0);
    settings_.steal_threshold = 100;
  }
  ~EngineMetrics() override {
    journal().gate.Open();
    executor_.recalls.Open();
    executor_.ReleaseLinking();
  }

  Engine& engine() {
    if (engine_ == nullptr) {
      metrics_.emplace(settings_.num_workers, 50);
      auto journal = std::make_unique<GatedJournal>(clock_);
      journal_ = journal.get();
      EngineDeps deps;
      deps.clock = clock_;
      deps.executor = &executor_;
      deps.metrics = &*metrics_;
      deps.journal = std::move(journal);
      engine_ = Engine::Create(std::make_shared<const Settings>(settings_), std::move(deps));
      engine_->Start();
    }
    return *engine_;
  }
  GatedJournal& journal() {
    engine();
    return *journal_;
  }

  std::shared_ptr<ObserveStream> Open(const std::string& space) {
    auto stream = engine().OpenStream({.space = space}, &waker_);
    EXPECT_TRUE(stream.ok()) << stream.status();
    return *stream;
  }
  static ObservationBatch Observations(size_t count) {
    std::vector<TestObservation> observations;
    for (size_t i = 0; i < count; ++i) {
      const auto angle = static_cast<float>(i);
      observations.push_back({.embedding = {std::cos(angle), std::sin(angle)}});
    }
    return MakeBatch(std::move(observations));
  }
  void MustObserve(const std::string& space, ObservationBatch batch, Priority priority = Priority::kNormal) {
    const auto outcome = engine().Observe(space, std::move(batch), priority, AckLevel::kDurable, Soon());
    EXPECT_TRUE(outcome.ok()) << outcome.status();
  }
  absl::StatusOr<RecallAnswer> Recall(const std::string& space, const std::vector<float>& vector, uint32_t k) {
    RecallQuery query;
    query.space = space;
    query.embedding = ViewOf(vector);
    query.k = k;
    return engine().Recall(query, Soon());
  }
  // Everything accepted is committed or refused, and no worker counts any more.
  void Drain() {
    ASSERT_TRUE(engine().AwaitDrained(Soon()));
    executor_.AwaitIdle();
  }

  void Scrape() {
    engine();
    families_ = metrics_->Collect();
  }
  const Metrics::Sample* Find(MetricId id, const Labels& labels) {
    for (const Metrics::Sample& sample : families_[static_cast<size_t>(id)].samples) {
      if (sample.labels == labels) return &sample;
    }
    ADD_FAILURE() << RowOf(id).name << " has no such sample";
    return nullptr;
  }
  // Of the last scrape. A metric counts as asserted once it was seen off zero.
  void Expect(MetricId id, const Labels& labels, double value) {
    const Metrics::Sample* sample = Find(id, labels);
    if (sample == nullptr) return;
    EXPECT_DOUBLE_EQ(sample->value, value) << RowOf(id).name << " " << ::testing::PrintToString(labels);
    if (value != 0) AssertedMetrics().insert(id);
  }
  void ExpectCount(MetricId id, const Labels& labels, uint64_t count) {
    const Metrics::Sample* sample = Find(id, labels);
    if (sample == nullptr) return;
    uint64_t sum = 0;
    for (const uint64_t n : sample->counts) sum += n;
    EXPECT_EQ(sum, count) << RowOf(id).name << " " << ::testing::PrintToString(labels);
    if (count != 0) AssertedMetrics().insert(id);
  }
  static Labels Space(const std::string& name) { return {{"memory_space", name}}; }
  static Labels Space(const std::string& name, const std::string& label, const std::string& value) {
    return {{"memory_space", name}, {label, value}};
  }
  static Labels WorkerLabels(size_t index) { return {{"worker_id", std::to_string(index)}}; }

  // Before the first use of engine().
  Settings settings_;
  RealClock real_clock_;
  // The engine outlives the test's body, so a clock it uses lives here.
  FakeClock fake_clock_;
  Clock* clock_ = &real_clock_;

  Waker waker_;
  GatedExecutor executor_;

 private:
  std::optional<Metrics> metrics_;
  GatedJournal* journal_ = nullptr;
  std::unique_ptr<Engine> engine_;
  std::vector<Metrics::Family> families_;
};

TEST_F(EngineMetrics, ObservationsByPriorityTheirTimesAndTheJournal) {
  MustObserve("alpha", Observations(30));
  MustObserve("alpha", Observations(12), Priority::kHigh);
  MustObserve("beta", Observations(5));
  Drain();
  Scrape();
  Expect(MetricId::kObservations, Space("alpha", "priority", "normal"), 30);
  Expect(MetricId::kObservations, Space("alpha", "priority", "high"), 12);
  Expect(MetricId::kObservations, Space("beta", "priority", "normal"), 5);
  Expect(MetricId::kObservations, Space("other", "priority", "normal"), 0);
  for (const MetricId id : {MetricId::kObservationLatency, MetricId::kTimeToDurable, MetricId::kTimeToSearchable}) {
    ExpectCount(id, Space("alpha"), 42);
    ExpectCount(id, Space("beta"), 5);
  }
  // An observation is durable, then searchable, then acknowledged.
  const double durable = Find(MetricId::kTimeToDurable, Space("alpha"))->sum;
  const double searchable = Find(MetricId::kTimeToSearchable, Space("alpha"))->sum;
  EXPECT_GT(durable, 0);
  EXPECT_GE(searchable, durable);
  EXPECT_GE(Find(MetricId::kObservationLatency, Space("alpha"))->sum, searchable);
  ExpectCount(MetricId::kQueueWait, {{"priority", "normal"}}, 35);
  ExpectCount(MetricId::kQueueWait, {{"priority", "high"}}, 12);
  Expect(MetricId::kJournalRecords, {}, static_cast<double>(journal().records));
  Expect(MetricId::kJournalPayload, {}, static_cast<double>(journal().bytes));
}

TEST_F(EngineMetrics, BatchesAndWhatIsInThem) {
  MustObserve("alpha", Observations(30));
  Drain();  // Now its record is back in the pool.
  MustObserve("alpha", Observations(12));
  Drain();
  Scrape();
  const uint64_t batches = engine().ReadStatus().lanes[0].batches;
  EXPECT_GE(batches, 2u);
  Expect(MetricId::kBatches, WorkerLabels(0), static_cast<double>(batches));
  ExpectCount(MetricId::kBatchSize, WorkerLabels(0), batches);
  EXPECT_EQ(Find(MetricId::kBatchSize, WorkerLabels(0))->sum, 42);
  const double reuses = Find(MetricId::kCommitReuses, {})->value;
  Expect(MetricId::kCommitReuses, {}, std::max(1.0, reuses));
  Expect(MetricId::kCommitFallbacks, {}, static_cast<double>(batches) - reuses);
}

TEST_F(EngineMetrics, RefusalsOfWhatWasSent) {
  FakeClock& clock = fake_clock_;
  clock_ = &clock;
  ASSERT_TRUE(engine().CreateSpace("limited", {.dimension = 2, .max_rate = 20}).ok());
  ASSERT_TRUE(engine().CreateSpace("small", {.dimension = 2, .quota_observations = 10}).ok());
  const auto notes = Open("notes");
  // High, so that workers wake without waiting for time, which stands still.
  notes->Submit(1, Priority::kHigh, Observations(8));
  notes->Submit(3, Priority::kHigh, Observations(8));   // Six known, two new.
  notes->Submit(1, Priority::kHigh, Observations(4));   // All known.
  notes->Submit(90, Priority::kHigh, Observations(5));  // Past the next.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  notes->Submit(11, Priority::kHigh,
                MakeBatch({{.embedding = {1, 0}}, {.embedding = {nan, 0}}, {.embedding = {1, 0, 0}}, {.id = "none"}}));
  const auto limited = Open("limited");
  limited->Submit(1, Priority::kHigh, Observations(50));
  const auto small = Open("small");
  small->Submit(1, Priority::kHigh, Observations(25));
  Drain();
  Scrape();
  Expect(MetricId::kObservations, Space("notes", "priority", "high"), 11);
  Expect(MetricId::kRejected, Space("notes", "reason", "duplicate"), 10);
  Expect(MetricId::kRejected, Space("notes", "reason", "invalid_sequence"), 5);
  Expect(MetricId::kRejected, Space("notes", "reason", "invalid"), 3);
  Expect(MetricId::kObservations, Space("limited", "priority", "high"), 20);
  Expect(MetricId::kRejected, Space("limited", "reason", "rate_limited"), 30);
  Expect(MetricId::kObservations, Space("small", "priority", "high"), 10);
  Expect(MetricId::kRejected, Space("small", "reason", "quota"), 15);
  Expect(MetricId::kRejected, Space("notes", "reason", "over_capacity"), 0);
  Expect(MetricId::kRejected, Space("small", "reason", "rate_limited"), 0);
}

TEST_F(EngineMetrics, AFullQueueItsPressureAndItsEnd) {
  const auto alpha = Open("alpha");
  const auto beta = Open("beta");
  const auto gone = Open("gone");
  // The one worker stands in the journal; what comes now waits.
  journal().gate.Close();
  alpha->Submit(1, Priority::kNormal, Observations(1));
  journal().gate.AwaitWaiting(1);
  gone->Submit(1, Priority::kNormal, Observations(5));
  alpha->TakeProgress();
  alpha->Submit(2, Priority::kNormal, Observations(595));
  alpha->TakeProgress();  // 67 % of the normal share: warning.
  beta->Submit(1, Priority::kHigh, Observations(75));
  alpha->TakeProgress();  // 75 % of the high share, and the rest is the recalls': still warning.
  alpha->Submit(597, Priority::kNormal, Observations(200));
  alpha->TakeProgress();  // 89 %: critical.
  alpha->Submit(797, Priority::kNormal, Observations(130));
  alpha->TakeProgress();  // Full: overloaded.
  Scrape();
  Expect(MetricId::kQueueDepth, {{"priority", "normal"}}, 900);
  Expect(MetricId::kQueueDepth, {{"priority", "high"}}, 75);
  Expect(MetricId::kQueueCapacity, {}, 1000);
  Expect(MetricId::kQueueMemory, {}, 975 * kQueuedBytes);
  Expect(MetricId::kQueueMemoryCapacity, {}, 32 << 20);
  Expect(MetricId::kBackpressureState, Space("alpha"), 3);
  Expect(MetricId::kBackpressureState, Space("beta"), 3);
  Expect(MetricId::kActiveSessions, {}, 3);
  Expect(MetricId::kRejected, Space("alpha", "reason", "over_capacity"), 30);
  for (const char* level : {"warning", "critical", "overloaded"})
    Expect(MetricId::kBackpressureActivations, Space("alpha", "level", level), 1);
  Expect(MetricId::kBackpressureActivations, Space("alpha", "level", "normal"), 0);
  Expect(MetricId::kBackpressureActivations, Space("beta", "level", "overloaded"), 0);

  ASSERT_TRUE(engine().DeleteSpace("gone").ok());
  engine().StopAdmitting();
  alpha->Submit(897, Priority::kNormal, Observations(7));
  journal().gate.Open();
  Drain();
  alpha->TakeProgress();
  Scrape();
  Expect(MetricId::kRejected, Space("gone", "reason", "space_dropped"), 5);
  Expect(MetricId::kRejected, Space("alpha", "reason", "draining"), 7);
  Expect(MetricId::kObservations, Space("alpha", "priority", "normal"), 896);
  Expect(MetricId::kObservations, Space("beta", "priority", "high"), 75);
  Expect(MetricId::kQueueDepth, {{"priority", "normal"}}, 0);
  Expect(MetricId::kQueueMemory, {}, 0);
  Expect(MetricId::kBackpressureState, Space("alpha"), 0);
  Expect(MetricId::kBackpressureActivations, Space("alpha", "level", "normal"), 1);
  alpha->Close();
  beta->Close();
  gone->Close();
  Scrape();
  Expect(MetricId::kActiveSessions, {}, 0);
}

TEST_F(EngineMetrics, BatchesThatFailAndTheOnesToBlame) {
  MustObserve("notes", MakeBatch({{.id = "a", .embedding = {1, 0}},
                                  {.id = "poison", .embedding = {1, 0}},
                                  {.id = "b", .embedding = {1, 0}}}));
  MustObserve("notes", MakeBatch({{.id = "c", .embedding = {1, 0}},
                                  {.id = "refused", .embedding = {1, 0}},
                                  {.id = "refused", .embedding = {0, 1}}}));
  Drain();
  Scrape();
  Expect(MetricId::kBatchFailures, {{"worker_id", "0"}, {"error_type", "exception"}}, 1);
  Expect(MetricId::kBatchFailures, {{"worker_id", "0"}, {"error_type", "status"}}, 1);
  Expect(MetricId::kRejected, Space("notes", "reason", "failed"), 2);
  Expect(MetricId::kRejected, Space("notes", "reason", "invalid"), 1);  // An id twice in a batch.
  Expect(MetricId::kObservations, Space("notes", "priority", "normal"), 3);
  ExpectCount(MetricId::kObservationLatency, Space("notes"), 3);
  Expect(MetricId::kJournalRecords, {}, 4);  // And the space's creation.
}

TEST_F(EngineMetrics, StolenBatchesCountForTheThief) {
  settings_.num_workers = 2;
  // Two spaces at home in one lane.
  std::array<std::string, 2> home;
  size_t lane = 0;
  std::array<std::vector<std::string>, 2> by_lane;
  for (int i = 0; home[1].empty(); ++i) {
    const std::string name = "s" + std::to_string(i);
    const uint64_t before = engine().ReadStatus().lanes[0].batches;
    MustObserve(name, Observations(1));
    lane = engine().ReadStatus().lanes[0].batches > before ? 0 : 1;
    by_lane[lane].push_back(name);
    if (by_lane[lane].size() == 2) home = {by_lane[lane][0], by_lane[lane][1]};
  }
  const std::vector<LaneReading> lanes = engine().ReadStatus().lanes;
  const auto first = Open(home[0]);
  const auto second = Open(home[1]);
  journal().gate.Close();
  first->Submit(1, Priority::kNormal, Observations(1));
  journal().gate.AwaitWaiting(1);
  second->Submit(1, Priority::kNormal, Observations(150));
  journal().gate.AwaitWaiting(2);
  journal().gate.Open();
  Drain();
  Scrape();
  const size_t thief = 1 - lane;
  Expect(MetricId::kStolen, WorkerLabels(thief), 1);
  Expect(MetricId::kStolen, WorkerLabels(lane), 0);
  Expect(MetricId::kBatches, WorkerLabels(thief), static_cast<double>(lanes[thief].batches) + 1);
  Expect(MetricId::kBatches, WorkerLabels(lane), static_cast<double>(lanes[lane].batches) + 1);
  Expect(MetricId::kObservations, Space(home[1], "priority", "normal"), 151);
  first->Close();
  second->Close();
}

TEST_F(EngineMetrics, UtilizationIsTheBusyShareSinceTheLastScrape) {
  FakeClock& clock = fake_clock_;
  clock_ = &clock;
  const auto notes = Open("notes");
  Scrape();
  journal().gate.Close();
  notes->Submit(1, Priority::kHigh, Observations(1));
  journal().gate.AwaitWaiting(1);
  clock.Advance(std::chrono::seconds(6));
  journal().gate.Open();
  Drain();
  clock.Advance(std::chrono::seconds(4));
  Scrape();
  Expect(MetricId::kWorkerUtilization, WorkerLabels(0), 60);
  clock.Advance(std::chrono::seconds(1));
  Scrape();
  Expect(MetricId::kWorkerUtilization, WorkerLabels(0), 0);
  notes->Close();
}

TEST_F(EngineMetrics, RecallsByStatusAndWhatTheyLookedAt) {
  MustObserve("notes", Observations(40));
  uint64_t hits = 0;
  for (const uint32_t k : {5u, 10u, 100u}) {
    const auto answer = Recall("notes", {1, 0}, k);
    ASSERT_TRUE(answer.ok()) << answer.status();
    hits += answer->hits.size();
  }
  EXPECT_EQ(hits, 5u + 10u + 40u);
  EXPECT_TRUE(absl::IsInvalidArgument(Recall("notes", {1, 0, 0}, 5).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Recall("notes", {1, 0}, 0).status()));
  EXPECT_TRUE(absl::IsNotFound(Recall("nowhere", {1, 0}, 5).status()));
  Scrape();
  Expect(MetricId::kRecallRequests, Space("notes", "code", "OK"), 3);
  Expect(MetricId::kRecallRequests, Space("notes", "code", "INVALID_ARGUMENT"), 2);
  Expect(MetricId::kRecallRequests, Space("-", "code", "NOT_FOUND"), 1);
  Expect(MetricId::kRecallHits, Space("notes"), 55);
  Expect(MetricId::kRecallTailScanned, Space("notes"), 120);
  Expect(MetricId::kRecallGraphCandidates, Space("notes"), 0);
  ExpectCount(MetricId::kRecallLatency, Space("notes"), 3);
}

TEST_F(EngineMetrics, RecallsThatWait) {
  MustObserve("notes", Observations(4));
  executor_.recalls.Close();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { EXPECT_TRUE(Recall("notes", {1, 0}, 2).ok()); });
  executor_.recalls.AwaitWaiting(3);
  Scrape();
  Expect(MetricId::kRecallWaiting, {}, 3);
  executor_.recalls.Open();
  for (std::jthread& thread : threads) thread.join();
  Scrape();
  Expect(MetricId::kRecallWaiting, {}, 0);
  Expect(MetricId::kRecallRequests, Space("notes", "code", "OK"), 3);
}

TEST_F(EngineMetrics, TheGraphAndWhatWaitsForIt) {
  ASSERT_TRUE(engine().CreateSpace("notes", {.dimension = 2, .flat_threshold = 16}).ok());
  executor_.HoldLinking();
  MustObserve("notes", Observations(100));
  Scrape();
  Expect(MetricId::kLinkBacklog, Space("notes"), 100);
  Expect(MetricId::kLinked, Space("notes"), 0);
  executor_.ReleaseLinking();
  Drain();
  Scrape();
  Expect(MetricId::kLinkBacklog, Space("notes"), 0);
  Expect(MetricId::kLinked, Space("notes"), 100);
  const auto answer = Recall("notes", {1, 0}, 5);
  ASSERT_TRUE(answer.ok()) << answer.status();
  Scrape();
  Expect(MetricId::kRecallGraphCandidates, Space("notes"), static_cast<double>(answer->graph_candidates));
  Expect(MetricId::kRecallTailScanned, Space("notes"), 0);
}

TEST_F(EngineMetrics, SpacesWhatTheyHoldAndWhatTheyForgot) {
  MustObserve("alpha", MakeBatch({{.id = "a", .embedding = {1, 0}},
                                  {.id = "b", .embedding = {0, 1}},
                                  {.id = "c", .embedding = {1, 1}}}));
  MustObserve("beta", Observations(7));
  ForgetQuery query;
  query.space = "alpha";
  query.ids = {"a", "b", "nobody"};
  query.dry_run = true;
  ASSERT_TRUE(engine().Forget(query).ok());
  Scrape();
  Expect(MetricId::kSpaceLive, Space("alpha"), 3);
  query.dry_run = false;
  const auto forgotten = engine().Forget(query);
  ASSERT_TRUE(forgotten.ok()) << forgotten.status();
  Scrape();
  Expect(MetricId::kForgotten, Space("alpha"), 2);
  Expect(MetricId::kForgotten, Space("beta"), 0);
  Expect(MetricId::kSpaces, {}, 2);
  Expect(MetricId::kSpaceLive, Space("alpha"), 1);
  Expect(MetricId::kSpaceLive, Space("beta"), 7);
  Expect(MetricId::kSpaceResident, Space("beta"), static_cast<double>(engine().GetSpace("beta")->resident_bytes));
  Expect(MetricId::kJournalRecords, {}, static_cast<double>(journal().records));
  Expect(MetricId::kJournalPayload, {}, static_cast<double>(journal().bytes));
  ASSERT_TRUE(engine().DeleteSpace("beta").ok());
  Scrape();
  Expect(MetricId::kSpaces, {}, 1);
  Expect(MetricId::kSpaceLive, Space("other"), 0);
  Expect(MetricId::kObservations, Space("beta", "priority", "normal"), 7);
}

}  // namespace
}  // namespace engram::testing
