// Two streams, acknowledged as durable, beside the two things that bound them: a bare gRPC sink and the disk.
//
// Every round of the daemon has a process and a directory of its own, its spare segments written and its connections
// warm before the clock starts; so no round inherits a half-filled segment, or a deletion to clean up, from another.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "loadtest/disk_probe.h"
#include "loadtest/durable_bench.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/parallel_load.h"
#include "loadtest/space_check.h"

namespace engram {
namespace {

constexpr double kShareBar = 0.70, kHalfBar = 1.3, kJournalBar = 1.10;
constexpr size_t kStreams = 2, kChecked = 8, kWarmUpFrames = 16;
constexpr size_t kGroupBytes = 1 << 20;

using Frames = std::vector<v1::ObserveStreamRequest>;

// What one stream sends, in both forms.
struct StreamData {
  std::vector<SampleText> texts;
  Matrix vectors;
  Frames frames_f32, frames_f16;
};

struct Variant {
  const char* name;
  const char* key;
  ElementForm form;
  bool one_space;
};
constexpr Variant kVariants[] = {{"f32, two spaces", "f32_two_spaces", ElementForm::kF32, false},
                                 {"f32, one space", "f32_one_space", ElementForm::kF32, true},
                                 {"f16, two spaces", "f16_two_spaces", ElementForm::kF16, false}};
constexpr size_t kTwoSpaces = 0, kOneSpace = 1, kHalf = 2;

struct Measured {
  std::vector<double> rates, shares, journal_ratios;
  std::vector<double> prepared, syncs;
  Histogram latency;
};

class IngestRounds {
 public:
  IngestRounds(const BenchContext& context, const DurablePlan& plan) : context_(context), plan_(plan) {
    for (size_t i = 0; i < kStreams; ++i) {
      StreamData& data = streams_[i];
      const size_t count = plan.observations / kStreams;
      for (size_t row = 0; row < count; ++row) data.texts.push_back(RandomText(i * count + row));
      data.vectors = RandomMatrix(count, plan.dimension, context.seed + i);
      data.frames_f32 = MakeFrames(data.texts, data.vectors, plan.batch_size);
      data.frames_f16 = MakeFrames(data.texts, data.vectors, plan.batch_size, ElementForm::kF16);
      sent_f32_ += PayloadBytes(data.frames_f32);
      sent_f16_ += PayloadBytes(data.frames_f16);
    }
    const Frames& frames = streams_[0].frames_f32;
    warm_up_.assign(frames.begin(), frames.begin() + std::min<size_t>(kWarmUpFrames, frames.size()));
  }

  uint64_t SentBytes(ElementForm form) const { return form == ElementForm::kF16 ? sent_f16_ : sent_f32_; }
  double Observations() const { return static_cast<double>(streams_[0].texts.size() * kStreams); }

  std::vector<StreamLoad> Loads(const Variant& variant) const {
    std::vector<StreamLoad> loads;
    for (size_t i = 0; i < kStreams; ++i) {
      loads.push_back(
          {Space(variant, i), variant.form == ElementForm::kF16 ? &streams_[i].frames_f16 : &streams_[i].frames_f32});
    }
    return loads;
  }
  const Frames& warm_up() const { return warm_up_; }

