// A stream at three fifths of what one core takes in and links, for minutes: whether the graph keeps up and recalls stay
// quick.
#include <fmt/format.h>

#include <limits>

#include "loadtest/backlog.h"
#include "loadtest/clustered_matrix.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/pacing.h"
#include "loadtest/recall_bench.h"
#include "loadtest/recall_probe.h"
#include "loadtest/scrape.h"
#include "loadtest/space_check.h"
#include "loadtest/steady_stream.h"

namespace engram {
namespace {

constexpr double kShare = 0.6, kRecallBar = 10, kKeptBar = 0.99;
constexpr uint32_t kLongestWindow = 10;
constexpr uint64_t kMostRated = 100'000;
constexpr size_t kCues = 1000;
constexpr const char* kSpace = "sustained";

struct Linking {
  double per_second = 0;       // From the first frame to the last link, by as many threads as link.
  double per_core_second = 0;  // Of the daemon's processor time meanwhile.
};

absl::StatusOr<Linking> LinkingRate(v1::MemoryService::Stub& stub, const Child& daemon, const Matrix& rows) {
  constexpr const char* kRateSpace = "linking-rate";
  ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(stub, kRateSpace, rows.dimension));
  const double cpu_before = daemon.CpuSeconds();
  const int64_t began = NowNanos();
  ENGRAM_RETURN_IF_ERROR(StreamRows(stub, kRateSpace, rows, 0, rows.rows(), 0));
  ENGRAM_RETURN_IF_ERROR(AwaitLinked(stub, kRateSpace));
  const double seconds = Seconds(NowNanos() - began);
  const double cpu_seconds = daemon.CpuSeconds() - cpu_before;
  ENGRAM_RETURN_IF_ERROR(DeleteSpace(stub, kRateSpace));
  const auto linked = static_cast<double>(rows.rows());
  return Linking{linked / seconds, linked / std::max(cpu_seconds, 1e-3)};
}

}  // namespace

absl::Status MeasureSustained(const BenchContext& context, const LoadPlan& plan, Report& report) {
  const ClusteredSource source(plan.dimension, context.seed);
  const Matrix rows = source.Draw(std::min(plan.points, kMostRated), kRowStream);
  const Matrix cues = source.Draw(kCues, kCueStream);
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "balanced"}));
  v1::MemoryService::Stub& stub = daemon->stub();
  ENGRAM_ASSIGN_OR_RETURN(const Linking linking, LinkingRate(stub, daemon->child(), rows));
  const double rate = std::max(1.0, linking.per_core_second * kShare);
  ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(stub, kSpace, plan.dimension));

  report.Heading(fmt::format("Sustained, {}-d: {} obs/s, three fifths of the {} that a core links in a second ({} all "
                             "together), for {} s; {:g} recalls/s from the same space, ms",
                             plan.dimension, Grouped(rate), Grouped(linking.per_core_second),
                             Grouped(linking.per_second), plan.sustain_seconds, plan.recalls_per_second));
  ENGRAM_ASSIGN_OR_RETURN(
      const auto stream,
      SteadyStream::Start(daemon->address(), {.space = kSpace, .observations_per_second = rate}, rows));
  // A recall of ten wants ten to be there.
  while (stream->acknowledged() < 10 && NowNanos() < daemon->child().started() + 600 * kNanosPerSecond) {
    SleepUntilNanos(NowNanos() + kNanosPerSecond / 100);
  }
  std::vector<std::vector<std::string>> table = {{"to second", "observations", "backlog", "recall p50", "p99", "max"}};
  auto windows = nlohmann::ordered_json::array();
  std::vector<double> backlogs;
  double worst = 0;
  const uint32_t window_seconds = std::clamp(plan.sustain_seconds / 3, 1u, kLongestWindow);
  for (uint32_t second = 0; second < plan.sustain_seconds;) {
    Histogram recall;
    double backlog = std::numeric_limits<double>::quiet_NaN();
    for (const uint32_t until = std::min(second + window_seconds, plan.sustain_seconds); second < until; ++second) {
      ENGRAM_ASSIGN_OR_RETURN(const Histogram slice, RecallSteadily(stub, kSpace, cues, plan.recalls_per_second, 1));
      recall.Merge(slice);
      ENGRAM_ASSIGN_OR_RETURN(const std::string page, Scrape(daemon->child().Ready("metrics"), "/metrics"));
      backlogs.push_back(MetricValue(page, "engram_streaming_link_backlog").value_or(0));
      backlog = std::fmax(backlog, backlogs.back());
    }
    const uint64_t observations = stream->acknowledged();
    worst = std::max(worst, static_cast<double>(recall.Percentile(0.99)) / 1e6);
    table.push_back({fmt::format("{}", second), Grouped(static_cast<double>(observations)), Grouped(backlog),
                     Milliseconds(recall.Percentile(0.5)), Milliseconds(recall.Percentile(0.99)),
                     Milliseconds(recall.max())});
    windows.push_back({{"to_second", second},
                       {"observations", observations},
                       {"largest_backlog", backlog},
                       {"recall", PercentilesToJson(recall)}});
  }
  const double kept = stream->ShareKept();
  ENGRAM_RETURN_IF_ERROR(stream->Stop());
  report.Table(table);
  const BacklogBound bound = BoundOf(backlogs, rate);
  report.Line(fmt::format("  the stream kept {:.1f} % of its rate; the backlog was at most {} in the first half and {} in "
                          "the second",
                          kept * 100, Grouped(bound.early), Grouped(bound.late)));
  report.Put("load/sustained", {{"dimension", plan.dimension},
                                {"linked_per_s", linking.per_second},
                                {"linked_per_core_s", linking.per_core_second},
                                {"offered", rate},
                                {"stream_kept", kept},
                                {"backlog_first_half", bound.early},
                                {"backlog_second_half", bound.late},
                                {"windows", std::move(windows)}});
  report.AddBar({"sustained: recall p99 of the worst window", worst, kRecallBar, false, "ms"});
  report.AddBar({"sustained: largest link backlog of the second half", bound.late, bound.limit, false, ""});
  report.AddBar({"sustained: of the rate offered", kept * 100, kKeptBar * 100, true, "%"});
  return daemon->Stop();
}

}  // namespace engram
