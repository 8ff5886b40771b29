// The real engramd: its flags and exit codes, and how it stops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/server/support/engramd_process.h"
#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::StartsWith;

std::vector<std::string> OnFreePorts(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"--set", "server.address=127.0.0.1:0", "--set", "metrics.address=127.0.0.1:0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Engramd, SaysWhenItIsReadyAndStopsWhenTold) {
  for (const int signal : {SIGTERM, SIGINT}) {
    EngramdProcess engramd(OnFreePorts());
    ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
    EXPECT_THAT(engramd.grpc_address, StartsWith("127.0.0.1:"));
    EXPECT_THAT(engramd.metrics_address, StartsWith("127.0.0.1:"));
    engramd.Signal(signal);
    EXPECT_EQ(engramd.AwaitExit(), 0) << engramd.err();
    EXPECT_THAT(engramd.err(), HasSubstr("everything accepted was finished"));
  }
}

// What stands in backticks in the column `called` of the thread table.
std::set<std::string> NamesInThreadTable() {
  std::ifstream file("docs/architecture.md");
  std::set<std::string> names;
  bool table = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| thread | called |")) table = true;
    if (!table) continue;
    if (!line.starts_with('|')) break;
    const size_t begin = line.find('|', 1);
    std::istringstream called(line.substr(begin, line.find('|', begin + 1) - begin));
    for (std::string between, name; std::getline(called, between, '`') && std::getline(called, name, '`');) names.insert(name);
  }
  return names;
}

TEST(Engramd, HasNoThreadsButThoseOfTheTable) {
  EngramdProcess engramd(OnFreePorts({"--set", "admin.fault_injection=true"}));
  ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
  const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
  StreamClient stream(*stub);
  stream.SendStart("s", "mine");
  stream.ReadStarted();
  ASSERT_TRUE(stream.SendBatch(1, {MakeObservation("a", std::vector<float>(8, 0.5f))}));
  ASSERT_TRUE(stream.ReadUntilDurable(1));
  const std::set<std::string> ours = {"engramd", "stream writer", "worker",   "committer", "keeper",  "upkeep",
                                      "applier", "janitor",       "linker",   "gatherer",  "sampler", "fault keeper"};
  std::set<std::string> names;
  // A thread names itself when it first runs, which it may not have yet.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!std::ranges::includes(names, ours) && std::chrono::steady_clock::now() < until) {
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(engramd.pid()) + "/task")) {
      std::ifstream comm(task.path() / "comm");
      // It may have ended meanwhile.
      if (std::string name; std::getline(comm, name)) names.insert(name);
    }
    std::this_thread::yield();
  }
  EXPECT_THAT(names, IsSupersetOf(ours));
  const std::set<std::string> in_table = NamesInThreadTable();
  for (const std::string& name : names) EXPECT_TRUE(in_table.contains(name)) << name;
}

// SIGTERM in the middle of a stream: every observation the daemon says it received is durable at the end, the stream
// ends with StreamEnded and UNAVAILABLE, and the process with 0.
TEST(Engramd, FinishesWhatItAcceptedWhenToldToStopMidStream) {
  EngramdProcess engramd(OnFreePorts());
  ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
  const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
  StreamClient stream(*stub);
  stream.SendStart("s", "mine");
  stream.ReadStarted();
  std::jthread sender([&] {
    std::vector<v1::Observation> batch(100, MakeObservation("", std::vector<float>(128, 0.5f)));
    for (uint64_t first = 1; stream.SendBatch(first, batch); first += batch.size()) {
    }
  });
  ASSERT_TRUE(stream.ReadUntilDurable(2000));
  engramd.Signal(SIGTERM);
  ASSERT_TRUE(stream.ReadUntilEnded());
  EXPECT_TRUE(stream.ended->drained());
  EXPECT_EQ(stream.ended->durable_through(), stream.ended->received_through());
  EXPECT_EQ(stream.last_ack.durable_through(), stream.ended->durable_through());
  stream.ReadUntil([] { return false; });
  sender.join();
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(engramd.AwaitExit(), 0) << engramd.err();
}

