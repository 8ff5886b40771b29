// The document, its forms, its plots, and where it is kept.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "loadtest/measure/bench_document.h"
#include "loadtest/measure/bench_html.h"
#include "loadtest/measure/bench_store.h"
#include "loadtest/measure/bench_text.h"
#include "loadtest/measure/compare.h"
#include "loadtest/measure/svg_plot.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Plain(const std::string&, const std::string& text) { return text; }

BenchDocument Example() {
  BenchDocument document;
  document.Put("format", kBenchFormat);
  document.Put("name", "one & two");
  document.Put("throughput.observations_per_second", 151234.0);
  document.Put("throughput.bytes_per_second", 2.5e8);
  document.Put("latency.recall.p50_seconds", 0.00042);
  document.Put("latency.recall.p99_seconds", 0.0123);
  document.Put("limits.grpc_sink.observations_per_second", 300000);
  document.Put("limits.grpc_sink.share", 0.504);
  document.Put("diagnosis.bottleneck", "CPU-bound");
  document.Put("diagnosis.evidence", Json::array({"it is busy"}));
  document.Put("diagnosis.knob", "num_workers");
  document.Put("diagnosis.advice", "raise it");
  document.Put("environment.measured_at", "2026-11-24T18:00:00Z");
  document.PutRounds("throughput.observations_per_second", {150000, 152000});
  return document;
}

TEST(BenchDocumentTest, FiguresAreFoundByTheirPath) {
  const BenchDocument document = Example();
  EXPECT_EQ(document.Number("latency.recall.p50_seconds"), 0.00042);
  EXPECT_EQ(document.Number("latency.recall"), std::nullopt);
  EXPECT_EQ(document.Number("latency.recall.p50_seconds.more"), std::nullopt);
  EXPECT_EQ(document.Text("diagnosis.knob"), "num_workers");
  EXPECT_THAT(document.Rounds("throughput.observations_per_second"), ::testing::ElementsAre(150000, 152000));
}

TEST(BenchDocumentTest, WhatCouldNotBeHadIsLeftOut) {
  BenchDocument document;
  document.Put("resources.pool_reuse_rate", NAN);
  EXPECT_EQ(document.Find("resources"), nullptr);
}

TEST(BenchTextTest, FiguresAreWrittenAsTheirNamesSay) {
  EXPECT_EQ(FigureText("throughput.observations_per_second", 1234567), "1 234 567");
  EXPECT_EQ(FigureText("throughput.bytes_per_second", 2.5e8), "250 MB/s");
  EXPECT_EQ(FigureText("latency.recall.p50_seconds", 0.00042), "420 µs");
  EXPECT_EQ(FigureText("latency.recall.p50_seconds", 0.0123), "12.3 ms");
  EXPECT_EQ(FigureText("latency.recall.p50_seconds", 2.5), "2.50 s");
  EXPECT_EQ(FigureText("limits.disk_sync.share", 0.5), "50.0 %");
  EXPECT_EQ(FigureText("recall.at_10", 0.987654), "0.9877");
  EXPECT_EQ(FigureText("resources.daemon_cpu_seconds_per_million", 4.5), "4.50 s");
}

TEST(BenchTextTest, EachFormShowsWhatWasMeasured) {
  const BenchDocument document = Example();
  const std::string pretty = RenderPretty(document, Plain);
  EXPECT_THAT(pretty, HasSubstr("observations/s   151 234"));
  EXPECT_THAT(pretty, HasSubstr("Diagnosis: CPU-bound"));
  EXPECT_THAT(pretty, Not(HasSubstr("Scheduling")));
  EXPECT_THAT(RenderMarkdown(document), HasSubstr("| bare gRPC sink | 300 000 | 50.4 % |"));
  const std::string csv = RenderCsv(document);
  EXPECT_THAT(csv, HasSubstr("latency.recall.p99_seconds,0.0123\n"));
  EXPECT_THAT(csv, Not(HasSubstr("rounds")));
}

