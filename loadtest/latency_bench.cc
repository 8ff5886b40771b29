// Latency of single observations and of recalls under a steady load, and of the first call after silence.
#include <fmt/format.h>

#include "loadtest/bench.h"
#include "loadtest/dataset.h"
#include "loadtest/observe_client.h"
#include "loadtest/open_loop.h"
#include "loadtest/pacing.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr double kObserveP50Bar = 3, kObserveP99Bar = 8, kRecallP99Bar = 5, kFirstCallBar = 5;  // Milliseconds.
constexpr const char* kSpace = "latency";
constexpr const char* kBesideSpace = "arrivals";
constexpr size_t kCues = 1000;

double ToMilli(int64_t nanos) { return static_cast<double>(nanos) / 1e6; }

absl::Status Preload(v1::MemoryService::Stub& stub, const Matrix& vectors) {
  std::vector<SampleText> texts;
  for (size_t i = 0; i < vectors.rows(); ++i) texts.push_back(RandomText(i));
  return ObserveFrames(stub, {.space = kSpace, .ack_level = v1::ACK_LEVEL_INDEXED}, MakeFrames(texts, vectors, 256))
      .status();
}

absl::Status MeasureFirstCalls(v1::MemoryService::Stub& stub, const LatencyPlan& plan, const Matrix& cues,
                               size_t next_id, Report& report) {
  Histogram recall, observe;
  const auto silence = [&] { SleepUntilNanos(NowNanos() + int64_t{plan.silence_seconds} * kNanosPerSecond); };
  for (uint32_t i = 0; i < plan.silence_repeats; ++i) {
    silence();
    ENGRAM_ASSIGN_OR_RETURN(const int64_t recall_nanos, TimeRecall(stub, kSpace, 10, cues.row(i)));
    recall.Record(recall_nanos);
    silence();
    ENGRAM_ASSIGN_OR_RETURN(const int64_t observe_nanos,
                            TimeObserve(stub, kSpace, RandomText(next_id + i), cues.row(i)));
    observe.Record(observe_nanos);
  }
  report.Heading(fmt::format("First call on a connection silent for {} s, {} times, ms", plan.silence_seconds,
                             plan.silence_repeats));
  report.Table({{"", "median", "max"},
                {"recall", Milliseconds(recall.Percentile(0.5)), Milliseconds(recall.max())},
                {"observe", Milliseconds(observe.Percentile(0.5)), Milliseconds(observe.max())}});
  report.Put("first_call", {{"silence_s", plan.silence_seconds},
                            {"recall", PercentilesToJson(recall)},
                            {"observe", PercentilesToJson(observe)}});
  report.AddBar({"first recall after silence, worst", ToMilli(recall.max()), kFirstCallBar, false, "ms"});
  report.AddBar({"first observe after silence, worst", ToMilli(observe.max()), kFirstCallBar, false, "ms"});
  return absl::OkStatus();
}

// Where the observations go while the recalls ask the preloaded space.
enum class Target {
  kBeside,  // Into another space: the one recalled from stays as large as the bar says.
  kSame,    // Into the space recalled from: it grows, and is linked behind the recalls.
};

