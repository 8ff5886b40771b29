// The real engramd in a directory whose files it may not read, or that it may not write: a permission that is lost is
// no damage. It is named, nothing is touched, and whoever is given it back has lost nothing.
//
// Root may read and write whatever the permissions, so the daemon is not given that right.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>

#include "tests/server/support/engramd_process.h"
#include "tests/server/support/ledger_check.h"
#include "tests/server/support/ledger_stream.h"
#include "tests/server/support/test_daemon.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Stub = v1::MemoryService::Stub;

class PermissionTest : public ::testing::TestWithParam<const char*> {
 protected:
  // False when it ends instead.
  bool Start() {
    engramd_ = std::make_unique<EngramdProcess>(
        std::vector<std::string>{"--set", "server.address=127.0.0.1:0", "--set", "metrics.address=", "--set",
                                 "storage.directory=" + data_, "--set", fmt::format("durability.mode={}", GetParam()),
                                 "--set", "storage.segment_bytes=1MiB", "--set", "storage.group_bytes=256KiB", "--set",
                                 "storage.spare_segments=1", "--set", "storage.soft_free_bytes=0", "--set",
                                 "storage.hard_free_bytes=0"},
        std::vector<std::string>{}, EngramdProcess::Rights::kOfPermissionsOnly);
    if (!engramd_->AwaitReady()) return false;
    stub_ = v1::MemoryService::NewStub(TestDaemon::Connect(engramd_->grpc_address));
    return true;
  }
  // A life that ends in good order.
  void LiveOnce() {
    ASSERT_TRUE(Start());
    LedgerStream stream("s", "stream", &ledger_);
    stream.Open(*stub_);
    ASSERT_TRUE(stream.Send(3000, random_, {[] {}, [] {}}));
    stream.End();
    engramd_->Signal(SIGTERM);
    ASSERT_EQ(engramd_->AwaitExit(), 0) << engramd_->err();
  }
  void CheckAll() { LedgerCheck{*stub_, ledger_, random_}.Contents("s"); }

  // What lies there, but for LOCK, in which each start writes.
  std::map<std::string, std::string> Files() const {
    std::map<std::string, std::string> files;
    for (const auto& file : fs::directory_iterator(data_)) {
      if (file.path().filename() == "LOCK") continue;
      std::ifstream in(file.path(), std::ios::binary);
      files[file.path().filename()] = {std::istreambuf_iterator<char>(in), {}};
    }
    return files;
  }

  const TempDirectory root_;
  const std::string data_ = root_ / "data";
  Ledger ledger_;
  std::mt19937_64 random_{1964};
  std::unique_ptr<EngramdProcess> engramd_;
  std::unique_ptr<Stub> stub_;
};

TEST_P(PermissionTest, OfAFileLostEndsTheStartNamesItAndTouchesNothing) {
  LiveOnce();
  const std::map<std::string, std::string> before = Files();
  ASSERT_GE(before.size(), 2u);
  std::vector<std::string> names{"LOCK"};
  for (const auto& [name, content] : before) names.push_back(name);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const fs::path path = fs::path(data_) / name;
    fs::permissions(path, fs::perms::none);
    const bool started = Start();
    EXPECT_FALSE(started);
    if (started) engramd_->Signal(SIGTERM);
    EXPECT_EQ(engramd_->AwaitExit(), 74);
    EXPECT_THAT(engramd_->err(), AllOf(HasSubstr(name), HasSubstr("ermission denied")));
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(Files(), before);
  }
  ASSERT_TRUE(Start());
  CheckAll();
}

// Nothing has to be made for reading, so it serves; the first write needs a segment, and a name for it.
TEST_P(PermissionTest, ToWriteTheDirectoryLostIsFoundOutByTheFirstWrite) {
  LiveOnce();
  fs::permissions(data_, fs::perms::owner_read | fs::perms::owner_exec);
  ASSERT_TRUE(Start());
  CheckAll();
  v1::ObserveRequest observe;
  observe.set_space("s");
  *observe.add_observations() = ObservationOf("s", "late", 1);
  v1::ObserveResponse observed;
  // Refused, or the daemon was gone before it could say so.
  EXPECT_TRUE(!Call(*stub_, &Stub::Observe, observe, &observed).ok() || observed.accepted() == 0);
  EXPECT_EQ(engramd_->AwaitExit(), 74);
  EXPECT_THAT(engramd_->err(), AllOf(HasSubstr("the journal cannot be written any more"), HasSubstr(data_),
                                     HasSubstr("ermission denied")));
  fs::permissions(data_, fs::perms::owner_all);
  ASSERT_TRUE(Start());
  CheckAll();
}

INSTANTIATE_TEST_SUITE_P(Modes, PermissionTest, ::testing::Values("fsync", "interval"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace engram::testing
