// The real engramd on a disk that is slow while it recovers, and on one that fails a sync.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/server/support/engramd_process.h"
#include "tests/server/support/grpc_health.h"
#include "tests/server/support/test_daemon.h"
#include "tests/server/support/troubled_disk.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using MemoryStub = v1::MemoryService::Stub;
using AdminStub = v1::AdminService::Stub;

constexpr size_t kEnough = 1000;  // Pieces: far more than there are.
constexpr int kObservations = 6000;
constexpr size_t kDimension = 256;

class TroubledDiskTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& environment, const std::string& mode = "fsync") {
    engramd_ = std::make_unique<EngramdProcess>(
        // An address that is known before the daemon is ready to say it.
        std::vector<std::string>{"--set", "server.address=" + address_, "--set", "metrics.address=", "--set",
                                 "storage.directory=" + directory_ / "data", "--set", "storage.segment_bytes=1MiB",
                                 "--set", "storage.group_bytes=256KiB", "--set", "storage.soft_free_bytes=0", "--set",
                                 "storage.hard_free_bytes=0", "--set", "durability.mode=" + mode, "--set",
                                 "durability.interval=50ms"},
        environment);
  }
  void AwaitReady() {
    const bool ready = engramd_->AwaitReady();
    if (!ready) engramd_->AwaitExit();
    ASSERT_TRUE(ready) << engramd_->err();
    Connect();
  }
  void Connect() {
    channel_ = TestDaemon::Connect(address_);
    memory_ = v1::MemoryService::NewStub(channel_);
    admin_ = v1::AdminService::NewStub(channel_);
  }

  // The next `count`, in one call; what is refused of them goes to refusals_.
  grpc::Status Observe(int count) {
    v1::ObserveRequest request;
    request.set_space("s");
    for (int i = 0; i < count; ++i) {
      std::vector<float> values(kDimension, 1.0f);
      values[next_ % kDimension] = static_cast<float>(2 + next_);
      *request.add_observations() = MakeObservation("o" + std::to_string(next_++), values);
    }
    v1::ObserveResponse response;
    const grpc::Status status = Call(*memory_, &MemoryStub::Observe, request, &response);
    for (const v1::Rejection& rejection : response.rejected()) refusals_.push_back(rejection.message());
    return status;
  }
  uint64_t Live() {
    v1::GetSpaceRequest request;
    request.set_name("s");
    v1::Space space;
    const grpc::Status status = Call(*memory_, &MemoryStub::GetSpace, request, &space);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return space.live();
  }
  void ExpectFound(size_t number) {
    v1::GetObservationsRequest request;
    request.set_space("s");
    request.add_ids("o" + std::to_string(number));
    v1::GetObservationsResponse response;
    const grpc::Status status = Call(*memory_, &MemoryStub::GetObservations, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.observations_size(), 1) << request.ids(0);
  }

  // A life that leaves several segments to be read, all of them sealed.
  void LiveOnce() {
    Start({});
    AwaitReady();
    for (int i = 0; i < kObservations / 500; ++i) ASSERT_TRUE(Observe(500).ok());
    ASSERT_THAT(refusals_, IsEmpty());
    engramd_->Signal(SIGTERM);
    ASSERT_EQ(engramd_->AwaitExit(), 0) << engramd_->err();
  }

  double Recovered() {
    v1::GetStatusResponse status;
    const grpc::Status got = Call(*admin_, &AdminStub::GetStatus, v1::GetStatusRequest(), &status);
    EXPECT_TRUE(got.ok()) << got.error_message();
    return got.ok() ? status.recovered() : -1;
  }

  const TempDirectory directory_;
  const std::string address_ = "unix:" + (directory_ / "socket");
  const TroubledDisk disk_;
  std::unique_ptr<EngramdProcess> engramd_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<MemoryStub> memory_;
  std::unique_ptr<AdminStub> admin_;
  size_t next_ = 0;
  std::vector<std::string> refusals_;
};

TEST_F(TroubledDiskTest, ASignalEndsAStartAtOnceAndTheNextOneRecoversEverything) {
  LiveOnce();
  for (const int signal : {SIGTERM, SIGINT}) {
    Start(disk_.HeldReads());
    // The second time within what is read.
    if (signal == SIGINT) disk_.LetRead(3);
    ASSERT_TRUE(engramd_->AwaitLog("% of the journal is read")) << engramd_->err();
    // A reload is nothing to end for.
    engramd_->Signal(SIGHUP);
    engramd_->Signal(signal);
    EXPECT_EQ(engramd_->AwaitExit(), 128 + signal) << engramd_->err();
    EXPECT_THAT(engramd_->err(), HasSubstr("exiting before the start is over"));
    EXPECT_EQ(engramd_->out(), "");
  }
  Start({});
  AwaitReady();
  EXPECT_EQ(Live(), static_cast<uint64_t>(kObservations));
  ExpectFound(0);
  ExpectFound(kObservations - 1);
}

TEST_F(TroubledDiskTest, WhileItRecoversItIsNotServingAndSaysHowFarItIs) {
  LiveOnce();
  Start(disk_.HeldReads());
  ASSERT_TRUE(engramd_->AwaitLog("recovering: 0 % of the journal is read")) << engramd_->err();
  Connect();
  std::set<double> seen;
  for (double before = 0; seen.size() < 4;) {
    for (const char* service : {"", "engram.v1.MemoryService", "engram.v1.AdminService"}) {
      EXPECT_EQ(CheckHealth(channel_, service), Health::kNotServing);
    }
    // Nothing is read meanwhile: what it says is the same everywhere.
    const grpc::Status refused = Observe(1);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(refused.error_message(), HasSubstr(std::to_string(std::lround(100 * before)) + " % is read"));
    disk_.LetRead(1);
    double now = before;
    while (now == before) now = Recovered();
    ASSERT_GT(now, before);
    ASSERT_LT(now, 1);
    seen.insert(now);
    before = now;
  }
  disk_.LetRead(kEnough);
  AwaitReady();
  EXPECT_EQ(CheckHealth(channel_, ""), Health::kServing);
  EXPECT_EQ(Recovered(), 1);
  EXPECT_EQ(Live(), static_cast<uint64_t>(kObservations));
}

class FailedSync : public TroubledDiskTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(FailedSync, EndsTheDaemonWith74AndTheNextOneHasWhatWasAcknowledged) {
  Start(disk_.BreakableSyncs(), GetParam());
  AwaitReady();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Observe(10).ok());
  ASSERT_THAT(refusals_, IsEmpty());
  disk_.BreakSyncs();
  uint64_t acknowledged = next_;
  // In mode interval what comes before the next sync is acknowledged still.
  while (Observe(10).ok() && refusals_.empty()) acknowledged = next_;
  EXPECT_THAT(refusals_, IsEmpty()) << "the next start would have taken them";
  EXPECT_EQ(engramd_->AwaitExit(), 74) << engramd_->err();
  EXPECT_THAT(engramd_->err(), HasSubstr("the journal cannot be written any more"));
  EXPECT_THAT(engramd_->err(), HasSubstr("Input/output error"));
  if (std::string(GetParam()) == "fsync") {
    EXPECT_EQ(acknowledged, 50u);
  }
  Start({}, GetParam());
  AwaitReady();
  EXPECT_GE(Live(), acknowledged);
  ExpectFound(0);
  ExpectFound(acknowledged - 1);
}

INSTANTIATE_TEST_SUITE_P(Modes, FailedSync, ::testing::Values("fsync", "interval"));

}  // namespace
}  // namespace engram::testing
