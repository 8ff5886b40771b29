// Rate of the daemon beside the rate of a bare gRPC sink, in alternating rounds with the same frames and the same
// client.
#include <fmt/format.h>
#include <sys/resource.h>

#include "loadtest/bench.h"
#include "loadtest/dataset.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/space_check.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr double kIngestBar = 0.40;
constexpr size_t kChecked = 16;

double OwnCpuSeconds() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + t.tv_usec * 1e-6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

struct Round {
  double rate = 0;
  // Microseconds of processor time for one observation.
  double server_cpu_us = 0;
  double client_cpu_us = 0;
};

absl::StatusOr<Round> RunOnce(v1::MemoryService::Stub& stub, const Child& server, const std::string& space,
                              const std::vector<v1::ObserveStreamRequest>& frames) {
  const double server_before = server.CpuSeconds();
  const double client_before = OwnCpuSeconds();
  ENGRAM_ASSIGN_OR_RETURN(const ObserveResult result,
                          ObserveFrames(stub, {.space = space, .end_at_once = true}, frames));
  const auto count = static_cast<double>(result.acknowledged);
  return Round{count / Seconds(result.nanos), (server.CpuSeconds() - server_before) * 1e6 / count,
               (OwnCpuSeconds() - client_before) * 1e6 / count};
}

}  // namespace

absl::Status MeasureIngest(const BenchContext& context, const IngestPlan& plan, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const auto directory, TemporaryDirectory::Create());
  ChildOptions sink_options;
  sink_options.program = context.self;
  sink_options.arguments = {"--sink"};
  sink_options.ready_prefix = "engram-sink ready ";
  sink_options.log = directory->path() / "sink.log";
  ENGRAM_ASSIGN_OR_RETURN(const auto sink, StartChild(sink_options));
  // The sink keeps nothing either; what keeping costs is the durable part's to say.
  std::vector<std::string> arguments = {"--profile", context.ingest_profile, "--set", "durability.mode=memory"};
  for (const std::string& setting : context.settings) arguments.insert(arguments.end(), {"--set", setting});
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, StartDaemon(context.daemon, arguments, *directory));

  std::vector<SampleText> texts;
  for (size_t i = 0; i < plan.observations; ++i) texts.push_back(RandomText(i));
  const Matrix vectors = RandomMatrix(plan.observations, plan.dimension, context.seed);
  const std::vector<v1::ObserveStreamRequest> frames = MakeFrames(texts, vectors, plan.batch_size);

  const auto sink_stub = v1::MemoryService::NewStub(ConnectTo(sink->Ready("grpc")));
  const auto stub = v1::MemoryService::NewStub(ConnectTo(daemon->Ready("grpc")));

  report.Heading(fmt::format("Ingest, {}-d: {} observations, batches of {}, one stream, mode memory, profile {}",
                             plan.dimension, Grouped(static_cast<double>(plan.observations)), plan.batch_size,
                             context.ingest_profile));
  std::vector<double> sink_rates, rates, ratios, sink_cpu, cpu, client_cpu;
  std::vector<std::vector<std::string>> rows = {
      {"round", "sink obs/s", "engramd obs/s", "ratio", "sink CPU us/obs", "engramd CPU us/obs", "client CPU us/obs"}};
  // Round 0 lets both connections grow their windows and both heaps their size; it is not counted.
  for (uint32_t round = 0; round <= plan.rounds; ++round) {
    const std::string space = fmt::format("ingest-{}-{}", plan.dimension, round);
    ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(*stub, space, plan.dimension));
    ENGRAM_ASSIGN_OR_RETURN(const Round of_sink, RunOnce(*sink_stub, *sink, space, frames));
    ENGRAM_ASSIGN_OR_RETURN(const Round of_daemon, RunOnce(*stub, *daemon, space, frames));
    ENGRAM_RETURN_IF_ERROR(
        CheckSpace(*stub, space, texts.size(), PickSent(texts, vectors, kChecked, context.seed + round)));
    ENGRAM_RETURN_IF_ERROR(DeleteSpace(*stub, space));
    if (round == 0) continue;
    sink_rates.push_back(of_sink.rate);
    rates.push_back(of_daemon.rate);
    ratios.push_back(of_daemon.rate / of_sink.rate);
    sink_cpu.push_back(of_sink.server_cpu_us);
    cpu.push_back(of_daemon.server_cpu_us);
    client_cpu.push_back(of_daemon.client_cpu_us);
    rows.push_back({fmt::format("{}", round), Grouped(of_sink.rate), Grouped(of_daemon.rate),
                    fmt::format("{:.1f} %", ratios.back() * 100), fmt::format("{:.2f}", of_sink.server_cpu_us),
                    fmt::format("{:.2f}", of_daemon.server_cpu_us), fmt::format("{:.2f}", of_daemon.client_cpu_us)});
  }
  const Spread ratio = SpreadOf(ratios);
  rows.push_back({"median", Grouped(SpreadOf(sink_rates).median), Grouped(SpreadOf(rates).median),
                  fmt::format("{:.1f} %", ratio.median * 100), fmt::format("{:.2f}", SpreadOf(sink_cpu).median),
                  fmt::format("{:.2f}", SpreadOf(cpu).median), fmt::format("{:.2f}", SpreadOf(client_cpu).median)});
  report.Table(rows);
  report.Line(
      fmt::format("  ratio {:.1f} .. {:.1f} %; every round's count was right and {} observations were found by "
                  "their vectors",
                  ratio.least * 100, ratio.most * 100, kChecked));

  const std::string path = fmt::format("ingest/{}d", plan.dimension);
  report.Put(path, {{"observations", plan.observations},
                    {"batch_size", plan.batch_size},
                    {"rounds", plan.rounds},
                    {"profile", context.ingest_profile},
                    {"sink_obs_per_s", ToJson(SpreadOf(sink_rates))},
                    {"engramd_obs_per_s", ToJson(SpreadOf(rates))},
                    {"ratio", ToJson(ratio)},
                    {"sink_cpu_us_per_obs", ToJson(SpreadOf(sink_cpu))},
                    {"engramd_cpu_us_per_obs", ToJson(SpreadOf(cpu))},
                    {"client_cpu_us_per_obs", ToJson(SpreadOf(client_cpu))},
                    {"engramd_peak_resident_bytes", daemon->PeakResidentBytes()}});
  report.AddBar({fmt::format("ingest {}-d, share of the bare sink", plan.dimension), ratio.median * 100,
                 kIngestBar * 100, true, "%"});
  ENGRAM_RETURN_IF_ERROR(sink->Stop());
  return daemon->Stop();
}

}  // namespace engram