  // One round of the daemon.
  absl::StatusOr<StreamsResult> Run(const Variant& variant, Measured& measured) const {
    ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context_, {.profile = context_.ingest_profile}));
    ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), kWarmUpSpace, plan_.dimension));
    for (size_t i = 0; i < (variant.one_space ? 1 : kStreams); ++i) {
      ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), Space(variant, i), plan_.dimension));
    }
    // The warm-up's own bytes have the same shape, so the ratio of bytes may include them.
    ENGRAM_ASSIGN_OR_RETURN(const JournalCounters before, daemon->Counters());
    ENGRAM_ASSIGN_OR_RETURN(StreamsResult result, RunStreams(daemon->address(), Loads(variant), warm_up_));
    ENGRAM_ASSIGN_OR_RETURN(const JournalCounters after, daemon->Counters());
    ENGRAM_RETURN_IF_ERROR(Check(*daemon, variant));
    const JournalCounters moved = after.Since(before);
    // Whoever counts the payload smaller is believed: the ratio must not look better by a generous count.
    const double warm_up_bytes = static_cast<double>(kStreams * PayloadBytes(warm_up_));
    const double payload = std::min(moved.payload_bytes, static_cast<double>(SentBytes(variant.form)) + warm_up_bytes);
    measured.journal_ratios.push_back(std::isnan(moved.payload_bytes) ? moved.payload_bytes : moved.bytes / payload);
    measured.prepared.push_back(after.prepared_bytes);
    measured.syncs.push_back(moved.syncs);
    measured.latency.Merge(result.latency);
    ENGRAM_RETURN_IF_ERROR(daemon->Stop());
    return result;
  }

 private:
  static std::string Space(const Variant& variant, size_t stream) {
    return variant.one_space ? "durable" : fmt::format("durable-{}", stream);
  }

  absl::Status Check(DurableDaemon& daemon, const Variant& variant) const {
    for (size_t i = 0; i < kStreams; ++i) {
      const StreamData& data = streams_[i];
      ENGRAM_RETURN_IF_ERROR(CheckSpace(daemon.stub(), Space(variant, i),
                                        variant.one_space ? kStreams * data.texts.size() : data.texts.size(),
                                        PickSent(data.texts, data.vectors, kChecked, context_.seed)));
    }
    return absl::OkStatus();
  }

  const BenchContext& context_;
  const DurablePlan& plan_;
  StreamData streams_[kStreams];
  Frames warm_up_;
  uint64_t sent_f32_ = 0, sent_f16_ = 0;
};

std::string Percent(double share) { return fmt::format("{:.1f} %", share * 100); }

}  // namespace

