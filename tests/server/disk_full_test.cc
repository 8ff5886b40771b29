// The real engramd on a disk that fills up: a small tmpfs of the test's own. It refuses in words or waits, recalls go
// on, nothing acknowledged is lost to a kill meanwhile, and it goes on by itself when the disk has grown.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>

#include "tests/server/support/engramd_process.h"
#include "tests/server/support/ledger_check.h"
#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Stub = v1::MemoryService::Stub;

class SmallDisk {
 public:
  explicit SmallDisk(int mebibytes) {
    if (mount("tmpfs", path().c_str(), "tmpfs", 0, fmt::format("size={}m", mebibytes).c_str()) != 0) error_ = errno;
  }
  ~SmallDisk() {
    if (ok()) umount2(path().c_str(), MNT_DETACH);
  }
  bool ok() const { return error_ == 0; }
  std::string why() const { return fmt::format("a tmpfs cannot be mounted here: {}", std::strerror(error_)); }
  const std::string& path() const { return directory_.path(); }
  void Resize(int mebibytes) {
    ASSERT_EQ(mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT, fmt::format("size={}m", mebibytes).c_str()), 0)
        << std::strerror(errno);
  }

 private:
  const TempDirectory directory_;
  int error_ = 0;
};

class DiskFull : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!disk_.ok()) GTEST_SKIP() << disk_.why();
  }

  void Start(const std::string& soft, const std::string& hard) {
    engramd_ = std::make_unique<EngramdProcess>(
        std::vector<std::string>{"--set", "server.address=127.0.0.1:0", "--set", "metrics.address=127.0.0.1:0", "--set",
                                 "storage.directory=" + disk_.path(), "--set", "storage.segment_bytes=1MiB", "--set",
                                 "storage.group_bytes=256KiB", "--set", "storage.spare_segments=1", "--set",
                                 "storage.soft_free_bytes=" + soft, "--set", "storage.hard_free_bytes=" + hard, "--set",
                                 "durability.mode=" + mode_, "--set", "server.drain_timeout=" + patience_});
    const bool ready = engramd_->AwaitReady();
    if (!ready) engramd_->AwaitExit();
    ASSERT_TRUE(ready) << engramd_->err();
    stub_ = v1::MemoryService::NewStub(TestDaemon::Connect(engramd_->grpc_address));
  }
  void Kill() {
    engramd_->Signal(SIGKILL);
    EXPECT_EQ(engramd_->AwaitExit(), 128 + SIGKILL) << engramd_->err();
  }

  // Observes a hundred; what is refused is known not to be there, what got no answer may be.
  grpc::Status Observe(v1::ObserveResponse* response, std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    v1::ObserveRequest request;
    request.set_space("s");
    std::vector<std::string> ids;
    for (int i = 0; i < 100; ++i) {
      ids.push_back("o" + std::to_string(next_++));
      *request.add_observations() = ObservationOf("s", ids.back(), 1);
      ledger_.Sent("s", ids.back(), 1);
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patience);
    const grpc::Status status = stub_->Observe(&context, request, response);
    if (!status.ok()) return status;
    for (const v1::Rejection& rejection : response->rejected()) {
      for (uint64_t i = 0; i < rejection.count(); ++i) ledger_.Lost("s", ids[rejection.sequence() - 1 + i], 1);
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!response->ids(static_cast<int>(i)).empty()) ledger_.Answered("s", ids[i], 1);
    }
    return status;
  }

  void CheckAll() {
    LedgerCheck check{*stub_, ledger_, random_};
    check.Contents("s");
    check.OwnVectors("s", 50);
  }

  std::string mode_ = "fsync";
  std::string patience_ = "30s";
  SmallDisk disk_{12};
  Ledger ledger_;
  std::mt19937_64 random_{12};
  uint64_t next_ = 0;
  std::unique_ptr<EngramdProcess> engramd_;
  std::unique_ptr<Stub> stub_;
};

