// What each durability.mode costs: the same streams and the same steady load on a fresh daemon of each, in turn.
#include <fmt/format.h>

#include <algorithm>

#include "loadtest/durable_bench.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/open_loop.h"
#include "loadtest/parallel_load.h"
#include "loadtest/space_check.h"

namespace engram {
namespace {

constexpr const char* kModes[] = {"memory", "interval", "fsync"};
constexpr size_t kMemory = 0, kStreams = 2, kWarmUpFrames = 8, kChecked = 4;
constexpr const char* kSteadySpace = "steady";

struct Mode {
  std::vector<double> rates, shares;
  v1::Durability durability = v1::DURABILITY_UNSPECIFIED;
  Histogram latency;  // From the due instant to the durable acknowledgement.
};

struct Streams {
  std::vector<SampleText> texts[kStreams];
  Matrix vectors[kStreams];
  std::vector<v1::ObserveStreamRequest> frames[kStreams];
  std::vector<v1::ObserveStreamRequest> warm_up;
};

std::string Space(size_t stream) { return fmt::format("burst-{}", stream); }

absl::Status RunOnce(const BenchContext& context, const DurablePlan& plan, const char* name, const Streams& streams,
                     Mode& mode) {
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "balanced", .mode = name}));
  std::vector<StreamLoad> loads;
  for (const char* space : {kWarmUpSpace, kSteadySpace}) {
    ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), space, plan.dimension));
  }
  for (size_t i = 0; i < kStreams; ++i) {
    ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), Space(i), plan.dimension));
    loads.push_back({Space(i), &streams.frames[i]});
  }
  ENGRAM_ASSIGN_OR_RETURN(const StreamsResult burst, RunStreams(daemon->address(), loads, streams.warm_up));
  mode.rates.push_back(burst.Rate());
  mode.durability = burst.durability;
  for (size_t i = 0; i < kStreams; ++i) {
    ENGRAM_RETURN_IF_ERROR(CheckSpace(daemon->stub(), Space(i), streams.texts[i].size(),
                                      PickSent(streams.texts[i], streams.vectors[i], kChecked, context.seed)));
  }
  OpenLoopPlan load;
  load.space = kSteadySpace;
  load.recalls_per_second = 0;
  load.seconds = plan.mode_seconds;
  ENGRAM_ASSIGN_OR_RETURN(const OpenLoopResult steady,
                          RunOpenLoop(daemon->stub(), load, streams.vectors[0], streams.vectors[0]));
  mode.latency.Merge(steady.observe);
  return daemon->Stop();
}

}  // namespace

absl::Status MeasureModes(const BenchContext& context, const DurablePlan& plan, Report& report) {
  Streams streams;
  const size_t count = plan.observations / kStreams;
  for (size_t i = 0; i < kStreams; ++i) {
    for (size_t row = 0; row < count; ++row) streams.texts[i].push_back(RandomText(i * count + row));
    streams.vectors[i] = RandomMatrix(count, plan.dimension, context.seed + i);
    streams.frames[i] = MakeFrames(streams.texts[i], streams.vectors[i], plan.batch_size);
  }
  const auto& frames = streams.frames[0];
  streams.warm_up.assign(frames.begin(), frames.begin() + std::min(kWarmUpFrames, frames.size()));

  Mode modes[std::size(kModes)];
  for (uint32_t round = 1; round <= plan.mode_rounds; ++round) {
    for (size_t i = 0; i < std::size(kModes); ++i) {
      ENGRAM_RETURN_IF_ERROR(RunOnce(context, plan, kModes[i], streams, modes[i]));
    }
    for (Mode& mode : modes) mode.shares.push_back(mode.rates.back() / modes[kMemory].rates.back());
  }

  report.Heading(fmt::format("durability.mode, {}-d, profile balanced, {} rounds of {} observations over {} streams",
                             plan.dimension, plan.mode_rounds, Grouped(static_cast<double>(plan.observations)),
                             kStreams));
  report.Line(fmt::format("  P50, P99: from the due instant to durable at 1 000 obs/s offered one by one, {} s a round",
                          plan.mode_seconds));
  std::vector<std::vector<std::string>> rows = {
      {"mode", "acknowledged as", "P50 (ms)", "P99 (ms)", "Throughput (obs/sec)", "of memory"}};
  nlohmann::ordered_json json;
  for (size_t i = 0; i < std::size(kModes); ++i) {
    const Mode& mode = modes[i];
    const Spread share = SpreadOf(mode.shares);
    rows.push_back({kModes[i], v1::Durability_Name(mode.durability), Milliseconds(mode.latency.Percentile(0.5)),
                    Milliseconds(mode.latency.Percentile(0.99)), Grouped(SpreadOf(mode.rates).median),
                    fmt::format("{:.0f} % ({:.0f}..{:.0f})", share.median * 100, share.least * 100, share.most * 100)});
    json[kModes[i]] = {{"acknowledged_as", v1::Durability_Name(mode.durability)},
                       {"latency", PercentilesToJson(mode.latency)},
                       {"obs_per_s", ToJson(SpreadOf(mode.rates))},
                       {"share_of_memory", ToJson(share)}};
  }
  report.Table(rows);
  report.Put("durable/modes", std::move(json));
  return absl::OkStatus();
}

}  // namespace engram
