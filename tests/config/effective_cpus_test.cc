#include "core/base/effective_cpus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace engram {
namespace {

namespace fs = std::filesystem;

// A made-up /proc and /sys.
class ControlGroups : public ::testing::Test {
 protected:
  ControlGroups() {
    std::string name = (fs::temp_directory_path() / "engram-cpus-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~ControlGroups() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

TEST_F(ControlGroups, NoneSetNoLimit) {
  EXPECT_EQ(CoresOfControlGroups(root_), std::nullopt);
  EXPECT_GE(EffectiveCpus(root_), 1);
}

TEST_F(ControlGroups, Version2TakesTheLeastOfAllAbove) {
  Write("proc/self/cgroup", "0::/kubepods/pod/container\n");
  Write("sys/fs/cgroup/kubepods/pod/container/cpu.max", "max 100000\n");
  EXPECT_EQ(CoresOfControlGroups(root_), std::nullopt);
  Write("sys/fs/cgroup/kubepods/pod/cpu.max", "250000 100000\n");
  EXPECT_EQ(CoresOfControlGroups(root_), 3);
  Write("sys/fs/cgroup/kubepods/cpu.max", "200000 100000\n");
  EXPECT_EQ(CoresOfControlGroups(root_), 2);
  Write("sys/fs/cgroup/kubepods/pod/container/cpu.max", "50000 100000\n");
  EXPECT_EQ(CoresOfControlGroups(root_), 1);
  EXPECT_EQ(EffectiveCpus(root_), 1);
}

TEST_F(ControlGroups, InAContainerTheMountIsTheGroup) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  EXPECT_EQ(CoresOfControlGroups(root_), 1);
}

TEST_F(ControlGroups, Version1) {
  Write("proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n");
  Write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CoresOfControlGroups(root_), std::nullopt);
  Write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "400000\n");
  EXPECT_EQ(CoresOfControlGroups(root_), 4);
}

TEST_F(ControlGroups, NonsenseSetsNoLimit) {
  Write("proc/self/cgroup", "nonsense\n0::/\n::\n");
  for (const char* text : {"", "max", "100000", "0 0", "-1 100000", "abc def", "1e300 1"}) {
    Write("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(CoresOfControlGroups(root_), std::nullopt) << text;
  }
}

TEST(EffectiveCpus, IsAtLeastOneHere) { EXPECT_GE(EffectiveCpus(), 1); }

}  // namespace
}  // namespace engram
