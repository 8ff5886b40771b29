// What an observation and a space cost in memory, and how a recall grows with what is remembered.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "loadtest/clustered_matrix.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/recall_bench.h"
#include "loadtest/recall_probe.h"
#include "loadtest/space_check.h"

namespace engram {
namespace {

constexpr double kLinkedBar = 1.45, kUnlinkedBar = 1.05, kSpaceBar = 20, kIngestBar = 0.8, kGrowthBar = 4;
constexpr uint32_t kManyDimension = 128, kHits = 10, kCallers = 4, kGrowthFactor = 4;
constexpr size_t kCues = 300;
constexpr uint64_t kGrowthFrom = 10'000;
// A code: one byte an element, a scale and a norm.
constexpr double kCodeBytes = kManyDimension + 8;

double ToKilo(double bytes) { return bytes / 1000; }

// The least seen while it settles: what is only passing through is not counted.
double SettledBytes(const Child& child, const MemoryPlan& plan) {
  int64_t least = child.ResidentBytes();
  for (const int64_t end = NowNanos() + int64_t{plan.settle_seconds} * kNanosPerSecond; NowNanos() < end;) {
    SleepUntilNanos(NowNanos() + kNanosPerSecond / 20);
    least = std::min(least, child.ResidentBytes());
  }
  return static_cast<double>(least);
}

// A process that has streamed `rows` into a space and keeps it. Its buffers have their size then, and what they are made
// of is not counted for what comes next; nor does what comes next find freed memory.
absl::StatusOr<std::unique_ptr<DurableDaemon>> StartWarm(const BenchContext& context, const Matrix& rows) {
  ENGRAM_ASSIGN_OR_RETURN(auto daemon, DurableDaemon::Start(context, {.profile = "balanced"}));
  constexpr const char* kKept = "kept";
  ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), kKept, rows.dimension));
  ENGRAM_RETURN_IF_ERROR(StreamRows(daemon->stub(), kKept, rows, 0, rows.rows(), 0));
  return daemon;
}

absl::Status MeasureObservation(const BenchContext& context, const MemoryPlan& plan, Report& report) {
  const Matrix rows = ClusteredSource(plan.dimension, context.seed).Draw(plan.points, kRowStream);
  report.Heading(fmt::format("Memory of {} x {}-d, bytes an observation", Grouped(static_cast<double>(plan.points)),
                             plan.dimension));
  std::vector<std::vector<std::string>> table = {{"", "resident", "as the space counts"}};
  for (const bool linked : {false, true}) {
    ENGRAM_ASSIGN_OR_RETURN(const auto daemon, StartWarm(context, rows));
    constexpr const char* kSpace = "weighed";
    ENGRAM_RETURN_IF_ERROR(linked ? CreateGraphSpace(daemon->stub(), kSpace, plan.dimension)
                                  : CreateFlatSpace(daemon->stub(), kSpace, plan.dimension));
    const double before = SettledBytes(daemon->child(), plan);
    ENGRAM_RETURN_IF_ERROR(StreamRows(daemon->stub(), kSpace, rows, 0, rows.rows(), 0));
    if (linked) ENGRAM_RETURN_IF_ERROR(AwaitLinked(daemon->stub(), kSpace));
    const auto count = static_cast<double>(plan.points);
    const double resident = (SettledBytes(daemon->child(), plan) - before) / count;
    ENGRAM_ASSIGN_OR_RETURN(const SpaceState state, StateOf(daemon->stub(), kSpace));
    const double counted = static_cast<double>(state.resident_bytes) / count;
    const std::string name = linked ? "linked" : "unlinked";
    table.push_back({name, Grouped(resident), Grouped(counted)});
    report.Put("memory/observation/" + name,
               {{"points", plan.points}, {"resident_bytes", resident}, {"counted_bytes", counted}});
    report.AddBar({fmt::format("resident an observation, {}-d, {}", plan.dimension, name), ToKilo(resident),
                   linked ? kLinkedBar : kUnlinkedBar, false, "KB"});
    ENGRAM_RETURN_IF_ERROR(daemon->Stop());
  }
  report.Table(table);
  return absl::OkStatus();
}

struct ManyResult {
  double rate = 0;
  double resident_bytes = 0;
};

// `plan.spaces` calls of `plan.space_points` observations each, into as many spaces or all into one.
absl::StatusOr<ManyResult> ObserveMany(const BenchContext& context, const MemoryPlan& plan, const Matrix& rows,
                                       bool one_space) {
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, StartWarm(context, rows));
  if (one_space) ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), "one", kManyDimension));
  const double before = SettledBytes(daemon->child(), plan);
  std::atomic<uint32_t> next{0};  // Relaxed: only hands out different numbers.
  std::vector<absl::Status> failed(kCallers);
  const int64_t began = NowNanos();
  {
    std::vector<std::jthread> callers;
    for (uint32_t caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        const auto stub = v1::MemoryService::NewStub(ConnectTo(daemon->address()));
        for (uint32_t i; failed[caller].ok() && (i = next.fetch_add(1, std::memory_order_relaxed)) < plan.spaces;) {
          v1::ObserveRequest request;
          request.set_space(one_space ? "one" : fmt::format("many-{}", i));
          request.set_ack_level(v1::ACK_LEVEL_DURABLE);
          for (uint32_t o = 0; o < plan.space_points; ++o) {
            const size_t number = size_t{i} * plan.space_points + o;
            SampleText text = RandomText(number);
            v1::Observation& observation = *request.add_observations();
            observation.set_id(std::move(text.id));
            observation.set_content(std::move(text.content));
            SetEmbedding(rows.row(number % rows.rows()), observation.mutable_embedding_f32());
          }
          grpc::ClientContext call;
          v1::ObserveResponse response;
          failed[caller] = FromGrpc(stub->Observe(&call, request, &response), "observe into " + request.space());
          if (failed[caller].ok() && response.accepted() != plan.space_points) {
            failed[caller] = absl::DataLossError(fmt::format("space {} took {} of {} observations", request.space(),
                                                             response.accepted(), plan.space_points));
          }
        }
      });
    }
  }
  const double seconds = Seconds(NowNanos() - began);
  for (const absl::Status& status : failed) ENGRAM_RETURN_IF_ERROR(status);
  const ManyResult result{static_cast<double>(plan.spaces) * plan.space_points / seconds,
                          SettledBytes(daemon->child(), plan) - before};
  ENGRAM_RETURN_IF_ERROR(daemon->Stop());
  return result;
}

