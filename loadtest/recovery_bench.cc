// How long a killed daemon takes until it serves again: from a checkpoint and the journal behind it, and from the
// journal alone, read from the page cache and read from the disk.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "loadtest/disk_probe.h"
#include "loadtest/durable_bench.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/space_check.h"

namespace engram {
namespace {

constexpr double kCheckpointBar = 5;    // Seconds.
constexpr double kCachedBar = 400'000;  // Observations a second.
constexpr double kDiskShareBar = 0.70;  // Of the disk's sequential read rate.
constexpr uint64_t kPiece = 50'000;     // Observations in memory at a time while the space is filled.
constexpr size_t kCheckedPerPiece = 4;
constexpr std::chrono::seconds kFillPatience{3600};
constexpr const char* kSpace = "recovery";

// Fills the space piece by piece, since a million observations three times over (vectors, frames, daemon) is a lot of
// memory. What it returns are observations spread over all of it.
absl::StatusOr<std::vector<SentObservation>> Fill(v1::MemoryService::Stub& stub, const BenchContext& context,
                                                  const DurablePlan& plan) {
  std::vector<SentObservation> sent;
  for (uint64_t first = 0; first < plan.recovery_observations; first += kPiece) {
    const uint64_t count = std::min(kPiece, plan.recovery_observations - first);
    std::vector<SampleText> texts;
    for (uint64_t i = 0; i < count; ++i) texts.push_back(RandomText(first + i));
    const Matrix vectors = RandomMatrix(count, plan.recovery_dimension, context.seed + first);
    const bool waits_for_graph = plan.recovery_graph && first + count == plan.recovery_observations;
    ObserveRun run{.space = kSpace, .patience = kFillPatience};
    if (waits_for_graph) run.ack_level = v1::ACK_LEVEL_INDEXED;
    ENGRAM_RETURN_IF_ERROR(ObserveFrames(stub, run, MakeFrames(texts, vectors, plan.batch_size)).status());
    for (SentObservation& observation : PickSent(texts, vectors, kCheckedPerPiece, context.seed + first)) {
      sent.push_back(std::move(observation));
    }
  }
  return sent;
}

// How long AdminService.Checkpoint takes; NaN where the daemon does not make one.
double CheckpointSeconds(v1::AdminService::Stub& admin, Report& report) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kFillPatience);
  v1::CheckpointResponse response;
  const int64_t began = NowNanos();
  const grpc::Status status = admin.Checkpoint(&context, {}, &response);
  if (status.ok()) return Seconds(NowNanos() - began);
  report.Line(fmt::format("  no checkpoint: {}", status.error_message()));
  return std::numeric_limits<double>::quiet_NaN();
}

class Recovery {
 public:
  Recovery(DurableDaemon& daemon, uint64_t live, std::vector<SentObservation> sent)
      : daemon_(daemon), live_(live), sent_(std::move(sent)) {}

  // The daemon is dead; it is started, timed and checked. Seconds.
  absl::StatusOr<double> Restart() {
    ENGRAM_ASSIGN_OR_RETURN(const int64_t took, daemon_.Restart());
    ENGRAM_RETURN_IF_ERROR(CheckSpace(daemon_.stub(), kSpace, live_, sent_));
    // So that each is killed in the same state, none while it writes segments ahead.
    ENGRAM_RETURN_IF_ERROR(daemon_.AwaitSpares());
    return Seconds(took);
  }
  // Kills it and takes its checkpoints away.
  absl::Status KillWithoutCheckpoint() {
    ENGRAM_RETURN_IF_ERROR(daemon_.Kill());
    for (const auto& file : daemon_.Files(".checkpoint")) {
      std::error_code error;
      if (!std::filesystem::remove(file, error)) {
        return absl::InternalError(fmt::format("cannot remove {}: {}", file.string(), error.message()));
      }
    }
    return absl::OkStatus();
  }

 private:
  DurableDaemon& daemon_;
  const uint64_t live_;
  const std::vector<SentObservation> sent_;
};

}  // namespace

