// What of a graph is dead is told at scrape, and that it was rebuilt is counted.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/metrics/metrics.h"
#include "tests/core/metrics/asserted_metrics.h"
#include "tests/core/metrics/gates.h"
#include "tests/support/observations.h"

namespace engram::testing {
namespace {

class GraphMetrics : public ::testing::Test {
 protected:
  GraphMetrics() {
    EngineDeps deps;
    deps.clock = &clock_;
    deps.executor = &executor_;
    deps.metrics = &metrics_;
    engine_ = Engine::Create(std::make_shared<const Settings>(), std::move(deps));
    engine_->Start();
  }
  ~GraphMetrics() override { executor_.ReleaseLinking(); }

  void Expect(MetricId id, double value) {
    const std::vector<Metrics::Family> families = metrics_.Collect();
    for (const Metrics::Sample& sample : families[static_cast<size_t>(id)].samples) {
      if (sample.labels != std::vector<std::pair<std::string, std::string>>{{"memory_space", "notes"}}) continue;
      EXPECT_DOUBLE_EQ(sample.value, value) << RowOf(id).name;
      if (value != 0) AssertedMetrics().insert(id);
      return;
    }
    ADD_FAILURE() << RowOf(id).name << " is not told";
  }

  RealClock clock_;
  Metrics metrics_{4, 50};
  GatedExecutor executor_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(GraphMetrics, TellWhatIsDeadAndThatTheGraphWasRebuilt) {
  ASSERT_TRUE(engine_->CreateSpace("notes", {.dimension = 2, .flat_threshold = 16}).ok());
  std::vector<TestObservation> observations;
  for (int i = 0; i < 100; ++i) {
    const auto angle = static_cast<float>(i);
    observations.push_back({.id = std::to_string(i), .embedding = {std::cos(angle), std::sin(angle)}});
  }
  const MonotonicTime soon = clock_.Now() + std::chrono::minutes(1);
  ASSERT_TRUE(
      engine_->Observe("notes", MakeBatch(std::move(observations)), Priority::kNormal, AckLevel::kIndexed, soon).ok());
  executor_.AwaitIdle();
  Expect(MetricId::kGraphDead, 0);
  executor_.HoldLinking();
  ForgetQuery query;
  query.space = "notes";
  for (int i = 0; i < 30; ++i) query.ids.push_back(std::to_string(i));
  ASSERT_TRUE(engine_->Forget(query).ok());
  Expect(MetricId::kGraphDead, 0.3);
  Expect(MetricId::kGraphRebuilds, 0);
  // Nobody observes anything: the janitor sees to it.
  ASSERT_TRUE(engine_->Housekeep().ok());
  executor_.ReleaseLinking();
  executor_.AwaitIdle();
  Expect(MetricId::kGraphDead, 0);
  Expect(MetricId::kGraphRebuilds, 1);
  Expect(MetricId::kLinked, 100);
}

}  // namespace
}  // namespace engram::testing