absl::Status MeasureSpaces(const BenchContext& context, const MemoryPlan& plan, Report& report) {
  const Matrix rows = ClusteredSource(kManyDimension, context.seed).Draw(100 * size_t{plan.space_points}, kRowStream);
  ENGRAM_ASSIGN_OR_RETURN(const ManyResult one, ObserveMany(context, plan, rows, true));
  ENGRAM_ASSIGN_OR_RETURN(const ManyResult many, ObserveMany(context, plan, rows, false));
  const double bytes = many.resident_bytes / plan.spaces - plan.space_points * kCodeBytes;
  report.Heading(fmt::format("{} spaces of {} x {}-d each, unary calls of {} by {} callers",
                             Grouped(static_cast<double>(plan.spaces)), plan.space_points, kManyDimension,
                             plan.space_points, kCallers));
  report.Table({{"", "obs/s", "resident MB"},
                {"all into one space", Grouped(one.rate), fmt::format("{:.1f}", one.resident_bytes / 1e6)},
                {"a space a call", Grouped(many.rate), fmt::format("{:.1f}", many.resident_bytes / 1e6)}});
  report.Line(fmt::format("  a space costs {} bytes beyond its codes of {:g} bytes an observation", Grouped(bytes),
                          kCodeBytes));
  report.Put("memory/spaces", {{"spaces", plan.spaces},
                               {"observations_each", plan.space_points},
                               {"one_space_obs_per_s", one.rate},
                               {"many_spaces_obs_per_s", many.rate},
                               {"one_space_resident_bytes", one.resident_bytes},
                               {"many_spaces_resident_bytes", many.resident_bytes},
                               {"bytes_beyond_codes", bytes}});
  report.AddBar({"resident a space beyond its codes", ToKilo(bytes), kSpaceBar, false, "KB"});
  report.AddBar({"ingest into many spaces, of one", many.rate / one.rate * 100, kIngestBar * 100, true, "%"});
  return absl::OkStatus();
}

absl::Status MeasureGrowth(const BenchContext& context, const MemoryPlan& plan, Report& report) {
  const ClusteredSource source(kManyDimension, context.seed);
  const Matrix rows = source.Draw(plan.growth_points, kRowStream);
  const Matrix cues = source.Draw(kCues, kCueStream);
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "balanced"}));
  constexpr const char* kSpace = "growing";
  ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(daemon->stub(), kSpace, kManyDimension));
  report.Heading(fmt::format("Recall (k {}) as a linked space of {}-d grows, ms", kHits, kManyDimension));
  std::vector<std::vector<std::string>> table = {{"observations", "p50", "p99", "walked"}};
  auto figures = nlohmann::ordered_json::array();
  double first = 0, last = 0;
  uint64_t there = 0;
  for (uint64_t size = std::min(kGrowthFrom, plan.growth_points / 2); there < plan.growth_points;
       size = std::min(size * kGrowthFactor, plan.growth_points)) {
    ENGRAM_RETURN_IF_ERROR(StreamRows(daemon->stub(), kSpace, rows, there, size - there, there));
    ENGRAM_RETURN_IF_ERROR(AwaitLinked(daemon->stub(), kSpace));
    there = size;
    Histogram latency;
    double walked = 0;
    // The first time round warms what the second measures.
    for (size_t i = 0; i < 2 * kCues; ++i) {
      ENGRAM_ASSIGN_OR_RETURN(const Answer answer, Ask(daemon->stub(), kSpace, cues.row(i % kCues), kHits));
      if (i < kCues) continue;
      latency.Record(answer.nanos);
      walked += static_cast<double>(answer.coverage.graph_candidates()) / kCues;
    }
    last = static_cast<double>(latency.Percentile(0.5));
    if (first == 0) first = last;
    table.push_back({Grouped(static_cast<double>(size)), Milliseconds(latency.Percentile(0.5)),
                     Milliseconds(latency.Percentile(0.99)), Grouped(walked)});
    figures.push_back({{"points", size}, {"recall", PercentilesToJson(latency)}, {"graph_candidates", walked}});
  }
  report.Table(table);
  report.Put("memory/growth", std::move(figures));
  report.AddBar({fmt::format("recall p50 at {} over the smallest", Grouped(static_cast<double>(there))), last / first,
                 kGrowthBar, false, "x"});
  return daemon->Stop();
}

}  // namespace

absl::Status MeasureMemory(const BenchContext& context, const MemoryPlan& plan, Report& report) {
  ENGRAM_RETURN_IF_ERROR(MeasureObservation(context, plan, report));
  ENGRAM_RETURN_IF_ERROR(MeasureSpaces(context, plan, report));
  return MeasureGrowth(context, plan, report);
}

}  // namespace engram
