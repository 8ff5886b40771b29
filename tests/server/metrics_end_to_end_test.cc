// What was sent over the wire is what /metrics says, to the last observation. The engine's own test
// (tests/core/metrics/engine_metrics_test.cc) asserts what needs a queue that stands still.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/core/metrics/asserted_metrics.h"
#include "tests/server/metrics_scrape.h"
#include "tests/server/support/engramd_process.h"
#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

Settings ScrapedSettings() {
  Settings settings = TestSettings();
  settings.metrics_address = "127.0.0.1:0";
  settings.queue_capacity = 1000;
  settings.queue_max_wait = std::chrono::microseconds(0);
  return settings;
}

std::vector<v1::Observation> Observations(size_t first, size_t count, const std::string& prefix) {
  std::vector<v1::Observation> observations;
  for (size_t i = first; i < first + count; ++i) {
    const auto angle = static_cast<float>(i);
    observations.push_back(
        MakeObservation(prefix + std::to_string(i), {std::cos(angle), std::sin(angle), std::cos(angle / 3), 1}));
  }
  return observations;
}

class MetricsEndToEnd : public ::testing::Test {
 protected:
  explicit MetricsEndToEnd(const Settings& settings = ScrapedSettings()) : daemon_(settings) {}

  // What this client knows of one space.
  struct Sent {
    uint64_t normal = 0;
    uint64_t high = 0;
    uint64_t forgotten = 0;
    uint64_t recalls = 0;
    std::map<std::string, uint64_t> rejected;

    uint64_t observations() const { return normal + high; }
  };

  void CreateSpace(const std::string& name, const std::function<void(v1::SpaceConfig&)>& configure) {
    v1::CreateSpaceRequest request;
    request.set_name(name);
    configure(*request.mutable_config());
    v1::Space space;
    const grpc::Status status = Call(daemon_.memory(), &v1::MemoryService::Stub::CreateSpace, request, &space);
    ASSERT_TRUE(status.ok()) << status.error_message();
    sent_[name];
  }

