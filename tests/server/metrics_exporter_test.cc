// What a Prometheus server gets over HTTP.
#include "server/metrics_exporter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "core/metrics/process_gauges.h"
#include "tests/server/metrics_scrape.h"

namespace engram {
namespace {

using ::engram::testing::Exposition;
using ::engram::testing::ExpositionFamily;
using ::engram::testing::HttpGet;

std::unique_ptr<MetricsExporter> StartOn(Metrics& metrics, const std::string& address = "127.0.0.1:0") {
  absl::StatusOr<std::unique_ptr<MetricsExporter>> exporter = MetricsExporter::Start(address, &metrics);
  EXPECT_TRUE(exporter.ok()) << exporter.status();
  return exporter.ok() ? *std::move(exporter) : nullptr;
}

TEST(MetricsExporter, TellsTheRealPort) {
  Metrics metrics(1, 4);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  EXPECT_TRUE(exporter->address().starts_with("127.0.0.1:")) << exporter->address();
  EXPECT_NE(exporter->address(), "127.0.0.1:0");
}

TEST(MetricsExporter, ServesThePageAsText) {
  Metrics metrics(1, 4);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  const auto answer = HttpGet(exporter->address(), "/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.head.find("Content-Type: text/plain"), std::string::npos) << answer.head;
  EXPECT_EQ(HttpGet(exporter->address(), "/elsewhere").status, 404);
}

TEST(MetricsExporter, EveryRowHasItsHelpAndType) {
  Metrics metrics(2, 4);
  metrics.AddGaugeSource(ProcessGauges());
  metrics.AddGaugeSource([](const GaugeSink& sink) {
    for (const MetricRow& row : MetricRows()) {
      const bool read = row.type == MetricType::kGauge || row.type == MetricType::kSampledCounter;
      if (read && !row.name.starts_with("process_")) sink(row.id, {}, 0, 1);
    }
  });
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  const Exposition page = Exposition::Scrape(exporter->address());
  for (const MetricRow& row : MetricRows()) {
    const ExpositionFamily* family = page.Find(std::string(row.name));
    ASSERT_NE(family, nullptr) << row.name;
    EXPECT_EQ(family->help, row.help);
    EXPECT_EQ(family->type, row.type == MetricType::kHistogram ? "histogram"
                            : row.type == MetricType::kGauge   ? "gauge"
                                                               : "counter")
        << row.name;
  }
  EXPECT_EQ(page.Find("process_cpu_seconds_total")->type, "counter");
}

TEST(MetricsExporter, AGaugeThatNobodyTellsIsNotThere) {
  Metrics metrics(1, 4);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  EXPECT_EQ(Exposition::Scrape(exporter->address()).Find("engram_spaces"), nullptr);
}

TEST(MetricsExporter, ServesTheValues) {
  Metrics metrics(2, 4);
  const auto space = metrics.AddSpace("notes");
  space->Add(MetricId::kObservations, 12, SecondOf(Priority::kNormal));
  metrics.worker(1).Add(MetricId::kBatchFailures, 3, SecondOf(BatchError::kException));
  metrics.process().Add(MetricId::kJournalBytes, (uint64_t{1} << 53) - 1);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  Exposition page = Exposition::Scrape(exporter->address());
  EXPECT_EQ(page.Value("engram_streaming_observations_total", {{"memory_space", "notes"}, {"priority", "normal"}}), 12);
  EXPECT_EQ(page.Value("engram_streaming_observations_total", {{"memory_space", "notes"}, {"priority", "high"}}), 0);
  EXPECT_EQ(page.Value("engram_streaming_batch_failures_total", {{"worker_id", "1"}, {"error_type", "exception"}}), 3);
  EXPECT_EQ(page.Value("engram_journal_bytes_total"), 9007199254740991.0);
  space->Add(MetricId::kObservations, 1, SecondOf(Priority::kNormal));
  page = Exposition::Scrape(exporter->address());
  EXPECT_EQ(page.Value("engram_streaming_observations_total", {{"memory_space", "notes"}, {"priority", "normal"}}), 13);
}

TEST(MetricsExporter, HistogramsAreCumulative) {
  Metrics metrics(1, 4);
  const auto space = metrics.AddSpace("notes");
  for (const int64_t ms : {1, 3, 3, 15, 200, 700}) space->Observe(MetricId::kRecallLatency, ms * 1'000'000);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  const Exposition page = Exposition::Scrape(exporter->address());
  const auto bucket = [&](const char* le) {
    return page.Value("engram_streaming_recall_latency_seconds_bucket", {{"memory_space", "notes"}, {"le", le}});
  };
  EXPECT_EQ(bucket("0.001"), 1);
  EXPECT_EQ(bucket("0.005"), 3);
  EXPECT_EQ(bucket("0.01"), 3);
  EXPECT_EQ(bucket("0.02"), 4);
  EXPECT_EQ(bucket("0.1"), 4);
  EXPECT_EQ(bucket("0.5"), 5);
  EXPECT_EQ(bucket("+Inf"), 6);
  EXPECT_EQ(page.Value("engram_streaming_recall_latency_seconds_count", {{"memory_space", "notes"}}), 6);
  const auto sum = page.Value("engram_streaming_recall_latency_seconds_sum", {{"memory_space", "notes"}});
  ASSERT_TRUE(sum.has_value());
  EXPECT_NEAR(*sum, 0.922, 1e-9);
}

TEST(MetricsExporter, LabelsAreEscaped) {
  Metrics metrics(1, 4);
  const std::string name = "a \"quoted\" name\\with\na line, and an } equals=";
  const auto space = metrics.AddSpace(name);
  space->Add(MetricId::kForgotten, 9);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  EXPECT_EQ(Exposition::Scrape(exporter->address()).Value("engram_space_forgotten_total", {{"memory_space", name}}), 9);
}

TEST(MetricsExporter, CountsWhileItIsScraped) {
  Metrics metrics(1, 2);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; !done.load(); ++round) {
        const auto space = metrics.AddSpace("s" + std::to_string((t + round) % 5));
        for (int i = 0; i < 50; ++i) space->Observe(MetricId::kObservationLatency, i * 1'000'000);
      }
    });
  }
  // Exposition::Parse expects what must hold of each page.
  for (int i = 0; i < 10; ++i) Exposition::Scrape(exporter->address());
  done.store(true);
  for (std::jthread& thread : threads) thread.join();
}