// A stream that waits for the graph: linking four thousand at this width takes seconds, whatever the machine.
class GraphWaiter {
 public:
  explicit GraphWaiter(const std::string& address)
      : stub_(v1::MemoryService::NewStub(TestDaemon::Connect(address))), stream_(*stub_) {
    v1::CreateSpaceRequest create;
    create.set_name("graph");
    create.mutable_config()->set_flat_threshold(0);
    create.mutable_config()->set_ef_construction(1000);
    v1::Space space;
    EXPECT_TRUE(Call(*stub_, &v1::MemoryService::Stub::CreateSpace, create, &space).ok());
    stream_.SendStart("graph", "", false, v1::ACK_LEVEL_INDEXED);
    stream_.ReadStarted();
    std::vector<v1::Observation> batch;
    for (size_t i = 0; i < 4000; ++i) {
      std::vector<float> values(256);
      for (size_t d = 0; d < values.size(); ++d) values[d] = static_cast<float>((i * 7919 + d * 104729) % 1000) - 500;
      batch.push_back(MakeObservation("", values));
    }
    stream_.SendBatch(1, batch);
    v1::GetSpaceRequest get;
    get.set_name("graph");
    while (space.live() < 4000 && Call(*stub_, &v1::MemoryService::Stub::GetSpace, get, &space).ok()) {
    }
    EXPECT_LT(space.linked(), 4000u);
  }

 private:
  const std::unique_ptr<v1::MemoryService::Stub> stub_;
  StreamClient stream_;
};

// What docs/durability.md says of mode memory: however the daemon ends, all is lost, and no disk is used. A power cut
// can do no more than SIGKILL where nothing is on a disk.
TEST(Engramd, KeepsNothingInModeMemory) {
  const TempDirectory directory;
  const std::string data = directory / "data";
  const auto arguments = OnFreePorts({"--set", "durability.mode=memory", "--set", "storage.directory=" + data});
  using Stub = v1::MemoryService::Stub;
  for (const int signal : {SIGKILL, SIGTERM, 0}) {
    EngramdProcess engramd(arguments);
    ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
    const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
    v1::RecallRequest recall;
    recall.set_space("s");
    recall.set_embedding_f32(F32({1, 0}));
    recall.set_k(1);
    v1::RecallResponse recalled;
    EXPECT_EQ(Call(*stub, &Stub::Recall, recall, &recalled).error_code(), grpc::StatusCode::NOT_FOUND);
    v1::ListSpacesResponse spaces;
    ASSERT_TRUE(Call(*stub, &Stub::ListSpaces, v1::ListSpacesRequest(), &spaces).ok());
    EXPECT_EQ(spaces.spaces_size(), 0);
    StreamClient stream(*stub);
    stream.SendStart("s", "named", /*resume=*/true);
    EXPECT_EQ(stream.ReadStarted().next_sequence(), 1u) << "a stream knows nothing of its last life";
    if (signal == 0) break;
    v1::ObserveRequest observe;
    observe.set_space("s");
    *observe.add_observations() = MakeObservation("o", {1, 0});
    v1::ObserveResponse observed;
    ASSERT_TRUE(Call(*stub, &Stub::Observe, observe, &observed).ok());
    EXPECT_EQ(observed.durability(), v1::DURABILITY_MEMORY);
    ASSERT_TRUE(Call(*stub, &Stub::Recall, recall, &recalled).ok());
    EXPECT_EQ(recalled.hits_size(), 1);
    engramd.Signal(signal);
    engramd.AwaitExit();
  }
  EXPECT_FALSE(std::filesystem::exists(data));
}

TEST(Engramd, ExitsAtOnceAtASecondSignal) {
  EngramdProcess engramd(OnFreePorts({"--set", "server.drain_timeout=60s"}));
  ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
  const GraphWaiter waiter(engramd.grpc_address);
  engramd.Signal(SIGTERM);
  ASSERT_TRUE(engramd.AwaitLog("finishing what was accepted"));
  engramd.Signal(SIGTERM);
  EXPECT_EQ(engramd.AwaitExit(), 128 + SIGTERM) << engramd.err();
}

TEST(Engramd, SaysWhatWasLeftWhenItsBoundPasses) {
  EngramdProcess engramd(OnFreePorts({"--set", "server.drain_timeout=1ms"}));
  ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
  const GraphWaiter waiter(engramd.grpc_address);
  engramd.Signal(SIGTERM);
  EXPECT_EQ(engramd.AwaitExit(), 1) << engramd.err();
  EXPECT_THAT(engramd.err(), HasSubstr("server.drain_timeout has passed"));
}

