// The daemon as a whole, in process: addresses, health, reflection, admin calls, stopping.
#include "server/daemon.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>
#include <vector>

#include "core/base/machine.h"
#include "tests/server/support/grpc_health.h"
#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Memory = v1::MemoryService::Stub;
using Admin = v1::AdminService::Stub;

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() : directory_(std::filesystem::temp_directory_path() / ("engram-test-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(directory_);
  }
  ~DaemonTest() override { std::filesystem::remove_all(directory_); }

  static grpc::Status ObserveOne(Memory& stub, const std::string& space = "s") {
    v1::ObserveRequest request;
    request.set_space(space);
    *request.add_observations() = MakeObservation("x", {1, 2});
    v1::ObserveResponse response;
    return Call(stub, &Memory::Observe, request, &response);
  }
  static v1::GetStatusResponse StatusOf(Admin& stub) {
    v1::GetStatusResponse response;
    const grpc::Status status = Call(stub, &Admin::GetStatus, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  const std::filesystem::path directory_;
};

TEST_F(DaemonTest, ListensOnEveryAddress) {
  Settings settings = TestSettings();
  const std::string socket = "unix:" + (directory_ / "engram.sock").string();
  settings.server_address = "127.0.0.1:0,[::1]:0," + socket;
  TestDaemon daemon(settings);
  ASSERT_EQ(daemon.daemon().addresses().size(), 3u);
  EXPECT_THAT(daemon.daemon().addresses()[1], StartsWith("[::1]:"));
  EXPECT_EQ(daemon.daemon().addresses()[2], socket);
  for (const std::string& address : daemon.daemon().addresses()) {
    EXPECT_THAT(address, ::testing::Not(::testing::EndsWith(":0")));
    const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(address));
    EXPECT_TRUE(ObserveOne(*stub).ok()) << address;
  }
}

TEST_F(DaemonTest, RefusesAnAddressSomebodyElseHas) {
  Settings settings = TestSettings();
  const std::string socket = "unix:" + (directory_ / "engram.sock").string();
  settings.server_address = "127.0.0.1:0," + socket;
  TestDaemon first(settings);
  for (const std::string& address : first.daemon().addresses()) {
    settings.server_address = address;
    const auto second = Daemon::Start({.settings = settings, .load = nullptr});
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(second.status().message()), HasSubstr("cannot listen on " + address));
    EXPECT_THAT(std::string(second.status().message()), HasSubstr("choose another"));
  }
  // The first one is none the worse for it; once it is gone, its socket may be taken over.
  EXPECT_TRUE(ObserveOne(*v1::MemoryService::NewStub(TestDaemon::Connect(socket))).ok());
  first.Destroy();
  settings.server_address = socket;
  TestDaemon third(settings);
  EXPECT_TRUE(ObserveOne(third.memory()).ok());
}

TEST_F(DaemonTest, TellsItsHealth) {
  TestDaemon daemon;
  for (const char* service : {"", "engram.v1.MemoryService", "engram.v1.AdminService"}) {
    EXPECT_EQ(CheckHealth(daemon.Connect(), service), Health::kServing) << service;
  }
  EXPECT_EQ(CheckHealth(daemon.Connect(), "nobody"), Health::kUnknown);
}

TEST_F(DaemonTest, TellsItsServicesByReflection) {
  TestDaemon daemon;
  EXPECT_THAT(ListServices(daemon.Connect()), Contains("engram.v1.MemoryService"));
  EXPECT_THAT(ListServices(daemon.Connect()), Contains("engram.v1.AdminService"));
  EXPECT_THAT(ListServices(daemon.Connect()), Contains("grpc.health.v1.Health"));
}