absl::Status MeasureDurableIngest(const BenchContext& context, const DurablePlan& plan, Report& report) {
  const IngestRounds rounds(context, plan);
  ENGRAM_ASSIGN_OR_RETURN(const auto directory, TemporaryDirectory::CreateIn(context.storage));
  ChildOptions sink_options;
  sink_options.program = context.self;
  sink_options.arguments = {"--sink"};
  sink_options.ready_prefix = "engram-sink ready ";
  sink_options.log = directory->path() / "sink.log";
  ENGRAM_ASSIGN_OR_RETURN(const auto sink, StartChild(sink_options));
  const uint64_t disk_bytes = rounds.SentBytes(ElementForm::kF32);
  ENGRAM_ASSIGN_OR_RETURN(const auto disk, ProbeFile::Create(directory->path(), Preparation::kPrepared, disk_bytes));

  report.Heading(fmt::format("Durable ingest, {}-d: {} observations over {} streams, batches of {}, fsync, profile {}",
                             plan.dimension, Grouped(rounds.Observations()), kStreams, plan.batch_size,
                             context.ingest_profile));
  std::vector<double> sink_rates, disk_rates, half_ratios;
  Measured measured[std::size(kVariants)];
  bool synced = true;
  std::vector<std::vector<std::string>> rows = {{"round", "sink obs/s", "disk obs/s"}};
  for (const Variant& variant : kVariants) rows[0].push_back(fmt::format("{} obs/s", variant.name));
  rows[0].insert(rows[0].end(), {"share", "share, one space", "f16 / f32"});
  for (uint32_t round = 1; round <= plan.rounds; ++round) {
    ENGRAM_ASSIGN_OR_RETURN(const StreamsResult of_sink,
                            RunStreams(sink->Ready("grpc"), rounds.Loads(kVariants[kTwoSpaces]), rounds.warm_up()));
    ENGRAM_ASSIGN_OR_RETURN(const SyncRun of_disk, RunSyncs(*disk, kGroupBytes, disk_bytes));
    sink_rates.push_back(of_sink.Rate());
    disk_rates.push_back(of_disk.BytesPerSecond() / static_cast<double>(disk_bytes) * rounds.Observations());
    const double bound = std::min(sink_rates.back(), disk_rates.back());
    std::vector<std::string> row = {fmt::format("{}", round), Grouped(sink_rates.back()), Grouped(disk_rates.back())};
    for (size_t i = 0; i < std::size(kVariants); ++i) {
      ENGRAM_ASSIGN_OR_RETURN(const StreamsResult result, rounds.Run(kVariants[i], measured[i]));
      synced = synced && result.durability == v1::DURABILITY_FSYNC;
      measured[i].rates.push_back(result.Rate());
      measured[i].shares.push_back(result.Rate() / bound);
      row.push_back(Grouped(result.Rate()));
    }
    half_ratios.push_back(measured[kHalf].rates.back() / measured[kTwoSpaces].rates.back());
    row.insert(row.end(), {Percent(measured[kTwoSpaces].shares.back()), Percent(measured[kOneSpace].shares.back()),
                           fmt::format("{:.2f}", half_ratios.back())});
    rows.push_back(std::move(row));
  }
  ENGRAM_RETURN_IF_ERROR(sink->Stop());

  const Spread half = SpreadOf(half_ratios);
  std::vector<std::string> medians = {"median", Grouped(SpreadOf(sink_rates).median),
                                      Grouped(SpreadOf(disk_rates).median)};
  for (const Measured& of_variant : measured) medians.push_back(Grouped(SpreadOf(of_variant.rates).median));
  medians.insert(medians.end(),
                 {Percent(SpreadOf(measured[kTwoSpaces].shares).median),
                  Percent(SpreadOf(measured[kOneSpace].shares).median), fmt::format("{:.2f}", half.median)});
  rows.push_back(std::move(medians));
  report.Table(rows);
  report.Line("  share: of the smaller of the sink and of synced 1 MiB writes of the same bytes into a prepared file");
  if (!synced) report.Line("  the daemon acknowledged without fsync: this is not the figure asked for");

  nlohmann::ordered_json json = {{"observations", rounds.Observations()},
                                 {"dimension", plan.dimension},
                                 {"batch_size", plan.batch_size},
                                 {"rounds", plan.rounds},
                                 {"profile", context.ingest_profile},
                                 {"acknowledged_with_fsync", synced},
                                 {"sink_obs_per_s", ToJson(SpreadOf(sink_rates))},
                                 {"disk_obs_per_s", ToJson(SpreadOf(disk_rates))},
                                 {"f16_over_f32", ToJson(half)}};
  rows = {{"", "journal / payload", "syncs a round", "zeros written ahead MB", "frame to durable p50 ms", "p99 ms"}};
  for (size_t i = 0; i < std::size(kVariants); ++i) {
    const Measured& of_variant = measured[i];
    rows.push_back({kVariants[i].name, fmt::format("{:.4f}", SpreadOf(of_variant.journal_ratios).median),
                    fmt::format("{:.0f}", SpreadOf(of_variant.syncs).median),
                    fmt::format("{:.0f}", SpreadOf(of_variant.prepared).median / 1e6),
                    Milliseconds(of_variant.latency.Percentile(0.5)),
                    Milliseconds(of_variant.latency.Percentile(0.99))});
    json[kVariants[i].key] = {{"obs_per_s", ToJson(SpreadOf(of_variant.rates))},
                              {"share", ToJson(SpreadOf(of_variant.shares))},
                              {"journal_over_payload", ToJson(SpreadOf(of_variant.journal_ratios))},
                              {"prepared_bytes", ToJson(SpreadOf(of_variant.prepared))},
                              {"payload_bytes_sent", rounds.SentBytes(kVariants[i].form)},
                              {"latency", PercentilesToJson(of_variant.latency)}};
  }
  report.Table(rows);
  report.Line(fmt::format("  every round's counts were right and {} observations were found by their vectors",
                          kStreams * kChecked));
  report.Put("durable/ingest", std::move(json));

  // Without fsync there is no durable rate, whatever was counted.
  const auto durable = [&](double value) { return synced ? value : std::numeric_limits<double>::quiet_NaN(); };
  report.AddBar({fmt::format("durable ingest {}-d, share of min(sink, disk)", plan.dimension),
                 durable(SpreadOf(measured[kTwoSpaces].shares).median) * 100, kShareBar * 100, true, "%"});
  report.AddBar({"the same into one space", durable(SpreadOf(measured[kOneSpace].shares).median) * 100, kShareBar * 100,
                 true, "%"});
  report.AddBar({"durable ingest, f16 over f32", durable(half.median), kHalfBar, true, "x"});
  report.AddBar({"journal bytes over payload bytes, f32", durable(SpreadOf(measured[kTwoSpaces].journal_ratios).median),
                 kJournalBar, false, "x"});
  return absl::OkStatus();
}

}  // namespace engram