absl::Status MeasureSteady(const BenchContext& context, const LatencyPlan& plan, Target target, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const auto directory, TemporaryDirectory::Create());
  std::vector<std::string> arguments = {"--profile", "low_latency", "--set", "durability.mode=memory"};
  for (const std::string& setting : context.settings) arguments.insert(arguments.end(), {"--set", setting});
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, StartDaemon(context.daemon, arguments, *directory));
  const auto stub = v1::MemoryService::NewStub(ConnectTo(daemon->Ready("grpc")));

  const Matrix vectors = RandomMatrix(plan.preload, plan.dimension, context.seed);
  const Matrix cues = RandomMatrix(kCues, plan.dimension, context.seed + 1);
  ENGRAM_RETURN_IF_ERROR(Preload(*stub, vectors));

  OpenLoopPlan load;
  load.space = target == Target::kSame ? kSpace : kBesideSpace;
  load.recall_space = kSpace;
  load.observations_per_second = plan.observations_per_second;
  load.recalls_per_second = plan.recalls_per_second;
  load.first_id = plan.preload;
  // The first seconds of a process are its page faults; they are offered, not measured.
  load.seconds = 2;
  ENGRAM_RETURN_IF_ERROR(RunOpenLoop(*stub, load, vectors, cues).status());
  load.first_id += static_cast<size_t>(load.observations_per_second * load.seconds);
  load.seconds = plan.seconds;
  const double cpu_before = daemon->CpuSeconds();
  ENGRAM_ASSIGN_OR_RETURN(const OpenLoopResult result, RunOpenLoop(*stub, load, vectors, cues));
  const double cpu_percent = (daemon->CpuSeconds() - cpu_before) / result.seconds * 100;
  load.first_id += static_cast<size_t>(load.observations_per_second * load.seconds);

  const std::string where = target == Target::kSame ? "into the same space" : "into a space beside";
  report.Heading(
      fmt::format("Latency, low_latency, mode memory: {:g} obs/s one by one {}, {:g} recalls/s (k 10), {} s, ms",
                  plan.observations_per_second, where, plan.recalls_per_second, plan.seconds));
  const auto row = [](std::string name, const Histogram& histogram) {
    std::vector<std::string> cells = {std::move(name), Grouped(static_cast<double>(histogram.count()))};
    for (std::string& cell : PercentileCells(histogram)) cells.push_back(std::move(cell));
    return cells;
  };
  report.Table({{"from the due instant to", "count", "p50", "p90", "p99", "p99.9", "max"},
                row("durable acknowledgement", result.observe),
                row("recall's answer", result.recall)});
  report.Line(fmt::format(
      "  the space recalled from held {} observations of {}-d{}; a recall walked {} nodes and scanned {}",
      Grouped(static_cast<double>(plan.preload)), plan.dimension,
      target == Target::kSame ? fmt::format(" before, {} after", Grouped(static_cast<double>(load.first_id))) : "",
      Grouped(result.graph_candidates), Grouped(result.tail_scanned)));
  report.Line(fmt::format("  engramd used {:.0f} % of a core", cpu_percent));
  report.Put(target == Target::kSame ? "latency/same_space" : "latency/space_beside",
             {{"observations_per_s", plan.observations_per_second},
              {"recalls_per_s", plan.recalls_per_second},
              {"seconds", plan.seconds},
              {"dimension", plan.dimension},
              {"preloaded", plan.preload},
              {"cpu_percent", cpu_percent},
              {"graph_candidates", result.graph_candidates},
              {"tail_scanned", result.tail_scanned},
              {"observe", PercentilesToJson(result.observe)},
              {"recall", PercentilesToJson(result.recall)}});
  const char* suffix = target == Target::kSame ? ", same space" : "";
  report.AddBar(
      {fmt::format("observe p50{}", suffix), ToMilli(result.observe.Percentile(0.5)), kObserveP50Bar, false, "ms"});
  report.AddBar(
      {fmt::format("observe p99{}", suffix), ToMilli(result.observe.Percentile(0.99)), kObserveP99Bar, false, "ms"});
  report.AddBar(
      {fmt::format("recall p99{}", suffix), ToMilli(result.recall.Percentile(0.99)), kRecallP99Bar, false, "ms"});
  if (target == Target::kBeside) {
    ENGRAM_RETURN_IF_ERROR(MeasureFirstCalls(*stub, plan, cues, load.first_id, report));
  }
  return daemon->Stop();
}

}  // namespace

absl::Status MeasureLatency(const BenchContext& context, const LatencyPlan& plan, Report& report) {
  ENGRAM_RETURN_IF_ERROR(MeasureSteady(context, plan, Target::kBeside, report));
  return MeasureSteady(context, plan, Target::kSame, report);
}

}  // namespace engram