TEST(BenchTextTest, AsCsvAComparisonHasWhatItComesTo) {
  BenchDocument document = Example();
  BenchDocument base = Example();
  base.PutRounds("throughput.observations_per_second", {300000, 304000});
  base.Put("limits.grpc_sink.observations_per_second", 310000);
  PutComparison(CompareStored(base, document, 0.05), "the \"first\", of two", document);
  const std::string csv = RenderCsv(document);
  const std::string figure = "comparison.figures.throughput.observations_per_second";
  EXPECT_THAT(csv, HasSubstr("comparison.regressed,true\n"));
  EXPECT_THAT(csv, HasSubstr("comparison.incomparable,false\n"));
  EXPECT_THAT(csv, HasSubstr("comparison.base,\"the \"\"first\"\", of two\"\n"));
  EXPECT_THAT(csv, HasSubstr(figure + ".ratio,0.5"));
  EXPECT_THAT(csv, HasSubstr(figure + ".noise,"));
  EXPECT_THAT(csv, HasSubstr(figure + ".verdict,worse\n"));
  EXPECT_THAT(csv, HasSubstr("comparison.machine.grpc_sink.ratio,0.9"));
  EXPECT_THAT(csv, HasSubstr("comparison.machine.grpc_sink.comparable,true\n"));
  // A name is no figure.
  EXPECT_THAT(csv, Not(HasSubstr("diagnosis")));
}

TEST(BenchHtmlTest, ThePageEscapesWhatItIsTold) {
  const std::string page = RenderHtml(Example());
  EXPECT_THAT(page, HasSubstr("<h1>Benchmark one &amp; two</h1>"));
  EXPECT_THAT(page, Not(HasSubstr("one & two")));
  EXPECT_THAT(page, Not(HasSubstr("http://")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
}

TEST(SvgPlotTest, AMissingPointBreaksTheLine) {
  Plot plot;
  plot.x_text = plot.y_text = [](double) { return std::string("t"); };
  const std::string svg = DrawLines(plot, {{"a", {0, 1, 2, 3}, {1, NAN, 2, 3}}});
  const std::string path = svg.substr(svg.find(" d=\"") + 4);
  EXPECT_EQ(std::count(path.begin(), path.begin() + static_cast<ptrdiff_t>(path.find('"')), 'M'), 2);
  EXPECT_THAT(DrawLines(plot, {{"a", {0}, {NAN}}}), HasSubstr("nothing was measured"));
}

TEST(BenchStoreTest, AReportIsFoundByNameAndByFile) {
  const auto directory = *TemporaryDirectory::Create();
  const auto file = StoreReport(directory->path() / "new", "before", Example());
  ASSERT_TRUE(file.ok()) << file.status();
  for (const std::string& name : {std::string("before"), file->string()}) {
    const auto read = ReadReport(directory->path() / "new", name);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->json(), Example().json());
  }
}

TEST(BenchStoreTest, ANameIsCheckedBeforeThereIsAReport) {
  EXPECT_TRUE(CheckReportName("before-2.0").ok());
  for (const std::string& name : {std::string(), std::string(".."), std::string("a/b"), std::string(300, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckReportName(name))) << name;
  }
}

TEST(BenchStoreTest, WhatCannotBeWrittenIsFoundOutWithoutWriting) {
  const auto directory = *TemporaryDirectory::Create();
  EXPECT_TRUE(CheckWritable(directory->path() / "new.yaml").ok());
  EXPECT_TRUE(std::filesystem::is_empty(directory->path()));
  EXPECT_FALSE(CheckWritable(directory->path()).ok());
  EXPECT_FALSE(CheckWritable(directory->path() / "not there" / "new.yaml").ok());
}

TEST(BenchStoreTest, AReportOfAnotherFormatIsRefusedWithWhatToDo) {
  const auto read = [](const char* format) {
    return BenchDocument::Parse(fmt::format("{{{}\"throughput\": {{}}}}", format), "old.json").status();
  };
  EXPECT_TRUE(read("\"format\": 2, ").ok());
  for (const char* format : {"\"format\": 1, ", "\"format\": 3, ", "\"format\": \"2\", ", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(read(format))) << format;
  }
  EXPECT_EQ(read("\"format\": 1, ").message(),
            "old.json is a report of format 1, and this program reads format 2: measure again with it, or read the report with "
            "the program that wrote it");
  EXPECT_THAT(std::string(read("").message()), HasSubstr("of format null"));
}

TEST(BenchStoreTest, WhatIsNoReportIsRefused) {
  const auto directory = *TemporaryDirectory::Create();
  EXPECT_TRUE(absl::IsNotFound(ReadReport(directory->path(), "nothing").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(StoreReport(directory->path(), "a/b", Example()).status()));
  ASSERT_TRUE(WriteWhole(directory->path() / "bad.json", "{\"a\": 1}").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(ReadReport(directory->path(), "bad").status()));
}

}  // namespace
}  // namespace engram