TEST(MetricsExporter, NamesAnAddressInUse) {
  Metrics metrics(1, 4);
  const auto exporter = StartOn(metrics);
  ASSERT_NE(exporter, nullptr);
  const auto second = MetricsExporter::Start(exporter->address(), &metrics);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable) << second.status();
  EXPECT_NE(second.status().message().find(exporter->address()), std::string::npos) << second.status();
}

TEST(MetricsExporter, RefusesWhatIsNoAddress) {
  Metrics metrics(1, 4);
  for (const char* address : {"", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:94x",
                              "127.0.0.1:9464s", "127.0.0.1:0,127.0.0.1:0", "::1:0", "[::1:0", "[]:0"}) {
    const auto exporter = MetricsExporter::Start(address, &metrics);
    EXPECT_EQ(exporter.status().code(), absl::StatusCode::kInvalidArgument) << address << " " << exporter.status();
    EXPECT_NE(exporter.status().message().find(address), std::string::npos) << exporter.status();
  }
  EXPECT_EQ(MetricsExporter::Start("203.0.113.1:0", &metrics).status().code(), absl::StatusCode::kUnavailable);
}

TEST(MetricsExporter, ListensOnIpv6) {
  Metrics metrics(1, 4);
  const auto exporter = MetricsExporter::Start("[::1]:0", &metrics);
  if (!exporter.ok()) GTEST_SKIP() << "no IPv6 loopback here: " << exporter.status();
  EXPECT_TRUE((*exporter)->address().starts_with("[::1]:"));
  EXPECT_NE(Exposition::Scrape((*exporter)->address()).Find("engram_journal_records_total"), nullptr);
}

TEST(MetricsExporter, ThePortIsFreeOnceItIsGone) {
  Metrics metrics(1, 4);
  std::string address;
  {
    const auto exporter = StartOn(metrics);
    ASSERT_NE(exporter, nullptr);
    address = exporter->address();
    Exposition::Scrape(address);
  }
  EXPECT_NE(StartOn(metrics, address), nullptr);
}

}  // namespace
}  // namespace engram