  v1::ObserveResponse Observe(const std::string& space, const std::vector<v1::Observation>& observations,
                              v1::Priority priority, const std::string& reason_of_refusals = "") {
    v1::ObserveRequest request;
    request.set_space(space);
    request.set_priority(priority);
    for (const v1::Observation& observation : observations) *request.add_observations() = observation;
    v1::ObserveResponse response;
    const grpc::Status status = Call(daemon_.memory(), &v1::MemoryService::Stub::Observe, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    ++frames_;
    (priority == v1::PRIORITY_HIGH ? sent_[space].high : sent_[space].normal) += response.accepted();
    for (const v1::Rejection& rejection : response.rejected()) {
      sent_[space].rejected[reason_of_refusals] += rejection.count();
    }
    return response;
  }

  grpc::Status Recall(const std::string& space, const std::vector<float>& vector, const std::string& id = "") {
    v1::RecallRequest request;
    request.set_space(space);
    if (id.empty()) {
      request.set_embedding_f32(F32(vector));
    } else {
      request.set_id(id);
    }
    request.set_k(5);
    v1::RecallResponse response;
    const grpc::Status status = Call(daemon_.memory(), &v1::MemoryService::Stub::Recall, request, &response);
    if (status.ok()) {
      ++sent_[space].recalls;
      hits_ += response.hits_size();
      tail_scanned_ += response.coverage().tail_scanned();
      graph_candidates_ += response.coverage().graph_candidates();
    }
    return status;
  }

  void Scrape() { page_ = Exposition::Scrape(daemon_.daemon().metrics_address()); }

  // Of the last scrape. A metric counts as asserted once it was seen off zero.
  void Expect(MetricId id, const LabelList& labels, double value, const std::string& suffix = "") {
    const std::string name = std::string(RowOf(id).name) + suffix;
    EXPECT_EQ(page_.Value(name, labels), value) << name << " " << ::testing::PrintToString(labels);
    if (value != 0) AssertedMetrics().insert(id);
  }
  void ExpectAbove(MetricId id, double least) {
    EXPECT_GT(Sum(id), least) << RowOf(id).name;
    AssertedMetrics().insert(id);
  }
  void ExpectJournal() {
    ExpectAbove(MetricId::kJournalRecords, 0);
    ExpectAbove(MetricId::kJournalPayload, Sum(MetricId::kJournalRecords));
    ExpectAbove(MetricId::kJournalBytes, Sum(MetricId::kJournalPayload));
    const double syncs = Sum(MetricId::kJournalSyncs);
    Expect(MetricId::kJournalSyncs, {}, syncs);
    EXPECT_GE(syncs, 1);
    EXPECT_LE(syncs, Sum(MetricId::kJournalRecords));
    Expect(MetricId::kJournalSync, {}, syncs, "_count");
    ExpectAbove(MetricId::kJournalSegments, 0);
    ExpectAbove(MetricId::kJournalDisk, Sum(MetricId::kJournalBytes));
    for (const MetricId id : {MetricId::kJournalPrepared, MetricId::kJournalSpares}) ExpectAbove(id, -1);
    for (const MetricId id : {MetricId::kJournalWaiting, MetricId::kJournalDefects, MetricId::kJournalRewritten,
                              MetricId::kJournalFreed}) {
      Expect(id, {}, 0);
      ExpectAbove(id, -1);  // tests/server/damage_test.cc and tests/core/rewriter_test.cc see what moves them.
    }
    // The one that the test asked for.
    Expect(MetricId::kCheckpoints, {}, 1);
    ExpectAbove(MetricId::kCheckpointBytes, 0);
  }
  double Sum(MetricId id, const LabelList& labels = {}, const std::string& suffix = "") const {
    return page_.Sum(std::string(RowOf(id).name) + suffix, labels);
  }

  TestDaemon daemon_;
  std::map<std::string, Sent> sent_;
  // Messages that carry observations or open, steer and end a stream.
  uint64_t frames_ = 0;
  uint64_t hits_ = 0;
  uint64_t tail_scanned_ = 0;
  uint64_t graph_candidates_ = 0;
  Exposition page_;
};

TEST_F(MetricsEndToEnd, WhatWasSentIsWhatIsCounted) {
  // A stream whose observations go into the graph, in both priorities, with everything a client can do wrong.
  CreateSpace("alpha", [](v1::SpaceConfig& config) { config.set_flat_threshold(32); });
  StreamClient alpha(daemon_.memory());
  ASSERT_TRUE(alpha.SendStart("alpha", "", false, v1::ACK_LEVEL_INDEXED));
  ++frames_;
  for (uint64_t batch = 0; batch < 15; ++batch) {
    const bool high = batch % 3 == 2;
    ASSERT_TRUE(alpha.SendBatch(1 + batch * 20, Observations(batch * 20, 20, "a"),
                                high ? v1::PRIORITY_HIGH : v1::PRIORITY_NORMAL));
    ++frames_;
    (high ? sent_["alpha"].high : sent_["alpha"].normal) += 20;
    ASSERT_TRUE(alpha.ReadUntilDurable((batch + 1) * 20));
  }
  ASSERT_TRUE(alpha.SendBatch(1, Observations(0, 10, "a")));  // Sent again.
  sent_["alpha"].rejected["duplicate"] = 10;
  std::vector<v1::Observation> bad = Observations(300, 4, "a");
  bad[1] = MakeObservation("nan", {std::numeric_limits<float>::quiet_NaN(), 0, 0, 1});
  bad[3] = MakeObservation("short", {1, 0});
  ASSERT_TRUE(alpha.SendBatch(301, bad));
  sent_["alpha"].normal += 2;
  sent_["alpha"].rejected["invalid"] = 2;
  ASSERT_TRUE(alpha.SendBatch(1000, Observations(0, 5, "gap")));
  sent_["alpha"].rejected["invalid_sequence"] = 5;
  frames_ += 3;
  ASSERT_TRUE(alpha.ReadUntilRejected(7));
  ASSERT_TRUE(alpha.ReadUntil([&] { return alpha.last_ack.indexed_through() >= 304; }));

  StreamClient beta(daemon_.memory());
  ASSERT_TRUE(beta.SendStart("beta"));
  ASSERT_TRUE(beta.SendBatch(1, Observations(0, 50, "b")));
  frames_ += 2;
  sent_["beta"].normal = 50;
  ASSERT_TRUE(beta.ReadUntilDurable(50));
  Scrape();
  Expect(MetricId::kActiveSessions, {}, 2);
  const std::optional<double> cpu = page_.Value("process_cpu_seconds_total");
  for (StreamClient* stream : {&alpha, &beta}) {
    ASSERT_TRUE(stream->SendEnd(true));
    ++frames_;
    EXPECT_TRUE(stream->Finish().ok());
  }

  // Limits.
  CreateSpace("limited", [](v1::SpaceConfig& config) { config.set_max_rate(20); });
  EXPECT_GE(Observe("limited", Observations(0, 50, "l"), v1::PRIORITY_NORMAL, "rate_limited").accepted(), 20u);
  EXPECT_GT(sent_["limited"].rejected["rate_limited"], 0u);
  CreateSpace("small", [](v1::SpaceConfig& config) {
    config.set_dimension(4);
    config.set_quota_observations(10);
  });
  EXPECT_EQ(Observe("small", Observations(0, 25, "s"), v1::PRIORITY_HIGH, "quota").accepted(), 10u);
  // More at once than the queue holds, until the workers are slower than this thread.
  for (int i = 0; i < 100 && sent_["flood"].rejected["over_capacity"] == 0; ++i) {
    Observe("flood", Observations(0, 4000, "f"), v1::PRIORITY_NORMAL, "over_capacity");
  }
  EXPECT_GT(sent_["flood"].rejected["over_capacity"], 0u);

  // Recalls and what is forgotten.
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Recall("alpha", {1, 0, 0, 1}).ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Recall("beta", {0, 1, 0, 1}).ok());
  EXPECT_EQ(Recall("alpha", {1, 0}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Recall("alpha", {}, "nobody").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Recall("nowhere", {1, 0, 0, 1}).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::ForgetRequest forget;
  forget.set_space("beta");
  for (const char* id : {"b0", "b1", "b2", "nobody"}) forget.add_ids(id);
  v1::ForgetResponse forgot;
  ASSERT_TRUE(Call(daemon_.memory(), &v1::MemoryService::Stub::Forget, forget, &forgot).ok());
  EXPECT_EQ(forgot.forgotten(), 3u);
  sent_["beta"].forgotten = 3;

  // Everything is acknowledged; only linking is counted behind the acknowledgement, and sessions end behind the call.
  const LabelList in_alpha = {{"memory_space", "alpha"}};
  for (int i = 0; i < 1000; ++i) {
    Scrape();
    if (Sum(MetricId::kLinked, in_alpha) == 302 && Sum(MetricId::kActiveSessions) == 0) break;
  }
  v1::GetStatusResponse status;
  ASSERT_TRUE(Call(daemon_.admin(), &v1::AdminService::Stub::GetStatus, v1::GetStatusRequest(), &status).ok());
  v1::CheckpointResponse checkpoint;
  ASSERT_TRUE(Call(daemon_.admin(), &v1::AdminService::Stub::Checkpoint, v1::CheckpointRequest(), &checkpoint).ok());
  Scrape();

  uint64_t observations = 0, high = 0, rejected = 0, recalls = 0;
  for (const auto& [name, sent] : sent_) {
    const LabelList space = {{"memory_space", name}};
    const auto with = [&](const std::string& label, const std::string& value) {
      return LabelList{{"memory_space", name}, {label, value}};
    };
    Expect(MetricId::kObservations, with("priority", "normal"), static_cast<double>(sent.normal));
    Expect(MetricId::kObservations, with("priority", "high"), static_cast<double>(sent.high));
    for (const std::string_view word : SecondLabelValues(LabelSet::kSpaceReason)) {
      const auto it = sent.rejected.find(std::string(word));
      const uint64_t count = it == sent.rejected.end() ? 0 : it->second;
      Expect(MetricId::kRejected, with("reason", std::string(word)), static_cast<double>(count));
      rejected += count;
    }
    for (const MetricId id : {MetricId::kObservationLatency, MetricId::kTimeToDurable, MetricId::kTimeToSearchable}) {
      Expect(id, space, static_cast<double>(sent.observations()), "_count");
    }
    Expect(MetricId::kForgotten, space, static_cast<double>(sent.forgotten));
    Expect(MetricId::kRecallLatency, space, static_cast<double>(sent.recalls), "_count");
    Expect(MetricId::kRecallRequests, with("code", "OK"), static_cast<double>(sent.recalls));
    Expect(MetricId::kBackpressureState, space, 0);
    v1::GetSpaceRequest request;
    request.set_name(name);
    v1::Space info;
    ASSERT_TRUE(Call(daemon_.memory(), &v1::MemoryService::Stub::GetSpace, request, &info).ok());
    Expect(MetricId::kSpaceLive, space, static_cast<double>(info.live()));
    Expect(MetricId::kSpaceResident, space, static_cast<double>(info.resident_bytes()));
    observations += sent.observations();
    high += sent.high;
    recalls += sent.recalls;
  }
  Expect(MetricId::kSpaceLive, {{"memory_space", "beta"}}, 47);
  Expect(MetricId::kLinked, in_alpha, 302);
  Expect(MetricId::kLinkBacklog, in_alpha, 0);
  Expect(MetricId::kRecallRequests, {{"memory_space", "alpha"}, {"code", "INVALID_ARGUMENT"}}, 1);
  Expect(MetricId::kRecallRequests, {{"memory_space", "alpha"}, {"code", "NOT_FOUND"}}, 1);
  EXPECT_EQ(Sum(MetricId::kRecallRequests), static_cast<double>(recalls) + 3);
  EXPECT_EQ(Sum(MetricId::kRecallHits), static_cast<double>(hits_));
  EXPECT_EQ(Sum(MetricId::kRecallTailScanned), static_cast<double>(tail_scanned_));
  EXPECT_EQ(Sum(MetricId::kRecallGraphCandidates), static_cast<double>(graph_candidates_));
  EXPECT_GT(graph_candidates_, 0u);

  EXPECT_EQ(Sum(MetricId::kObservations), static_cast<double>(observations));
  EXPECT_EQ(status.observations_total(), observations);
  EXPECT_EQ(status.rejected_total(), rejected);
  Expect(MetricId::kQueueWait, {{"priority", "high"}}, static_cast<double>(high), "_count");
  Expect(MetricId::kQueueWait, {{"priority", "normal"}}, static_cast<double>(observations - high), "_count");
  double batches = 0;
  for (const v1::LaneStatus& lane : status.lanes()) {
    const LabelList worker = {{"worker_id", std::to_string(lane.lane())}};
    Expect(MetricId::kBatches, worker, static_cast<double>(lane.batches()));
    Expect(MetricId::kBatchSize, worker, static_cast<double>(lane.batches()), "_count");
    Expect(MetricId::kStolen, worker, static_cast<double>(lane.stolen()));
    batches += static_cast<double>(lane.batches());
  }
  EXPECT_EQ(Sum(MetricId::kBatches), batches);
  EXPECT_EQ(Sum(MetricId::kBatchSize, {}, "_sum"), static_cast<double>(observations));
  EXPECT_EQ(Sum(MetricId::kBatchFailures), 0);
  Expect(MetricId::kQueueDepth, {{"priority", "high"}}, 0);
  Expect(MetricId::kQueueDepth, {{"priority", "normal"}}, 0);
  Expect(MetricId::kQueueMemory, {}, 0);
  Expect(MetricId::kQueueCapacity, {}, 1000);
  Expect(MetricId::kQueueMemoryCapacity, {}, 32 << 20);
  Expect(MetricId::kActiveSessions, {}, 0);
  Expect(MetricId::kSpaces, {}, static_cast<double>(sent_.size()));
  ExpectJournal();

  // Every frame took one buffer, the first of them a new one.
  EXPECT_EQ(Sum(MetricId::kPoolReuses) + Sum(MetricId::kPoolFallbacks), static_cast<double>(frames_));
  // The payload, and how the wire frames it.
  ExpectAbove(MetricId::kPoolBytes, Sum(MetricId::kJournalPayload));
  for (const MetricId id : {MetricId::kPoolReuses, MetricId::kPoolFallbacks, MetricId::kCommitReuses,
                            MetricId::kCommitFallbacks}) {
    ExpectAbove(id, 0);
  }

  // The process is this one.
  ASSERT_TRUE(cpu.has_value());
  ExpectAbove(MetricId::kProcessCpu, *cpu);
  ExpectAbove(MetricId::kProcessResident, 1 << 20);
  ExpectAbove(MetricId::kProcessVirtual, Sum(MetricId::kProcessResident));
  ExpectAbove(MetricId::kProcessThreads, 3);
  ExpectAbove(MetricId::kProcessFds, 3);
  ExpectAbove(MetricId::kProcessMaxFds, Sum(MetricId::kProcessFds));
  ExpectAbove(MetricId::kProcessStart, 1e9);
  // The engine's own test leaves these to this one.
  for (const MetricRow& row : MetricRows()) {
    if (!row.name.starts_with("process_") && !row.name.starts_with("engram_pool_") &&
        !row.name.starts_with("engram_journal_") && !row.name.starts_with("engram_checkpoint")) {
      continue;
    }
    EXPECT_TRUE(AssertedMetrics().contains(row.id)) << row.name << " is moved and asserted by no test";
  }
  // Rows that the daemon does not serve at all. Without a follower or a check there is nothing to tell of these.
  const std::set<MetricId> silent = {MetricId::kRecallFollowLag, MetricId::kRecallCanaryMean, MetricId::kRecallCanaryLeast};
  for (const MetricRow& row : MetricRows()) {
    if (silent.contains(row.id)) continue;
    EXPECT_NE(page_.Find(std::string(row.name)), nullptr) << row.name;
  }
}

class MetricsOfFewSpaces : public MetricsEndToEnd {
 protected:
  static Settings OneName() {
    Settings settings = ScrapedSettings();
    settings.metrics_max_spaces = 1;
    return settings;
  }
  MetricsOfFewSpaces() : MetricsEndToEnd(OneName()) {}
};

TEST_F(MetricsOfFewSpaces, TheRestIsOther) {
  Observe("alpha", Observations(0, 100, "a"), v1::PRIORITY_NORMAL);
  Observe("beta", Observations(0, 20, "b"), v1::PRIORITY_NORMAL);
  Observe("gamma", Observations(0, 3, "c"), v1::PRIORITY_NORMAL);
  Scrape();
  const auto with = [](const char* name) { return LabelList{{"memory_space", name}, {"priority", "normal"}}; };
  Expect(MetricId::kObservations, with("alpha"), 100);
  Expect(MetricId::kObservations, with("other"), 23);
  Expect(MetricId::kSpaceLive, {{"memory_space", "other"}}, 23);
  EXPECT_EQ(page_.Value("engram_streaming_observations_total", with("beta")), std::nullopt);
  Observe("beta", Observations(20, 500, "b"), v1::PRIORITY_NORMAL);
  Scrape();
  Expect(MetricId::kObservations, with("alpha"), 100);
  Expect(MetricId::kObservations, with("other"), 523);
}

TEST(MetricsReferencePage, IsWhatEngramdPrints) {
  EngramdProcess engramd({"--print-metrics-reference"});
  EXPECT_EQ(engramd.AwaitExit(), 0);
  std::ifstream in("docs/metrics.md");
  ASSERT_TRUE(in) << "run from the top of the repository";
  EXPECT_TRUE(engramd.out() == std::string((std::istreambuf_iterator<char>(in)), {}))
      << "docs/metrics.md is stale: engramd --print-metrics-reference > docs/metrics.md";
}

}  // namespace
}  // namespace engram::testing
