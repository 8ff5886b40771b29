#include "core/base/memory_limit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "tests/support/made_up_machine.h"

namespace engram::testing {
namespace {

constexpr uint64_t kMachine = uint64_t{1000} * 1024;

class MemoryLimits : public ::testing::Test {
 protected:
  MemoryLimits() { machine_.Write("proc/meminfo", "MemTotal:       1000 kB\nMemFree:     500 kB\n"); }

  std::optional<uint64_t> Limit() { return MemoryLimit(machine_.root()); }

  MadeUpMachine machine_;
};

TEST_F(MemoryLimits, WithoutControlGroupsIsTheMachinesMemory) { EXPECT_EQ(Limit(), kMachine); }

TEST_F(MemoryLimits, OfVersion2IsTheLeastOfAllAbove) {
  machine_.Write("proc/self/cgroup", "0::/kubepods/pod/container\n");
  machine_.Write("sys/fs/cgroup/kubepods/pod/container/memory.max", "max\n");
  EXPECT_EQ(Limit(), kMachine);
  machine_.Write("sys/fs/cgroup/kubepods/memory.max", "300000\n");
  EXPECT_EQ(Limit(), 300000u);
  machine_.Write("sys/fs/cgroup/kubepods/pod/memory.max", "200000\n");
  EXPECT_EQ(Limit(), 200000u);
  machine_.Write("sys/fs/cgroup/kubepods/pod/container/memory.max", "250000\n");
  EXPECT_EQ(Limit(), 200000u);
}

TEST_F(MemoryLimits, InAContainerTheMountIsTheGroup) {
  machine_.Write("proc/self/cgroup", "0::/not/to/be/seen\n");
  machine_.Write("sys/fs/cgroup/memory.max", "123456\n");
  EXPECT_EQ(Limit(), 123456u);
}

TEST_F(MemoryLimits, OfVersion1) {
  machine_.Write("proc/self/cgroup", "5:cpu:/docker/x\n4:memory:/docker/x\n0::/\n");
  machine_.Write("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Limit(), kMachine);
  machine_.Write("sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "400000\n");
  EXPECT_EQ(Limit(), 400000u);
}

TEST_F(MemoryLimits, AboveTheMachinesMemoryAreNone) {
  machine_.Write("proc/self/cgroup", "0::/\n");
  machine_.Write("sys/fs/cgroup/memory.max", "999999999\n");
  EXPECT_EQ(Limit(), kMachine);
}

TEST_F(MemoryLimits, OfNonsenseAreNone) {
  machine_.Write("proc/self/cgroup", "nonsense\n0::/\n::\n");
  for (const char* text : {"", "max", "0", "-1", "abc", "99999999999999999999999999"}) {
    machine_.Write("sys/fs/cgroup/memory.max", text);
    EXPECT_EQ(Limit(), kMachine) << text;
  }
  machine_.Write("proc/meminfo", "MemTotal: much\n");
  EXPECT_EQ(Limit(), std::nullopt);
}

TEST(MemoryInUse, LeavesOutPagesOfFiles) {
  MadeUpMachine machine;
  EXPECT_EQ(MemoryInUse(machine.root()), std::nullopt);
  machine.Write("proc/self/status",
                "Name:\tx\nVmRSS:\t    9000 kB\nRssAnon:\t     300 kB\nRssFile:\t    8600 kB\nRssShmem:\t      20 kB\n"
                "VmSwap:\t       5 kB\n");
  EXPECT_EQ(MemoryInUse(machine.root()), 325u * 1024);
}

TEST(MemoryInUse, IsTakenFromPagesWhereTheKernelSaysNoMore) {
  MadeUpMachine machine;
  machine.Write("proc/self/status", "Name:\tx\nVmRSS:\t    9000 kB\n");
  machine.Write("proc/self/statm", "1000 300 100 5 0 123 0\n");
  EXPECT_EQ(MemoryInUse(machine.root()), 200u * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
  machine.Write("proc/self/statm", "1000 100 300 5 0 123 0\n");
  EXPECT_EQ(MemoryInUse(machine.root()), std::nullopt);
}

TEST(MemoryInUse, HereGrowsByWhatIsTouched) {
  const std::optional<uint64_t> before = MemoryInUse();
  ASSERT_TRUE(before.has_value());
  ASSERT_TRUE(MemoryLimit().has_value());
  constexpr size_t kBytes = size_t{64} << 20;
  const std::vector<char> touched(kBytes, 'x');
  EXPECT_GE(*MemoryInUse(), *before + kBytes / 2) << touched[kBytes / 3];
}

}  // namespace
}  // namespace engram::testing