TEST_F(DaemonTest, TellsItsStatus) {
  Settings settings = TestSettings();
  settings.metrics_address = "127.0.0.1:0";
  settings.profile = "low_latency";
  TestDaemon daemon(settings);
  StreamClient stream(daemon.memory());
  stream.SendStart("s");
  stream.ReadStarted();
  stream.SendBatch(1, std::vector<v1::Observation>(50, MakeObservation("", {1, 2})));
  stream.SendBatch(51, {MakeObservation("", {0, 0})});
  ASSERT_TRUE(stream.ReadUntilDurable(51));
  v1::RecallRequest recall;
  recall.set_space("s");
  recall.set_embedding_f32(F32({1, 1}));
  recall.set_k(3);
  v1::RecallResponse recalled;
  ASSERT_TRUE(Call(daemon.memory(), &Memory::Recall, recall, &recalled).ok());

  const v1::GetStatusResponse status = StatusOf(daemon.admin());
  EXPECT_NE(status.version(), "");
  EXPECT_EQ(status.machine().name(), ThisMachine().name);
  EXPECT_EQ(status.machine().cores(), ThisMachine().cores);
  EXPECT_GT(status.machine().memory_bytes(), 0u);
  EXPECT_EQ(status.profile(), "low_latency");
  EXPECT_EQ(status.durability(), v1::DURABILITY_FSYNC);
  EXPECT_FALSE(status.draining());
  EXPECT_GT(status.started_at_us(), 1'600'000'000'000'000);
  EXPECT_GT(status.uptime_us(), 0);
  EXPECT_EQ(status.queue_depth(), 0u);
  EXPECT_EQ(status.queue_capacity(), 10000u);
  EXPECT_EQ(status.pressure(), v1::PRESSURE_LEVEL_NORMAL);
  ASSERT_EQ(status.lanes_size(), 2);
  uint64_t batches = 0;
  for (const auto& lane : status.lanes()) {
    batches += lane.batches();
    EXPECT_GE(lane.utilization(), 0);
    EXPECT_LE(lane.utilization(), 1);
  }
  EXPECT_GE(batches, 1u);
  EXPECT_EQ(status.streams(), 1u);
  EXPECT_EQ(status.spaces(), 1u);
  EXPECT_EQ(status.observations_live(), 50u);
  EXPECT_EQ(status.observations_total(), 50u);
  EXPECT_EQ(status.rejected_total(), 1u);
  EXPECT_EQ(status.recalls_total(), 1u);
  EXPECT_GT(status.resident_bytes(), 0u);
  EXPECT_EQ(status.observe_latency().count(), 50u);
  EXPECT_GT(status.observe_latency().p99_us(), 0);
  EXPECT_EQ(status.recall_latency().count(), 1u);
  EXPECT_EQ(status.grpc_address(), daemon.address());
  EXPECT_EQ(status.metrics_address(), daemon.daemon().metrics_address());
  EXPECT_THAT(status.metrics_address(), StartsWith("127.0.0.1:"));
}

TEST_F(DaemonTest, DrainsAndAdmitsAgain) {
  TestDaemon daemon;
  StreamClient stream(daemon.memory());
  stream.SendStart("s", "named");
  stream.ReadStarted();
  stream.SendBatch(1, std::vector<v1::Observation>(100, MakeObservation("", {1, 2})));
  ASSERT_TRUE(stream.ReadUntilDurable(100));
  v1::DrainResponse drained;
  ASSERT_TRUE(Call(daemon.admin(), &Admin::Drain, {}, &drained).ok());
  EXPECT_TRUE(drained.drained());
  EXPECT_EQ(drained.remaining(), 0u);
  EXPECT_TRUE(StatusOf(daemon.admin()).draining());
  ASSERT_TRUE(stream.ReadUntilEnded());
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ObserveOne(daemon.memory()).error_code(), grpc::StatusCode::UNAVAILABLE);
  // Recalls go on.
  v1::RecallRequest recall;
  recall.set_space("s");
  recall.set_embedding_f32(F32({1, 2}));
  recall.set_k(1);
  v1::RecallResponse recalled;
  EXPECT_TRUE(Call(daemon.memory(), &Memory::Recall, recall, &recalled).ok());

  v1::DrainRequest resume;
  resume.set_resume(true);
  ASSERT_TRUE(Call(daemon.admin(), &Admin::Drain, resume, &drained).ok());
  EXPECT_FALSE(StatusOf(daemon.admin()).draining());
  StreamClient again(daemon.memory());
  again.SendStart("s", "named", true);
  EXPECT_EQ(again.ReadStarted().next_sequence(), 101u);
}

