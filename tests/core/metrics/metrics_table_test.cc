// The table keeps Prometheus' rules, and docs/metrics.md is what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "core/metrics/metrics.h"

namespace engram {
namespace {

TEST(MetricsTable, EveryRowHasAUniqueAndValidName) {
  std::set<std::string> names;
  for (const MetricRow& row : MetricRows()) {
    const std::string name(row.name);
    EXPECT_THAT(name, ::testing::MatchesRegex("[a-z][a-z0-9]*(_[a-z0-9]+)*"));
    EXPECT_TRUE(name.starts_with("engram_") || name.starts_with("process_")) << name;
    EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
    EXPECT_FALSE(row.help.empty()) << name;
    EXPECT_EQ(row.help.back(), '.') << name;
    EXPECT_EQ(&RowOf(row.id), &row) << name;
  }
  EXPECT_EQ(names.size(), kMetricCount);
}

TEST(MetricsTable, NamesEndAsTheirTypesWant) {
  for (const MetricRow& row : MetricRows()) {
    const std::string name(row.name);
    const bool total = name.ends_with("_total");
    switch (row.type) {
      case MetricType::kCounter:
      case MetricType::kSampledCounter:
        EXPECT_TRUE(total) << name;
        break;
      case MetricType::kGauge:
        // The one name that users of the original have on their dashboards.
        EXPECT_TRUE(!total || name == "engram_streaming_active_sessions_total") << name;
        break;
      case MetricType::kHistogram:
        EXPECT_TRUE(name.ends_with("_seconds") || name.ends_with("_size")) << name;
        EXPECT_DOUBLE_EQ(row.unit, name.ends_with("_seconds") ? 1e-9 : 1.0) << name;
        break;
    }
    for (const char* reserved : {"_count", "_sum", "_bucket"}) EXPECT_FALSE(name.ends_with(reserved)) << name;
  }
}

TEST(MetricsTable, BucketsAreThoseOfHistogramsAndRise) {
  for (const MetricRow& row : MetricRows()) {
    EXPECT_EQ(row.buckets.empty(), row.type != MetricType::kHistogram) << row.name;
    for (size_t i = 1; i < row.buckets.size(); ++i) EXPECT_LT(row.buckets[i - 1], row.buckets[i]) << row.name;
  }
}

TEST(MetricsTable, EveryLabelSetNamesItsWords) {
  for (const MetricRow& row : MetricRows()) {
    EXPECT_EQ(SecondLabelName(row.labels).empty(), SecondLabelValues(row.labels).empty()) << row.name;
    const auto words = SecondLabelValues(row.labels);
    EXPECT_EQ(std::set<std::string_view>(words.begin(), words.end()).size(), words.size()) << row.name;
    for (const std::string_view word : words) EXPECT_FALSE(word.empty()) << row.name;
  }
}

TEST(MetricsTable, WordsLieWhereTheirValuesPoint) {
  EXPECT_EQ(SecondLabelValues(LabelSet::kPriority)[SecondOf(Priority::kHigh)], "high");
  EXPECT_EQ(SecondLabelValues(LabelSet::kPriority)[SecondOf(Priority::kNormal)], "normal");
  EXPECT_EQ(SecondLabelValues(LabelSet::kSpaceLevel)[SecondOf(PressureLevel::kNormal)], "normal");
  EXPECT_EQ(SecondLabelValues(LabelSet::kSpaceLevel)[SecondOf(PressureLevel::kOverloaded)], "overloaded");
  EXPECT_EQ(SecondLabelValues(LabelSet::kStage)[SecondOf(Stage::kAdmit)], "admit");
  EXPECT_EQ(SecondLabelValues(LabelSet::kStage)[SecondOf(Stage::kLink)], "link");
  EXPECT_EQ(SecondLabelValues(LabelSet::kStage)[SecondOf(Stage::kRerank)], "rerank");
  EXPECT_EQ(SecondLabelValues(LabelSet::kSpaceReason)[SecondOf(RejectReason::kQuota)], "quota");
  EXPECT_EQ(SecondLabelValues(LabelSet::kSpaceReason)[SecondOf(RejectReason::kSpaceDropped)], "space_dropped");
  EXPECT_EQ(SecondLabelValues(LabelSet::kWorkerError)[SecondOf(BatchError::kStatus)], "status");
  EXPECT_EQ(SecondLabelValues(LabelSet::kSpaceCode)[5], "NOT_FOUND");
  EXPECT_EQ(SecondLabelValues(LabelSet::kSpaceCode)[16], "UNAUTHENTICATED");
}

TEST(MetricsTable, TheReferenceIsFresh) {
  std::ifstream in("docs/metrics.md");
  ASSERT_TRUE(in) << "run from the top of the repository";
  const std::string page((std::istreambuf_iterator<char>(in)), {});
  // Not EXPECT_EQ: it would print both pages.
  EXPECT_TRUE(page == MetricsReference())
      << "docs/metrics.md is stale: engramd --print-metrics-reference > docs/metrics.md";
}

TEST(MetricsTable, TheReferenceHasEveryRow) {
  const std::string page = MetricsReference();
  for (const MetricRow& row : MetricRows()) {
    EXPECT_NE(page.find("\n## " + std::string(row.name) + "\n\n" + std::string(row.help) + "\n"), std::string::npos)
        << row.name;
  }
}

}  // namespace
}  // namespace engram
