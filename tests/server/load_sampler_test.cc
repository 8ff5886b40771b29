// What the daemon tells of its load, and what it gives back when there is none.
#include "server/load_sampler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "core/journal/journal.h"
#include "server/ingest_pause.h"
#include "tests/support/fake_clock.h"
#include "tests/support/inline_executor.h"

namespace engram::testing {
namespace {

using std::chrono::seconds;

TEST(LoadSampler, SummarizesWhatABucketHasGained) {
  const size_t buckets = RowOf(MetricId::kRecallLatency).buckets.size() + 1;
  std::vector<uint64_t> earlier(buckets, 7), later(buckets, 7);
  EXPECT_EQ(SummarizeLatency(MetricId::kRecallLatency, earlier, later).count, 0u);
  later[0] += 98;  // Up to 1 ms.
  later[1] += 2;   // 1 to 5 ms.
  const LatencySummary summary = SummarizeLatency(MetricId::kRecallLatency, earlier, later);
  EXPECT_EQ(summary.count, 100u);
  EXPECT_NEAR(static_cast<double>(summary.p50.count()), 510, 1);
  EXPECT_NEAR(static_cast<double>(summary.p99.count()), 3000, 1);
  later[buckets - 1] += 1000;  // Above all bounds: the last bound is told.
  EXPECT_EQ(SummarizeLatency(MetricId::kRecallLatency, earlier, later).p99.count(),
            static_cast<int64_t>(RowOf(MetricId::kRecallLatency).buckets.back() * 1e6));
}

TEST(IngestPause, IsToldOnceOfEachPauseThatLasts) {
  IngestPause pause;
  const MonotonicTime begin{};
  const auto told = [&](uint64_t counted, int second) { return pause.HasLasted(counted, begin + seconds(second)); };
  EXPECT_FALSE(told(0, 0));
  EXPECT_FALSE(told(0, 100)) << "nothing has come yet";
  EXPECT_FALSE(told(5, 101));
  EXPECT_FALSE(told(5, 110));
  EXPECT_TRUE(told(5, 111));
  EXPECT_FALSE(told(5, 112));
  EXPECT_FALSE(told(5, 300));
  EXPECT_FALSE(told(6, 301));
  EXPECT_FALSE(told(7, 305));
  EXPECT_FALSE(told(7, 314));
  EXPECT_TRUE(told(7, 315));
}

TEST(LoadSampler, GivesFreeMemoryBackOnceIngestHasPaused) {
  FakeClock engine_clock, clock;
  InlineExecutor executor;
  Metrics metrics(1, 10);
  const auto engine = Engine::Create(std::make_shared<const Settings>(),
                                     {.clock = &engine_clock, .executor = &executor, .metrics = &metrics});
  std::atomic<int> returned{0};
  LoadSampler sampler(engine.get(), &metrics, &clock, [&] { ++returned; });
  const auto pass = [&](int count) {
    for (int i = 0; i < count; ++i) {
      clock.AwaitWaiters(1);
      clock.Advance(seconds(1));
    }
    clock.AwaitWaiters(1);
  };
  pass(30);
  EXPECT_EQ(returned, 0);
  const auto space = metrics.AddSpace("notes");
  space->Observe(MetricId::kObservationLatency, 1'000'000);
  pass(10);
  EXPECT_EQ(returned, 0);
  pass(1);
  EXPECT_EQ(returned, 1);
  pass(20);
  EXPECT_EQ(returned, 1);
  space->Observe(MetricId::kObservationLatency, 1'000'000);
  pass(11);
  EXPECT_EQ(returned, 2);
}

}  // namespace
}  // namespace engram::testing