TEST_F(DiskFull, BelowTheHardMarkIsRefusedInWordsAndTakenAgainWhenThereIsRoom) {
  // Far enough from the last byte: the marks are looked at ten times a second, and meanwhile the disk fills on.
  Start("9MiB", "7MiB");
  StreamClient stream(*stub_);
  stream.SendStart("s", "listener");
  v1::ObserveResponse response;
  // 12 MiB are full long before a hundred thousand.
  while (response.rejected_size() == 0 && next_ < 100'000) ASSERT_TRUE(Observe(&response).ok());
  ASSERT_GT(response.rejected_size(), 0);
  EXPECT_EQ(response.rejected(0).code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(response.rejected(0).message(), AllOf(HasSubstr(disk_.path()), HasSubstr("bytes free")));
  EXPECT_GT(response.rejected(0).retry_after_us(), 0);
  EXPECT_TRUE(stream.ReadUntil(
      [&] { return !stream.pressure.empty() && stream.pressure.back().level() > v1::PRESSURE_LEVEL_NORMAL; }));
  CheckAll();

  Kill();
  Start("9MiB", "7MiB");
  CheckAll();
  ASSERT_TRUE(Observe(&response).ok());
  EXPECT_GT(response.rejected_size(), 0);

  disk_.Resize(48);
  // The disk is looked at every 100 ms: soon, and without anybody's doing, all of a request is taken.
  for (int i = 0; i < 1000 && response.rejected_size() > 0; ++i) ASSERT_TRUE(Observe(&response).ok());
  EXPECT_EQ(response.rejected_size(), 0);
  EXPECT_EQ(response.accepted(), 100u);
  CheckAll();
}

// No marks: the journal itself runs into ENOSPC. What it holds then waits, and is durable once there is room.
TEST_F(DiskFull, ToTheLastByteMakesWritesWaitAndRecallsGoOn) {
  Start("0", "0");
  v1::ObserveResponse response;
  grpc::Status status;
  while (status.ok() && next_ < 200'000) status = Observe(&response, std::chrono::seconds(2));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  ASSERT_TRUE(engramd_->AwaitLog("the journal waits for room"));
  EXPECT_THAT(engramd_->err(), HasSubstr(disk_.path()));
  LedgerCheck check{*stub_, ledger_, random_};
  check.OwnVectors("s", 50);

  disk_.Resize(48);
  // Behind what waits.
  ASSERT_TRUE(Observe(&response).ok());
  EXPECT_EQ(response.accepted(), 100u);
  ASSERT_TRUE(engramd_->AwaitLog("the journal has room again"));
  CheckAll();
  Kill();
  Start("0", "0");
  CheckAll();
}

// The lanes are empty then: what was accepted waits at the journal.
TEST_F(DiskFull, ASignalThenDoesNotSayThatEverythingWasFinished) {
  patience_ = "100ms";
  Start("0", "0");
  v1::ObserveResponse response;
  grpc::Status status;
  while (status.ok() && next_ < 200'000) status = Observe(&response, std::chrono::seconds(2));
  ASSERT_TRUE(engramd_->AwaitLog("the journal waits for room"));
  engramd_->Signal(SIGTERM);
  EXPECT_EQ(engramd_->AwaitExit(), 1) << engramd_->err();
  EXPECT_THAT(engramd_->err(), ContainsRegex("[1-9][0-9]* observations, 0 streams and 0 calls were not finished"));
  disk_.Resize(48);
  Start("0", "0");
  CheckAll();
}

class DiskFullInEitherMode : public DiskFull, public ::testing::WithParamInterface<const char*> {
 protected:
  DiskFullInEitherMode() { mode_ = GetParam(); }
};

TEST_P(DiskFullInEitherMode, ToTheLastByteLosesNothingToAKillAndStartsAgain) {
  Start("0", "0");
  v1::ObserveResponse response;
  grpc::Status status;
  while (status.ok() && next_ < 200'000) status = Observe(&response, std::chrono::seconds(2));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  Kill();
  // Whether there is room for a start on a disk that is full is not promised; that nothing is lost is.
  disk_.Resize(48);
  Start("0", "0");
  CheckAll();
  ASSERT_TRUE(Observe(&response).ok());
  EXPECT_EQ(response.accepted(), 100u);
  CheckAll();
}

INSTANTIATE_TEST_SUITE_P(Modes, DiskFullInEitherMode, ::testing::Values("fsync", "interval"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace engram::testing
