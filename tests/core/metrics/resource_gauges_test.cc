// What is left of disk and memory is told at scrape.
#include <gtest/gtest.h>

#include <memory>

#include "core/engine.h"
#include "core/journal/journal.h"
#include "core/metrics/metrics.h"
#include "core/stream/thread_executor.h"
#include "tests/core/metrics/asserted_metrics.h"
#include "tests/support/made_up_machine.h"

namespace engram::testing {
namespace {

class ResourceGauges : public ::testing::Test {
 protected:
  void Expect(MetricId id, double value) {
    const std::vector<Metrics::Family> families = metrics_.Collect();
    const Metrics::Family& family = families[static_cast<size_t>(id)];
    ASSERT_EQ(family.samples.size(), 1u) << family.row->name;
    EXPECT_DOUBLE_EQ(family.samples[0].value, value) << family.row->name;
    AssertedMetrics().insert(id);
  }
  std::unique_ptr<Engine> Start(Directory* directory) {
    machine_.Write("proc/meminfo", "MemTotal: 4000 kB\n");
    machine_.UseMemory(300);
    EngineDeps deps;
    deps.clock = &clock_;
    deps.executor = &executor_;
    deps.metrics = &metrics_;
    deps.directory = directory;
    deps.system_root = machine_.root();
    return Engine::Create(std::make_shared<const Settings>(), std::move(deps));
  }

  MadeUpMachine machine_;
  MadeUpDisk disk_;
  RealClock clock_;
  Metrics metrics_{4, 50};
  ThreadExecutor executor_{4};
};

TEST_F(ResourceGauges, TellWhatIsUsedAndWhatIsLeft) {
  disk_.free = 123456;
  const auto engine = Start(&disk_);
  Expect(MetricId::kMemoryUsed, 300 * 1024);
  Expect(MetricId::kMemoryLimit, 4000 * 1024);
  Expect(MetricId::kDiskFree, 123456);
}

TEST_F(ResourceGauges, TellOfNoDiskWhereNothingIsKept) {
  const auto engine = Start(nullptr);
  EXPECT_TRUE(metrics_.Collect()[static_cast<size_t>(MetricId::kDiskFree)].samples.empty());
}

}  // namespace
}  // namespace engram::testing
