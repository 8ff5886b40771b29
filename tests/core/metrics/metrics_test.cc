// Cells and what Collect makes of them.
#include "core/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

namespace engram {
namespace {

using ::testing::ElementsAre;
using Labels = std::vector<std::pair<std::string, std::string>>;

const Metrics::Sample* Find(const std::vector<Metrics::Family>& families, MetricId id, const Labels& labels) {
  for (const Metrics::Sample& sample : families[static_cast<size_t>(id)].samples) {
    if (sample.labels == labels) return &sample;
  }
  return nullptr;
}

double Value(const std::vector<Metrics::Family>& families, MetricId id, const Labels& labels) {
  const Metrics::Sample* sample = Find(families, id, labels);
  return sample == nullptr ? std::nan("") : sample->value;
}

TEST(Series, EveryCellIsItsOwn) {
  for (const MetricOwner owner : {MetricOwner::kProcess, MetricOwner::kWorker, MetricOwner::kSpace}) {
    Series series(owner);
    uint64_t n = 0;
    for (const MetricRow& row : MetricRows()) {
      if (OwnerOf(row.labels) != owner) continue;
      const size_t seconds = std::max<size_t>(1, SecondLabelValues(row.labels).size());
      for (size_t second = 0; second < seconds; ++second) {
        if (row.type == MetricType::kCounter) series.Add(row.id, ++n, second);
        if (row.type == MetricType::kHistogram) {
          for (const double bound : row.buckets) {
            series.Observe(row.id, std::llround(bound / row.unit), ++n, second);
          }
          series.Observe(row.id, std::llround(row.buckets.back() / row.unit) + 1, ++n, second);
        }
      }
    }
    uint64_t expected = 0;
    for (const MetricRow& row : MetricRows()) {
      if (OwnerOf(row.labels) != owner) continue;
      const size_t seconds = std::max<size_t>(1, SecondLabelValues(row.labels).size());
      for (size_t second = 0; second < seconds; ++second) {
        if (row.type == MetricType::kCounter) {
          EXPECT_EQ(series.Count(row.id, second), ++expected) << row.name << second;
        } else if (row.type == MetricType::kHistogram) {
          for (const uint64_t count : series.ReadHistogram(row.id, second).counts) {
            EXPECT_EQ(count, ++expected) << row.name << second;
          }
        }
      }
    }
    EXPECT_EQ(expected, n);
    EXPECT_GT(n, 0u);
  }
}

TEST(Series, BoundsAreInclusive) {
  Series series(MetricOwner::kSpace);
  const auto observe = [&](int64_t ns) { series.Observe(MetricId::kRecallLatency, ns); };
  observe(-5);  // A clock that went back.
  observe(0);
  observe(1'000'000);
  observe(1'000'001);
  observe(5'000'000);
  observe(20'000'000);
  observe(20'000'001);
  observe(500'000'000);
  observe(500'000'001);
  observe(90'000'000'000);
  const Series::Histogram histogram = series.ReadHistogram(MetricId::kRecallLatency);
  //                                    1ms 5ms 10ms 20ms 50ms 100ms 500ms above
  EXPECT_THAT(histogram.counts, ElementsAre(3, 2, 0, 1, 1, 0, 1, 2));
  EXPECT_EQ(histogram.sum, 1'000'000 + 1'000'001 + 5'000'000 + 20'000'000 + 20'000'001 + 500'000'000 + 500'000'001 +
                               90'000'000'000);
}

TEST(Series, EveryBoundOfEveryHistogramIsExactInItsUnit) {
  for (const MetricRow& row : MetricRows()) {
    if (row.type != MetricType::kHistogram) continue;
    for (size_t i = 0; i < row.buckets.size(); ++i) {
      Series series(OwnerOf(row.labels));
      const int64_t bound = std::llround(row.buckets[i] / row.unit);
      series.Observe(row.id, bound);
      series.Observe(row.id, bound + 1);
      const Series::Histogram histogram = series.ReadHistogram(row.id);
      EXPECT_EQ(histogram.counts[i], 1u) << row.name << " " << row.buckets[i];
      EXPECT_EQ(histogram.counts[i + 1], 1u) << row.name << " " << row.buckets[i];
    }
  }
}

TEST(Series, ObservesManyAtOnce) {
  Series series(MetricOwner::kProcess);
  series.Observe(MetricId::kQueueWait, 2'000'000, 250, SecondOf(Priority::kNormal));
  EXPECT_EQ(series.ReadHistogram(MetricId::kQueueWait, SecondOf(Priority::kHigh)).sum, 0);
  const Series::Histogram histogram = series.ReadHistogram(MetricId::kQueueWait, SecondOf(Priority::kNormal));
  EXPECT_EQ(histogram.counts[1], 250u);
  EXPECT_EQ(histogram.sum, 500'000'000);
}

TEST(SeriesDeathTest, ACellOfAnotherOwnerIsABrokenInvariant) {
  Series series(MetricOwner::kWorker);
  EXPECT_DEATH(series.Add(MetricId::kObservations), "broken invariant");
  EXPECT_DEATH(series.Add(MetricId::kBatchFailures, 1, 2), "broken invariant");
  EXPECT_DEATH(series.Add(MetricId::kWorkerUtilization), "broken invariant");
}

TEST(Series, ThreadsLoseNothing) {
  Series series(MetricOwner::kSpace);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        series.Add(MetricId::kObservations, 3, 1);
        series.Observe(MetricId::kObservationLatency, i);
      }
    });
  }
  for (std::jthread& thread : threads) thread.join();
  EXPECT_EQ(series.Count(MetricId::kObservations, 1), 120'000u);
  EXPECT_EQ(series.ReadHistogram(MetricId::kObservationLatency).counts[0], 40'000u);
}

TEST(Metrics, CollectsTheTableInItsOrder) {
  Metrics metrics(2, 4);
  const auto families = metrics.Collect();
  ASSERT_EQ(families.size(), kMetricCount);
  for (size_t i = 0; i < families.size(); ++i) EXPECT_EQ(families[i].row, &MetricRows()[i]);
}

TEST(Metrics, CountersAndHistogramsAreThereBeforeTheyMove) {
  Metrics metrics(2, 4);
  const auto families = metrics.Collect();
  EXPECT_EQ(Value(families, MetricId::kJournalRecords, {}), 0);
  EXPECT_EQ(Value(families, MetricId::kBatches, {{"worker_id", "1"}}), 0);
  EXPECT_EQ(Value(families, MetricId::kRejected, {{"memory_space", "other"}, {"reason", "quota"}}), 0);
  const Metrics::Sample* wait = Find(families, MetricId::kQueueWait, {{"priority", "high"}});
  ASSERT_NE(wait, nullptr);
  EXPECT_EQ(wait->counts, std::vector<uint64_t>(8, 0));
}

TEST(Metrics, ShowsWhatWasCounted) {
  Metrics metrics(2, 4);
  const auto space = metrics.AddSpace("notes");
  metrics.process().Add(MetricId::kJournalBytes, 4096);
  metrics.worker(1).Add(MetricId::kBatchFailures, 2, SecondOf(BatchError::kStatus));
  metrics.worker(0).Observe(MetricId::kBatchSize, 250, 4);
  space->Add(MetricId::kObservations, 7, SecondOf(Priority::kHigh));
  space->Add(MetricId::kRecallRequests, 5, 13);
  const auto families = metrics.Collect();
  EXPECT_EQ(Value(families, MetricId::kJournalBytes, {}), 4096);
  EXPECT_EQ(Value(families, MetricId::kBatchFailures, {{"worker_id", "1"}, {"error_type", "status"}}), 2);
  EXPECT_EQ(Value(families, MetricId::kBatchFailures, {{"worker_id", "0"}, {"error_type", "status"}}), 0);
  EXPECT_EQ(Value(families, MetricId::kObservations, {{"memory_space", "notes"}, {"priority", "high"}}), 7);
  EXPECT_EQ(Value(families, MetricId::kRecallRequests, {{"memory_space", "notes"}, {"code", "INTERNAL"}}), 5);
  const Metrics::Sample* size = Find(families, MetricId::kBatchSize, {{"worker_id", "0"}});
  ASSERT_NE(size, nullptr);
  EXPECT_THAT(size->counts, ElementsAre(0, 0, 0, 0, 4, 0, 0, 0));
  EXPECT_EQ(size->sum, 1000);
}

TEST(Metrics, DurationsAreExposedInSeconds) {
  Metrics metrics(1, 4);
  const auto space = metrics.AddSpace("notes");
  space->Observe(MetricId::kTimeToDurable, 250'000'000, 2);
  const auto families = metrics.Collect();
  const Metrics::Sample* sample = Find(families, MetricId::kTimeToDurable, {{"memory_space", "notes"}});
  ASSERT_NE(sample, nullptr);
  EXPECT_DOUBLE_EQ(sample->sum, 0.5);
}

TEST(Metrics, GaugesOfUnnamedSpacesAreSummedAndPressureIsTheHighest) {
  Metrics metrics(1, 1);
  const auto busy = metrics.AddSpace("busy");
  const auto idle = metrics.AddSpace("idle");
  const auto quiet = metrics.AddSpace("quiet");
  busy->Add(MetricId::kObservations, 10);
  metrics.AddGaugeSource([](const GaugeSink& sink) {
    sink(MetricId::kSpaceLive, "busy", 0, 100);
    sink(MetricId::kSpaceLive, "idle", 0, 20);
    sink(MetricId::kSpaceLive, "quiet", 0, 3);
    sink(MetricId::kBackpressureState, "busy", 0, 1);
    sink(MetricId::kBackpressureState, "idle", 0, 2);
    sink(MetricId::kBackpressureState, "quiet", 0, 1);
    sink(MetricId::kQueueDepth, {}, SecondOf(Priority::kHigh), 5);
    sink(MetricId::kWorkerUtilization, "0", 0, 62.5);
  });
  const auto families = metrics.Collect();
  EXPECT_EQ(Value(families, MetricId::kSpaceLive, {{"memory_space", "busy"}}), 100);
  EXPECT_EQ(Value(families, MetricId::kSpaceLive, {{"memory_space", "other"}}), 23);
  EXPECT_EQ(families[static_cast<size_t>(MetricId::kSpaceLive)].samples.size(), 2u);
  EXPECT_EQ(Value(families, MetricId::kBackpressureState, {{"memory_space", "busy"}}), 1);
  EXPECT_EQ(Value(families, MetricId::kBackpressureState, {{"memory_space", "other"}}), 2);
  EXPECT_EQ(Value(families, MetricId::kQueueDepth, {{"priority", "high"}}), 5);
  EXPECT_EQ(Value(families, MetricId::kWorkerUtilization, {{"worker_id", "0"}}), 62.5);
}

TEST(Metrics, AGaugeThatNobodyTellsHasNoSample) {
  Metrics metrics(1, 1);
  EXPECT_TRUE(metrics.Collect()[static_cast<size_t>(MetricId::kSpaces)].samples.empty());
}

TEST(Metrics, ASourceMayAddSpacesAndIsGoneOnceCleared) {
  Metrics metrics(1, 4);
  int asked = 0;
  std::shared_ptr<Series> made;
  metrics.AddGaugeSource([&](const GaugeSink& sink) {
    ++asked;
    made = metrics.AddSpace("made");
    sink(MetricId::kSpaces, {}, 0, asked);
  });
  EXPECT_EQ(Value(metrics.Collect(), MetricId::kSpaces, {}), 1);
  metrics.ClearGaugeSources();
  EXPECT_TRUE(metrics.Collect()[static_cast<size_t>(MetricId::kSpaces)].samples.empty());
  EXPECT_EQ(asked, 1);
}

TEST(Metrics, ASeriesMayOutliveThem) {
  std::shared_ptr<Series> space;
  {
    Metrics metrics(1, 4);
    space = metrics.AddSpace("notes");
  }
  space->Add(MetricId::kForgotten);
  EXPECT_EQ(space->Count(MetricId::kForgotten), 1u);
}

}  // namespace
}  // namespace engram