TEST_F(DaemonTest, TracesComeBeforeTheStateOfTracing) {
  Settings settings = TestSettings();
  settings.trace_sample_rate = 1;
  TestDaemon daemon(settings);
  ASSERT_TRUE(ObserveOne(daemon.memory()).ok());
  const auto ask = [&](const v1::TraceObservationsRequest& request, std::vector<v1::TraceObservationsResponse>* out) {
    grpc::ClientContext context;
    const auto reader = daemon.admin().TraceObservations(&context, request);
    for (v1::TraceObservationsResponse one; reader->Read(&one);) out->push_back(one);
    return reader->Finish();
  };
  std::vector<v1::TraceObservationsResponse> responses;
  ASSERT_TRUE(ask({}, &responses).ok());
  ASSERT_EQ(responses.size(), 2u);
  const v1::Trace& trace = responses[0].trace();
  EXPECT_EQ(trace.kind(), v1::TRACE_KIND_OBSERVATION);
  EXPECT_EQ(trace.space(), "s");
  EXPECT_EQ(trace.sequence(), 1u);
  EXPECT_EQ(trace.spans(0).name(), "observe");
  EXPECT_EQ(trace.spans(0).duration_ns(), trace.total_ns());
  EXPECT_GT(trace.buffers().frame_bytes(), 0u);
  EXPECT_EQ(responses[1].state().sample_period(), 1u);
  EXPECT_EQ(responses[1].state().recorded(), 1u);
  EXPECT_EQ(responses[1].state().record_fallbacks(), 1u);

  responses.clear();
  v1::TraceObservationsRequest request;
  request.set_slow_us(3'600'000'000);
  ASSERT_TRUE(ask(request, &responses).ok());
  EXPECT_EQ(responses.size(), 1u) << "only the state";
  request.set_slow_us(3'600'000'001);
  EXPECT_EQ(ask(request, &responses).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_slow_us(-1);
  EXPECT_EQ(ask(request, &responses).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_slow_us(0);
  request.set_limit(100'001);
  EXPECT_EQ(ask(request, &responses).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_limit(1);
  request.set_selection(static_cast<v1::TraceSelection>(7));
  EXPECT_EQ(ask(request, &responses).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(DaemonTest, AnswersWhatIsNotThere) {
  Settings in_memory = TestSettings();
  in_memory.durability_mode = "memory";
  TestDaemon daemon(in_memory);
  v1::CheckpointResponse checkpoint;
  EXPECT_EQ(Call(daemon.admin(), &Admin::Checkpoint, {}, &checkpoint).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  v1::SnapshotRequest snapshot_request;
  snapshot_request.set_directory("/tmp/never-made");
  v1::SnapshotResponse snapshot;
  EXPECT_EQ(Call(daemon.admin(), &Admin::Snapshot, snapshot_request, &snapshot).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  v1::ReloadConfigResponse reload;
  EXPECT_EQ(Call(daemon.admin(), &Admin::ReloadConfig, {}, &reload).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(DaemonTest, ReloadsWhatCanChangeAndNothingWhenThereAreFaults) {
  std::string yaml;
  TempDirectory storage;
  Settings settings = TestSettings();
  settings.storage_directory = storage / "data";
  TestDaemon daemon(settings, [&] {
    LoadResult result = LoadConfigText("engram.yaml", yaml, {.cores = 64});
    if (result.ok()) {
      // As the daemon was started, but for what the file says.
      const Settings loaded = result.settings;
      result.settings = settings;
      result.settings.min_batch_size = loaded.min_batch_size;
      result.settings.queue_capacity = loaded.queue_capacity;
    }
    return result;
  });
  yaml = "min_batch_size: 25\nqueue:\n  capacity: 20000\n";
  v1::ReloadConfigResponse reloaded;
  ASSERT_TRUE(Call(daemon.admin(), &Admin::ReloadConfig, {}, &reloaded).ok());
  EXPECT_THAT(reloaded.applied(), ElementsAre("min_batch_size: 10 -> 25"));
  EXPECT_THAT(reloaded.needs_restart(), ElementsAre("queue.capacity: 10000 -> 20000"));
  EXPECT_EQ(daemon.daemon().engine().settings()->min_batch_size, 25u);
  EXPECT_EQ(daemon.daemon().engine().settings()->queue_capacity, 10000u);

  yaml = "min_batch_size: 500\nnum_wrokers: 3\n";
  const grpc::Status status = Call(daemon.admin(), &Admin::ReloadConfig, {}, &reloaded);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("engram.yaml:1:"));
  EXPECT_THAT(status.error_message(), HasSubstr("engram.yaml:2:"));
  EXPECT_EQ(daemon.daemon().engine().settings()->min_batch_size, 25u);
}

// Every kind of call open at once, then Stop: all end with their documented statuses, and nothing accepted is lost.
TEST_F(DaemonTest, StopsWithEveryKindOfCallOpen) {
  TestDaemon daemon;
  StreamClient busy(daemon.memory()), unstarted(daemon.memory());
  busy.SendStart("s");
  busy.ReadStarted();
  busy.SendBatch(1, std::vector<v1::Observation>(2000, MakeObservation("", {1, 2})));
  ASSERT_TRUE(busy.ReadUntil([&] { return busy.last_ack.received_through() == 2000; }));
  const HealthWatch watch(daemon.Connect());
  EXPECT_EQ(watch.Next(), Health::kServing);

  Daemon::Leftovers left;
  std::jthread stopper([&] { left = daemon.daemon().Stop(std::chrono::seconds(20)); });
  EXPECT_EQ(watch.Next(), Health::kNotServing);
  ASSERT_TRUE(busy.ReadUntilEnded());
  EXPECT_TRUE(busy.ended->drained());
  EXPECT_EQ(busy.ended->durable_through(), 2000u);
  EXPECT_EQ(busy.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(unstarted.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  stopper.join();
  EXPECT_FALSE(left.any());
}

}  // namespace
}  // namespace engram::testing
