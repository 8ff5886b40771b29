#include "core/metrics/process_gauges.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace engram {
namespace {

std::map<MetricId, double> Read() {
  std::map<MetricId, double> values;
  ProcessGauges()([&](MetricId id, std::string_view owner, size_t second, double value) {
    EXPECT_TRUE(owner.empty());
    EXPECT_EQ(second, 0u);
    EXPECT_TRUE(values.emplace(id, value).second);
  });
  return values;
}

TEST(ProcessGauges, TellsEveryProcessRow) {
  const auto values = Read();
  for (const MetricRow& row : MetricRows()) {
    if (row.name.starts_with("process_")) {
      EXPECT_TRUE(values.contains(row.id)) << row.name;
      EXPECT_GT(values.at(row.id), 0) << row.name;
    }
  }
}

TEST(ProcessGauges, CountsThreadsAndDescriptors) {
  const auto before = Read();
  std::vector<int> fds;
  for (int i = 0; i < 5; ++i) fds.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::map<MetricId, double> during;
  std::jthread([&] { during = Read(); }).join();
  for (const int fd : fds) close(fd);
  EXPECT_EQ(during[MetricId::kProcessFds], before.at(MetricId::kProcessFds) + 5);
  EXPECT_EQ(during[MetricId::kProcessThreads], before.at(MetricId::kProcessThreads) + 1);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(during[MetricId::kProcessMaxFds], static_cast<double>(limit.rlim_cur));
}

TEST(ProcessGauges, MemoryGrowsWhenItIsTouched) {
  constexpr size_t kBytes = size_t{64} << 20;
  const auto before = Read();
  std::vector<char> block(kBytes, 1);
  const auto after = Read();
  EXPECT_GT(after.at(MetricId::kProcessResident), before.at(MetricId::kProcessResident) + kBytes / 2);
  EXPECT_GE(after.at(MetricId::kProcessVirtual), after.at(MetricId::kProcessResident));
  EXPECT_EQ(block.back(), 1);
}

TEST(ProcessGauges, TheStartIsInThePastAndDoesNotMove) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double start = Read().at(MetricId::kProcessStart);
  EXPECT_LE(start, now + 1);  // The kernel keeps it in hundredths and its boot time in seconds.
  EXPECT_GT(start, now - 3600);
  EXPECT_EQ(Read().at(MetricId::kProcessStart), start);
}

TEST(ProcessGauges, CpuTimeIsACounterThatRises) {
  EXPECT_EQ(RowOf(MetricId::kProcessCpu).type, MetricType::kSampledCounter);
  const double before = Read().at(MetricId::kProcessCpu);
  EXPECT_GT(Read().at(MetricId::kProcessCpu), before);
}

}  // namespace
}  // namespace engram
