// Recalls while the stream pours in: beside a stream at half of what ingest takes at most, and at twice all of that; and from
// a long tail that nothing has linked.
#include <fmt/format.h>

#include "loadtest/clustered_matrix.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/recall_bench.h"
#include "loadtest/recall_probe.h"
#include "loadtest/space_check.h"
#include "loadtest/steady_stream.h"

namespace engram {
namespace {

constexpr double kRatioBar = 3, kLoadedBar = 10, kIdleFast = 3, kHalf = 0.5;  // Milliseconds where not a share.
constexpr double kTailRecallBar = 0.98, kShortTailBar = 2, kLongTailBar = 9;
constexpr uint64_t kShortTail = 200'000;
constexpr uint32_t kHits = 10;
constexpr size_t kCues = 1000;
constexpr const char* kSpace = "recalled";

double ToMilli(int64_t nanos) { return static_cast<double>(nanos) / 1e6; }

// What one stream can put into a space of its own for as long as it likes. The space stays: a deletion would leave the daemon
// things to do.
absl::StatusOr<double> LargestIngest(DurableDaemon& daemon, const LoadPlan& plan, const Matrix& rows) {
  constexpr const char* kRateSpace = "largest-ingest";
  constexpr double kMoreThanAny = 1e9;
  ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(daemon.stub(), kRateSpace, plan.dimension));
  ENGRAM_ASSIGN_OR_RETURN(
      const auto stream,
      SteadyStream::Start(daemon.address(), {.space = kRateSpace, .observations_per_second = kMoreThanAny}, rows));
  const auto half = static_cast<int64_t>(plan.ingest_seconds / 2 * kNanosPerSecond);
  SleepUntilNanos(NowNanos() + half);
  const int64_t middle = NowNanos();
  const uint64_t before = stream->acknowledged();
  SleepUntilNanos(middle + half);
  const uint64_t taken = stream->acknowledged() - before;
  const double rate = static_cast<double>(taken) / Seconds(NowNanos() - middle);
  ENGRAM_RETURN_IF_ERROR(stream->Stop());
  ENGRAM_RETURN_IF_ERROR(AwaitLinked(daemon.stub(), kRateSpace));
  if (taken == 0) {
    return absl::UnavailableError(fmt::format("nothing was acknowledged for {:g} s of a stream", plan.ingest_seconds / 2));
  }
  return rate;
}

absl::Status MeasureBesideIngest(const BenchContext& context, const LoadPlan& plan, Report& report) {
  const ClusteredSource source(plan.dimension, context.seed);
  const Matrix rows = source.Draw(plan.points, kRowStream);
  const Matrix cues = source.Draw(kCues, kCueStream);
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "balanced"}));
  v1::MemoryService::Stub& stub = daemon->stub();
  ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(stub, kSpace, plan.dimension));
  ENGRAM_RETURN_IF_ERROR(StreamRows(stub, kSpace, rows, 0, rows.rows(), 0));
  ENGRAM_RETURN_IF_ERROR(AwaitLinked(stub, kSpace));
  ENGRAM_ASSIGN_OR_RETURN(const double largest, LargestIngest(*daemon, plan, rows));

  report.Heading(fmt::format("Recall (k 10, {:g}/s, {} s) from {} x {}-d, idle and while {} obs/s pour in: half of the {} "
                             "that ingest takes, ms",
                             plan.recalls_per_second, plan.seconds, Grouped(static_cast<double>(plan.points)),
                             plan.dimension, Grouped(largest * kHalf), Grouped(largest)));
  // The first second is that of cold caches.
  ENGRAM_RETURN_IF_ERROR(RecallSteadily(stub, kSpace, cues, plan.recalls_per_second, 1).status());
  ENGRAM_ASSIGN_OR_RETURN(const Histogram idle,
                          RecallSteadily(stub, kSpace, cues, plan.recalls_per_second, plan.seconds));
  const double idle_p99 = ToMilli(idle.Percentile(0.99));
  std::vector<std::vector<std::string>> table = {
      {"", "held after", "recalls", "p50", "p90", "p99", "p99.9", "max", "stream kept"}};
  const auto row = [&](const std::string& name, uint64_t held, const Histogram& histogram, const std::string& kept) {
    table.push_back({name, Grouped(static_cast<double>(held)), Grouped(static_cast<double>(histogram.count()))});
    for (std::string& cell : PercentileCells(histogram)) table.back().push_back(std::move(cell));
    table.back().push_back(kept);
  };
  row("idle", plan.points, idle, "");
  nlohmann::ordered_json figures = {{"points", plan.points},          {"dimension", plan.dimension},
                                    {"largest_ingest", largest},      {"recalls_per_s", plan.recalls_per_second}, {"idle", PercentilesToJson(idle)}};

  // The bars are of half of what is taken; what happens beyond all of it is told beside them.
  struct Load {
    const char* name;
    const char* key;
    const char* into;
    double share;
  };
  const Load loads[] = {{"into a space beside", "space_beside", "arrivals", kHalf},
                        {"twice that all, beside", "space_beside_twice", "more-arrivals", 2},
                        {"into the same space", "same_space", kSpace, kHalf},
                        {"twice that all, the same", "same_space_twice", kSpace, 2}};
  uint64_t first_id = plan.points;
  for (const auto& [name, key, into, share] : loads) {
    const bool same = std::string_view(into) == kSpace;
    if (!same) ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(stub, into, plan.dimension));
    ENGRAM_ASSIGN_OR_RETURN(
        const auto stream,
        SteadyStream::Start(daemon->address(),
                            {.space = into, .observations_per_second = largest * share, .first_id = first_id}, rows));
    const auto loaded = RecallSteadily(stub, kSpace, cues, plan.recalls_per_second, plan.seconds);
    const double kept = stream->ShareKept();
    ENGRAM_RETURN_IF_ERROR(stream->Stop());
    first_id += stream->acknowledged();
    // The next load is not to be felt beside what this one left to be linked.
    ENGRAM_RETURN_IF_ERROR(AwaitLinked(stub, into));
    ENGRAM_RETURN_IF_ERROR(loaded.status());
    ENGRAM_ASSIGN_OR_RETURN(const SpaceState state, StateOf(stub, kSpace));
    row(name, state.live, *loaded, fmt::format("{:.0f} %", kept * 100));
    const double p99 = ToMilli(loaded->Percentile(0.99));
    figures[key] = {{"recall", PercentilesToJson(*loaded)}, {"offered", largest * share}, {"stream_kept", kept}};
    if (share != kHalf) continue;
    report.AddBar({fmt::format("recall p99, ingest at half its most {}, over idle", name), p99 / idle_p99, kRatioBar,
                   false, "x"});
    if (idle_p99 <= kIdleFast) {
      report.AddBar({fmt::format("recall p99, ingest at half its most {}", name), p99, kLoadedBar, false, "ms"});
    }
  }
  report.Table(table);
  if (idle_p99 > kIdleFast) {
    report.Line(fmt::format("  idle p99 is {:.2f} ms, above {:g}: the bar of {:g} ms does not apply on this machine",
                            idle_p99, kIdleFast, kLoadedBar));
  }
  report.Put("load/beside_ingest", std::move(figures));
  return daemon->Stop();
}

