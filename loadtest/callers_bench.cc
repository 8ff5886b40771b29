// Many callers that each observe one thing and wait until it is durable: how many share a sync, and how long they wait,
// beside what one sync of a small write takes on the same disk when nothing else runs, and beside the same callers of a
// bare gRPC sink that answers at once: less than that no daemon can take.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "loadtest/disk_probe.h"
#include "loadtest/durable_bench.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/pacing.h"
#include "loadtest/parallel_load.h"
#include "loadtest/space_check.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr double kPerSyncBar = 8, kLatencyBar = 3;
constexpr size_t kSyncBytes = 4 << 10, kProbeBytes = 16 << 20;
constexpr uint32_t kSyncsPerRound = 1000;
constexpr size_t kRows = 4096, kChecked = 16;
constexpr const char* kSpace = "callers";
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// Some of the `count` observations that the callers made.
std::vector<SentObservation> SomeSent(const Matrix& vectors, uint64_t count) {
  std::vector<SentObservation> sent;
  // The vectors repeat after kRows, so only ids below that are the single best hit of theirs.
  for (size_t i = 0; i < kChecked; ++i) {
    const size_t id = i * std::min<uint64_t>(count, kRows) / kChecked;
    sent.push_back({RandomText(id), {vectors.row(id).begin(), vectors.row(id).end()}});
  }
  return sent;
}

}  // namespace

absl::Status MeasureCallers(const BenchContext& context, const DurablePlan& plan, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const auto directory, TemporaryDirectory::CreateIn(context.storage));
  ENGRAM_ASSIGN_OR_RETURN(const auto disk, ProbeFile::Create(directory->path(), Preparation::kPrepared, kProbeBytes));
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = plan.caller_profile}));
  ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), kSpace, plan.caller_dimension));
  ChildOptions sink_options;
  sink_options.program = context.self;
  sink_options.arguments = {"--sink"};
  sink_options.ready_prefix = "engram-sink ready ";
  sink_options.log = directory->path() / "sink.log";
  ENGRAM_ASSIGN_OR_RETURN(const auto sink, StartChild(sink_options));
  const Matrix vectors = RandomMatrix(kRows, plan.caller_dimension, context.seed);

  report.Heading(fmt::format("{} unary callers, one {}-d observation each at a time, fsync, profile {}, {} s a round",
                             plan.callers, plan.caller_dimension, plan.caller_profile, plan.caller_seconds));
  std::vector<std::vector<std::string>> rows = {
      {"round", "obs/s", "obs per sync", "p50 ms", "p99 ms", "disk p99 ms", "p99 / disk p99",
       "sink calls/s", "sink p99 ms", "rate / sink"}};
  std::vector<double> rates, per_sync, ratios, sink_rates, shares;
  Histogram calls, syncs, sink_calls;
  CallersPlan load{.space = kSpace, .callers = plan.callers, .seconds = plan.caller_seconds};
  for (uint32_t round = 0; round <= plan.rounds; ++round) {
    ENGRAM_RETURN_IF_ERROR(daemon->AwaitSpares());
    ENGRAM_ASSIGN_OR_RETURN(const SyncRun of_disk, RunSyncs(*disk, kSyncBytes, kSyncBytes * kSyncsPerRound));
    ENGRAM_ASSIGN_OR_RETURN(const JournalCounters before, daemon->Counters());
    ENGRAM_ASSIGN_OR_RETURN(const CallersResult result, RunCallers(daemon->address(), load, vectors));
    ENGRAM_ASSIGN_OR_RETURN(const JournalCounters after, daemon->Counters());
    load.first_id += result.acknowledged;
    CallersPlan to_sink = load;
    to_sink.first_id = 0;
    ENGRAM_ASSIGN_OR_RETURN(const CallersResult of_sink, RunCallers(sink->Ready("grpc"), to_sink, vectors));
    if (round == 0) continue;  // Connections, heaps and the processor's clock get up to speed.
    const auto acknowledged = static_cast<double>(result.acknowledged);
    rates.push_back(acknowledged / Seconds(result.nanos));
    // A daemon that does not sync, or does not say, has neither figure.
    const double synced = after.Since(before).syncs > 0 ? after.Since(before).syncs : kMissing;
    per_sync.push_back(acknowledged / synced);
    ratios.push_back(std::isnan(synced) ? kMissing
                                        : static_cast<double>(result.latency.Percentile(0.99)) /
                                              static_cast<double>(of_disk.latency.Percentile(0.99)));
    sink_rates.push_back(static_cast<double>(of_sink.acknowledged) / Seconds(of_sink.nanos));
    shares.push_back(rates.back() / sink_rates.back());
    sink_calls.Merge(of_sink.latency);
    calls.Merge(result.latency);
    syncs.Merge(of_disk.latency);
    rows.push_back({fmt::format("{}", round), Grouped(rates.back()), fmt::format("{:.1f}", per_sync.back()),
                    Milliseconds(result.latency.Percentile(0.5)), Milliseconds(result.latency.Percentile(0.99)),
                    Milliseconds(of_disk.latency.Percentile(0.99)), fmt::format("{:.2f}", ratios.back()),
                    Grouped(sink_rates.back()), Milliseconds(of_sink.latency.Percentile(0.99)),
                    fmt::format("{:.2f}", shares.back())});
  }
  rows.push_back({"all", Grouped(SpreadOf(rates).median), fmt::format("{:.1f}", SpreadOf(per_sync).median),
                  Milliseconds(calls.Percentile(0.5)), Milliseconds(calls.Percentile(0.99)),
                  Milliseconds(syncs.Percentile(0.99)), fmt::format("{:.2f}", SpreadOf(ratios).median),
                  Grouped(SpreadOf(sink_rates).median), Milliseconds(sink_calls.Percentile(0.99)),
                  fmt::format("{:.2f}", SpreadOf(shares).median)});
  report.Table(rows);
  report.Line("  disk: 4 KiB written and synced into a prepared file, before each round, while nothing else ran");
  ENGRAM_RETURN_IF_ERROR(CheckSpace(daemon->stub(), kSpace, load.first_id, SomeSent(vectors, load.first_id)));

  report.Put("durable/callers", {{"callers", plan.callers},
                                 {"dimension", plan.caller_dimension},
                                 {"profile", plan.caller_profile},
                                 {"rounds", plan.rounds},
                                 {"obs_per_s", ToJson(SpreadOf(rates))},
                                 {"obs_per_sync", ToJson(SpreadOf(per_sync))},
                                 {"latency", PercentilesToJson(calls)},
                                 {"disk_sync", PercentilesToJson(syncs)},
                                 {"p99_over_disk_p99", ToJson(SpreadOf(ratios))},
                                 {"sink_calls_per_s", ToJson(SpreadOf(sink_rates))},
                                 {"sink_latency", PercentilesToJson(sink_calls)},
                                 {"share_of_sink", ToJson(SpreadOf(shares))}});
  report.AddBar({fmt::format("{} callers, observations per sync", plan.callers), SpreadOf(per_sync).median, kPerSyncBar,
                 true, ""});
  report.AddBar({fmt::format("{} callers, p99 over the disk's sync p99", plan.callers), SpreadOf(ratios).median,
                 kLatencyBar, false, "x"});
  ENGRAM_RETURN_IF_ERROR(sink->Stop());
  return daemon->Stop();
}

}  // namespace engram
