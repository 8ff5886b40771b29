// What each setting does to latency, throughput and processor time: one row of one table per configuration.
#include <fmt/format.h>

#include "loadtest/bench.h"
#include "loadtest/dataset.h"
#include "loadtest/observe_client.h"
#include "loadtest/open_loop.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr uint32_t kDimension = 384;
constexpr size_t kThroughputObservations = 60'000;
constexpr uint32_t kThroughputRounds = 3;
constexpr size_t kCues = 100;

struct Configuration {
  std::string name;
  std::string profile;
  std::vector<std::string> settings;
};

std::vector<Configuration> Configurations(bool profiles_only) {
  std::vector<Configuration> all;
  for (const char* profile : {"low_latency", "high_throughput", "balanced", "memory_constrained", "multi_tenant"}) {
    all.push_back({profile, profile, {}});
  }
  if (profiles_only) return all;
  for (const char* setting :
       {"idle_sleep_ms=0", "idle_sleep_ms=10", "idle_sleep_ms=50", "min_batch_size=1", "min_batch_size=100",
        "max_batch_size=100", "max_batch_size=1000", "queue.capacity=1000", "queue.capacity=100000", "num_workers=1",
        "num_workers=2", "num_workers=8", "steal_threshold=100", "steal_threshold=10000"}) {
    all.push_back({fmt::format("balanced, {}", setting), "balanced", {setting}});
  }
  return all;
}

struct Row {
  Histogram observe;
  double rate = 0;
  double cpu_percent = 0;
};

absl::StatusOr<Row> Measure(const BenchContext& context, const Configuration& configuration, uint32_t seconds,
                            const Matrix& vectors, const Matrix& cues,
                            const std::vector<v1::ObserveStreamRequest>& frames) {
  ENGRAM_ASSIGN_OR_RETURN(const auto directory, TemporaryDirectory::Create());
  // A space's rate limit (multi_tenant has one) would be all that its throughput shows, and the disk all that the
  // latency of most profiles does.
  std::vector<std::string> arguments = {
      "--profile", configuration.profile,          "--set", "index.flat_threshold=100000000",
      "--set",     "limits.max_rate_per_tenant=0", "--set", "durability.mode=memory"};
  for (const auto& settings : {configuration.settings, context.settings}) {
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
  }
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, StartDaemon(context.daemon, arguments, *directory));
  const auto stub = v1::MemoryService::NewStub(ConnectTo(daemon->Ready("grpc")));

  Row row;
  OpenLoopPlan load;
  load.space = "steady";
  load.recalls_per_second = 0;
  load.seconds = 1;
  ENGRAM_RETURN_IF_ERROR(RunOpenLoop(*stub, load, vectors, cues).status());
  load.first_id = static_cast<size_t>(load.observations_per_second);
  load.seconds = seconds;
  const double cpu_before = daemon->CpuSeconds();
  ENGRAM_ASSIGN_OR_RETURN(OpenLoopResult steady, RunOpenLoop(*stub, load, vectors, cues));
  row.cpu_percent = (daemon->CpuSeconds() - cpu_before) / steady.seconds * 100;
  row.observe = std::move(steady.observe);

  std::vector<double> rates;
  for (uint32_t round = 0; round < kThroughputRounds; ++round) {
    ENGRAM_ASSIGN_OR_RETURN(const ObserveResult result,
                            ObserveFrames(*stub, {.space = fmt::format("burst-{}", round)}, frames));
    rates.push_back(static_cast<double>(result.acknowledged) * 1e9 / static_cast<double>(result.nanos));
  }
  row.rate = SpreadOf(rates).median;
  ENGRAM_RETURN_IF_ERROR(daemon->Stop());
  return row;
}

}  // namespace

absl::Status SweepKnobs(const BenchContext& context, uint32_t seconds, bool profiles_only, Report& report) {
  const Matrix vectors = RandomMatrix(kThroughputObservations, kDimension, context.seed);
  const Matrix cues = RandomMatrix(kCues, kDimension, context.seed + 1);
  std::vector<SampleText> texts;
  for (size_t i = 0; i < kThroughputObservations; ++i) texts.push_back(RandomText(i));
  const std::vector<v1::ObserveStreamRequest> frames = MakeFrames(texts, vectors, 256);

  report.Heading(fmt::format("Settings, {}-d", kDimension));
  report.Line(
      fmt::format("  P50, P99 and CPU of engramd at 1 000 obs/s offered one by one for {} s; throughput of {} in "
                  "batches of 256, median of {}; no rate limits, mode memory",
                  seconds, Grouped(kThroughputObservations), kThroughputRounds));
  std::vector<std::vector<std::string>> rows = {{"Config", "P50 (ms)", "P99 (ms)", "Throughput (obs/sec)", "CPU %"}};
  auto json = nlohmann::ordered_json::array();
  for (const Configuration& configuration : Configurations(profiles_only)) {
    ENGRAM_ASSIGN_OR_RETURN(const Row row, Measure(context, configuration, seconds, vectors, cues, frames));
    rows.push_back({configuration.name, Milliseconds(row.observe.Percentile(0.5)),
                    Milliseconds(row.observe.Percentile(0.99)), Grouped(row.rate),
                    fmt::format("{:.0f}", row.cpu_percent)});
    json.push_back({{"config", configuration.name},
                    {"observe", PercentilesToJson(row.observe)},
                    {"obs_per_s", row.rate},
                    {"cpu_percent", row.cpu_percent}});
  }
  report.Table(rows);
  report.Put("settings", std::move(json));
  return absl::OkStatus();
}

}  // namespace engram