absl::Status MeasureTail(const BenchContext& context, const LoadPlan& plan, uint64_t points, Report& report) {
  const ClusteredSource source(plan.dimension, context.seed);
  const Matrix rows = source.Draw(points, kRowStream);
  const Matrix cues = source.Draw(plan.tail_cues, kCueStream);
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "balanced"}));
  ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), kSpace, plan.dimension));
  RecallProbe probe(kSpace, rows, points);
  ENGRAM_RETURN_IF_ERROR(probe.Put(daemon->stub(), 0, points, 0));
  ENGRAM_ASSIGN_OR_RETURN(const RecallQuality first, probe.Measure(daemon->stub(), cues, kHits));
  ENGRAM_ASSIGN_OR_RETURN(const RecallQuality quality, probe.Measure(daemon->stub(), cues, kHits));
  const std::string size = Grouped(static_cast<double>(points));
  report.Heading(fmt::format("Recall from {} x {}-d that nothing has linked, ms", size, plan.dimension));
  std::vector<std::vector<std::string>> table = {
      {"", "recall@10", "least", "p50", "p90", "p99", "p99.9", "max", "scanned"}};
  for (const auto& [name, look] : {std::pair("right after", &first), std::pair("again", &quality)}) {
    std::vector<std::string> row = {name, fmt::format("{:.4f}", look->mean), fmt::format("{:.2f}", look->least)};
    for (std::string& cell : PercentileCells(look->latency)) row.push_back(std::move(cell));
    row.push_back(Grouped(look->tail_scanned));
    table.push_back(std::move(row));
  }
  report.Table(table);
  report.Put(fmt::format("load/tail/points_{}", points), {{"points", points},
                                                          {"dimension", plan.dimension},
                                                          {"cues", cues.rows()},
                                                          {"recall", quality.mean},
                                                          {"first_recall", first.mean},
                                                          {"first_latency", PercentilesToJson(first.latency)},
                                                          {"latency", PercentilesToJson(quality.latency)}});
  report.AddBar({fmt::format("recall p50, {} unlinked", size), ToMilli(quality.latency.Percentile(0.5)),
                 points <= kShortTail ? kShortTailBar : kLongTailBar, false, "ms"});
  report.AddBar({fmt::format("recall@10, {} unlinked", size), quality.mean, kTailRecallBar, true, ""});
  return daemon->Stop();
}

}  // namespace

absl::Status MeasureLoad(const BenchContext& context, const LoadPlan& plan, Report& report) {
  ENGRAM_RETURN_IF_ERROR(MeasureBesideIngest(context, plan, report));
  for (const uint64_t points : plan.tails) ENGRAM_RETURN_IF_ERROR(MeasureTail(context, plan, points, report));
  return plan.sustain_seconds == 0 ? absl::OkStatus() : MeasureSustained(context, plan, report);
}

}  // namespace engram