TEST(Engramd, ReloadsOnHangup) {
  const auto file = std::filesystem::temp_directory_path() / ("engramd-" + std::to_string(getpid()) + ".yaml");
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  write("log:\n  level: info\n");
  EngramdProcess engramd(OnFreePorts({"--config", file.string()}));
  ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
  write("min_batch_size: 20\nqueue:\n  capacity: 30000\n");
  engramd.Signal(SIGHUP);
  ASSERT_TRUE(engramd.AwaitLog("configuration reloaded"));
  EXPECT_THAT(engramd.err(), HasSubstr("in force: min_batch_size: 10 -> 20"));
  EXPECT_THAT(engramd.err(), HasSubstr("needs a restart: queue.capacity: 10000 -> 30000"));
  write("min_batch_size: lots\nnum_wrokers: 2\n");
  engramd.Signal(SIGHUP);
  ASSERT_TRUE(engramd.AwaitLog("nothing has changed"));
  ASSERT_TRUE(engramd.AwaitLog(":2:1: num_wrokers"));
  EXPECT_THAT(engramd.err(), HasSubstr(":1:17: min_batch_size"));
  engramd.Signal(SIGTERM);
  EXPECT_EQ(engramd.AwaitExit(), 0);
  std::filesystem::remove(file);
}

TEST(Engramd, NamesTheAddressThatIsTaken) {
  EngramdProcess first(OnFreePorts());
  ASSERT_TRUE(first.AwaitReady());
  EngramdProcess second({"--set", "server.address=" + first.grpc_address, "--set", "metrics.address="});
  EXPECT_FALSE(second.AwaitReady());
  EXPECT_EQ(second.AwaitExit(), 69);
  EXPECT_THAT(second.err(), AllOf(HasSubstr(first.grpc_address), HasSubstr("choose another address")));
  EngramdProcess third({"--set", "server.address=127.0.0.1:0", "--set", "metrics.address=" + first.metrics_address});
  EXPECT_EQ(third.AwaitExit(), 69);
  EXPECT_THAT(third.err(), HasSubstr(first.metrics_address));
}

TEST(Engramd, ListsEveryFaultOfItsConfiguration) {
  EngramdProcess engramd({"--set", "num_workers=99", "--set", "nonsense=1", "--check-config"});
  EXPECT_EQ(engramd.AwaitExit(), 78);
  EXPECT_THAT(engramd.err(), AllOf(HasSubstr("num_workers"), HasSubstr("nonsense")));
  EngramdProcess good({"--check-config"});
  EXPECT_EQ(good.AwaitExit(), 0);
  EXPECT_EQ(good.out(), "configuration is valid\n");
}

TEST(Engramd, PrintsWhatItIsAskedFor) {
  const auto print = [](const std::vector<std::string>& arguments) {
    EngramdProcess engramd(arguments);
    EXPECT_EQ(engramd.AwaitExit(), 0) << engramd.err();
    return engramd.out();
  };
  EXPECT_THAT(print({"--print-config", "--profile", "low_latency"}), HasSubstr("profile low_latency"));
  EXPECT_THAT(print({"--print-config", "--output", "json"}), AllOf(StartsWith("{"), EndsWith("}\n")));
  EXPECT_THAT(print({"--print-config-reference"}), HasSubstr("queue.capacity"));
  EXPECT_THAT(print({"--print-metrics-reference"}), HasSubstr("engram_streaming_observations_total"));
  EXPECT_THAT(print({"--version"}), StartsWith("engramd "));
  EXPECT_THAT(print({"--help"}), AllOf(HasSubstr("Examples:"), HasSubstr("Exit codes:"), HasSubstr("--set")));
  EngramdProcess wrong({"--no-such-flag"});
  EXPECT_EQ(wrong.AwaitExit(), 64);
}

TEST(Engramd, LogsJsonWhenAsked) {
  EngramdProcess engramd(OnFreePorts({"--set", "log.format=json"}));
  ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
  engramd.Signal(SIGTERM);
  EXPECT_EQ(engramd.AwaitExit(), 0);
  EXPECT_THAT(engramd.err(), AllOf(StartsWith("{\"time\":\""), HasSubstr("\"level\":\"info\",\"message\":\"engramd ")));
}

}  // namespace
}  // namespace engram::testing