absl::Status MeasureRecovery(const BenchContext& context, const DurablePlan& plan, Report& report) {
  // Only the checkpoints asked for: one that the daemon makes by itself would come between.
  ENGRAM_ASSIGN_OR_RETURN(
      const auto daemon,
      DurableDaemon::Start(context, {.profile = context.ingest_profile, .settings = {"storage.checkpoint_bytes=0"}}));
  if (!plan.recovery_graph) {
    ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), kSpace, plan.recovery_dimension));
  }
  ENGRAM_ASSIGN_OR_RETURN(std::vector<SentObservation> sent, Fill(daemon->stub(), context, plan));
  ENGRAM_RETURN_IF_ERROR(CheckSpace(daemon->stub(), kSpace, plan.recovery_observations, sent));
  ENGRAM_ASSIGN_OR_RETURN(const JournalCounters written, daemon->Counters());

  const auto observations = static_cast<double>(plan.recovery_observations);
  report.Heading(fmt::format("Recovery of {} x {}-d, {}, seconds from exec to SERVING after SIGKILL",
                             Grouped(observations), plan.recovery_dimension,
                             plan.recovery_graph ? "linked" : "without a graph"));
  std::vector<std::vector<std::string>> rows = {{"round", "checkpoint", "restart with it", "journal, page cache",
                                                 "obs/s", "journal, disk", "MB/s", "disk reads MB/s", "share"}};
  Recovery recovery(*daemon, plan.recovery_observations, std::move(sent));
  std::vector<double> checkpoint_s, with_s, cached_s, cached_rates, cold_s, read_rates, shares;
  for (uint32_t round = 1; round <= plan.recovery_rounds; ++round) {
    const double checkpoint = CheckpointSeconds(daemon->admin(), report);
    ENGRAM_RETURN_IF_ERROR(daemon->Kill());
    ENGRAM_ASSIGN_OR_RETURN(const double with, recovery.Restart());
    checkpoint_s.push_back(checkpoint);
    with_s.push_back(with + 0 * checkpoint);  // NaN where there was none to start from.

    ENGRAM_RETURN_IF_ERROR(recovery.KillWithoutCheckpoint());
    ENGRAM_RETURN_IF_ERROR(ReadSequentially(daemon->Files(".journal")).status());
    ENGRAM_ASSIGN_OR_RETURN(const double cached, recovery.Restart());
    cached_s.push_back(cached);
    cached_rates.push_back(observations / cached);

    ENGRAM_RETURN_IF_ERROR(recovery.KillWithoutCheckpoint());
    const auto segments = daemon->Files(".journal");
    ENGRAM_RETURN_IF_ERROR(DropFromPageCache(segments));
    ENGRAM_ASSIGN_OR_RETURN(const ReadRun read, ReadSequentially(segments));
    ENGRAM_RETURN_IF_ERROR(DropFromPageCache(segments));
    ENGRAM_ASSIGN_OR_RETURN(const double cold, recovery.Restart());
    cold_s.push_back(cold);
    read_rates.push_back(read.BytesPerSecond());
    shares.push_back(written.bytes / cold / read.BytesPerSecond());
    rows.push_back({fmt::format("{}", round), fmt::format("{:.2f}", checkpoint), fmt::format("{:.2f}", with),
                    fmt::format("{:.2f}", cached), Grouped(cached_rates.back()), fmt::format("{:.2f}", cold),
                    fmt::format("{:.0f}", written.bytes / cold / 1e6), fmt::format("{:.0f}", read_rates.back() / 1e6),
                    fmt::format("{:.0f} %", shares.back() * 100)});
  }
  report.Table(rows);
  report.Line(
      fmt::format("  {:.0f} MB of journal; after every restart the count was right and {} observations were "
                  "found by their vectors, with their texts",
                  written.bytes / 1e6, (plan.recovery_observations + kPiece - 1) / kPiece * kCheckedPerPiece));
  report.Put("durable/recovery", {{"observations", plan.recovery_observations},
                                  {"dimension", plan.recovery_dimension},
                                  {"graph", plan.recovery_graph},
                                  {"rounds", plan.recovery_rounds},
                                  {"journal_bytes", written.bytes},
                                  {"checkpoint_s", ToJson(SpreadOf(checkpoint_s))},
                                  {"with_checkpoint_s", ToJson(SpreadOf(with_s))},
                                  {"page_cache_s", ToJson(SpreadOf(cached_s))},
                                  {"page_cache_obs_per_s", ToJson(SpreadOf(cached_rates))},
                                  {"disk_s", ToJson(SpreadOf(cold_s))},
                                  {"disk_read_bytes_per_s", ToJson(SpreadOf(read_rates))},
                                  {"share_of_disk_read_rate", ToJson(SpreadOf(shares))}});
  report.AddBar({fmt::format("recovery of {} with a checkpoint", Grouped(observations)), SpreadOf(with_s).median,
                 kCheckpointBar, false, "s"});
  // Either will do, so the bar is on the better of the two, each in parts of what is asked of it.
  const double cached_part = SpreadOf(cached_rates).median / kCachedBar;
  const double disk_part = SpreadOf(shares).median / kDiskShareBar;
  report.AddBar({"recovery from the journal: of 400 000 obs/s cached, or of 70 % of the disk's reads",
                 std::fmax(cached_part, disk_part) * 100, 100, true, "%"});
  return daemon->Stop();
}

}  // namespace engram
