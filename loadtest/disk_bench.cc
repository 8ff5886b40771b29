// Synced writes of the sizes a journal's groups have, without a daemon.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "loadtest/dataset.h"
#include "loadtest/disk_probe.h"
#include "loadtest/durable_bench.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr double kPreparedBar = 2;
constexpr uint64_t kFileBytes = 64 << 20;

struct Size {
  const char* name;
  size_t bytes;
  // Writes of one round: a fraction of a second each.
  uint32_t writes;
};
constexpr Size kSizes[] = {
    {"1 MiB", 1 << 20, 64}, {"256 KiB", 256 << 10, 128}, {"64 KiB", 64 << 10, 256}, {"4 KiB", 4 << 10, 256}};
constexpr size_t kBarSize = 2;  // 64 KiB.

struct Side {
  Histogram latency;
  std::vector<double> rates;  // Bytes a second, round by round.
};

// Bytes of one of the streamed observations, without any framing.
double ObservationBytes(uint32_t dimension) {
  return static_cast<double>(PayloadBytes(MakeFrames({RandomText(0)}, RandomMatrix(1, dimension, 1), 1)));
}

}  // namespace

absl::Status MeasureDisk(const BenchContext& context, const DurablePlan& plan, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const auto directory, TemporaryDirectory::CreateIn(context.storage));
  ENGRAM_ASSIGN_OR_RETURN(const auto prepared,
                          ProbeFile::Create(directory->path(), Preparation::kPrepared, kFileBytes));
  ENGRAM_ASSIGN_OR_RETURN(const auto appended, ProbeFile::Create(directory->path(), Preparation::kAppend, 0));

  // [size][0: prepared, 1: append]
  std::array<std::array<Side, 2>, std::size(kSizes)> sides;
  std::array<std::vector<double>, std::size(kSizes)> ratios;
  for (uint32_t round = 0; round <= plan.rounds; ++round) {
    for (size_t i = 0; i < std::size(kSizes); ++i) {
      const uint64_t total = uint64_t{kSizes[i].bytes} * kSizes[i].writes;
      for (size_t side = 0; side < 2; ++side) {
        ENGRAM_ASSIGN_OR_RETURN(const SyncRun run, RunSyncs(side == 0 ? *prepared : *appended, kSizes[i].bytes, total));
        if (round == 0) continue;  // The first touches what later ones find in place.
        sides[i][side].latency.Merge(run.latency);
        sides[i][side].rates.push_back(run.BytesPerSecond());
      }
      if (round > 0) ratios[i].push_back(sides[i][0].rates.back() / sides[i][1].rates.back());
    }
  }

  report.Heading(fmt::format("The disk: write and fdatasync, {} rounds, in {}", plan.rounds, context.storage.string()));
  if (IsInMemory(context.storage)) report.Line("  this directory is kept in memory: these are not figures of a disk");
  const double observation = ObservationBytes(plan.dimension);
  std::vector<std::vector<std::string>> rows = {{"write", "file", "p50 ms", "p99 ms", "MB/s",
                                                 fmt::format("obs/s of {:.0f} bytes", observation),
                                                 "prepared / append"}};
  nlohmann::ordered_json json = {{"rounds", plan.rounds}, {"observation_bytes", observation}};
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    const Spread ratio = SpreadOf(ratios[i]);
    for (size_t side = 0; side < 2; ++side) {
      const Spread rate = SpreadOf(sides[i][side].rates);
      const Histogram& latency = sides[i][side].latency;
      const char* file = side == 0 ? "prepared" : "append";
      rows.push_back({kSizes[i].name, file, Milliseconds(latency.Percentile(0.5)),
                      Milliseconds(latency.Percentile(0.99)), fmt::format("{:.0f}", rate.median / 1e6),
                      Grouped(rate.median / observation),
                      side == 0 ? fmt::format("{:.2f} ({:.2f}..{:.2f})", ratio.median, ratio.least, ratio.most) : ""});
      json[fmt::format("{}k_{}", kSizes[i].bytes >> 10, file)] = {{"sync", PercentilesToJson(latency)},
                                                                  {"bytes_per_s", ToJson(rate)}};
    }
    json[fmt::format("{}k_prepared_over_append", kSizes[i].bytes >> 10)] = ToJson(ratio);
  }
  report.Table(rows);
  report.Put("durable/disk", std::move(json));
  report.AddBar({fmt::format("synced {} writes, prepared over append", kSizes[kBarSize].name),
                 SpreadOf(ratios[kBarSize]).median, kPreparedBar, true, "x"});
  return absl::OkStatus();
}

absl::Status MeasureDurable(const BenchContext& context, const DurablePlan& plan, const std::vector<std::string>& parts,
                            Report& report) {
  const auto wanted = [&](const char* part) {
    return parts.empty() || std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  if (wanted("disk")) ENGRAM_RETURN_IF_ERROR(MeasureDisk(context, plan, report));
  if (wanted("ingest")) ENGRAM_RETURN_IF_ERROR(MeasureDurableIngest(context, plan, report));
  if (wanted("callers")) ENGRAM_RETURN_IF_ERROR(MeasureCallers(context, plan, report));
  if (wanted("recovery")) ENGRAM_RETURN_IF_ERROR(MeasureRecovery(context, plan, report));
  if (wanted("modes")) ENGRAM_RETURN_IF_ERROR(MeasureModes(context, plan, report));
  return absl::OkStatus();
}

}  // namespace engram
