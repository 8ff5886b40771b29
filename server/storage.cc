#include "server/storage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "server/log.h"

namespace engram {
namespace {

constexpr int kExitIoError = 74;  // Of sysexits.h.

JournalOptions OptionsOf(const Settings& settings) {
  JournalOptions options;
  options.durability = settings.durability_mode == "interval" ? Durability::kInterval : Durability::kFsync;
  options.sync_interval = settings.durability_interval;
  options.segment_bytes = settings.storage_segment_bytes;
  options.group_bytes = settings.storage_group_bytes;
  options.spare_segments = static_cast<uint32_t>(settings.storage_spare_segments);
  options.prepare_bytes_per_second = settings.storage_prepare_rate;
  options.least_free_bytes = settings.storage_hard_free_bytes;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Storage>> Storage::Open(const Settings& settings, Metrics* metrics, Clock* clock) {
  std::unique_ptr<Storage> storage(new Storage(metrics, clock));
  ENGRAM_ASSIGN_OR_RETURN(storage->directory_, OpenPosixDirectory(settings.storage_directory, /*create=*/true));
  ENGRAM_ASSIGN_OR_RETURN(auto journal, SegmentedJournal::Open(storage->directory_.get(), OptionsOf(settings), clock,
                                                               storage.get()));
  storage->journal_ = journal.get();
  storage->opened_ = std::move(journal);
  metrics->AddGaugeSource([raw = storage.get()](const GaugeSink& sink) { raw->ReadGauges(sink); });
  return storage;
}

absl::Status Storage::Recover(Engine& engine) {
  const MonotonicTime begin = clock_->Now();
  const uint64_t total = std::max<uint64_t>(journal_->ReplayBytes(0), 1);
  uint64_t records = 0;
  MonotonicTime told = begin;
  const auto progress = [&](uint64_t bytes) {
    recovered_.store(std::min(1.0, static_cast<double>(bytes) / static_cast<double>(total)), std::memory_order_relaxed);
    const MonotonicTime now = clock_->Now();
    if (now - told < std::chrono::seconds(1)) return;
    told = now;
    LogInfo(fmt::format("recovering: {:.0f} % of {} MB read", 100 * recovered(), total >> 20));
  };
  ENGRAM_RETURN_IF_ERROR(journal_->Replay(
      0,
      [&](const JournalRecord& record, uint64_t position) {
        ++records;
        const absl::Status status = engine.Replay(record, position);
        // A record that contradicts those before it is left out, and named.
        if (absl::IsDataLoss(status)) {
          LogError(std::string(status.message()));
          return absl::OkStatus();
        }
        return status;
      },
      progress));
  for (const JournalDefect& defect : journal_->defects()) LogError(defect.Render());
  const double seconds = std::chrono::duration<double>(clock_->Now() - begin).count();
  if (records > 0) {
    LogInfo(fmt::format("recovered {} through position {}: {} records of {} MB in {:.2f} s", directory_->path(),
                        journal_->last(), records, total >> 20, seconds));
  }
  recovered_.store(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::StatusOr<SnapshotOutcome> Storage::Snapshot(const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError(fmt::format("directory '{}' is not an absolute path", path));
  }
  ENGRAM_RETURN_IF_ERROR(journal_->SealThrough().status());
  ENGRAM_ASSIGN_OR_RETURN(const auto target, OpenPosixDirectory(path, /*create=*/true));
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> there, target->List());
  if (!there.empty()) {
    return absl::AlreadyExistsError(fmt::format("directory '{}' is not empty, it has '{}'", path, there.front()));
  }
  SnapshotOutcome outcome;
  ENGRAM_ASSIGN_OR_RETURN(const SegmentedJournal::Linked linked, journal_->LinkInto(*target));
  outcome.token = {journal_->id(), linked.through};
  outcome.segments = linked.segments;
  outcome.bytes = linked.bytes;
  return outcome;
}

void Storage::OnCommitted(uint64_t, uint64_t bytes, bool synced, Duration took) {
  Series& series = metrics_->process();
  series.Add(MetricId::kJournalBytes, bytes);
  if (!synced) return;
  series.Add(MetricId::kJournalSyncs);
  series.Observe(MetricId::kJournalSync, std::chrono::nanoseconds(took).count());
}

void Storage::OnFatal(const absl::Status& why) {
  LogError(fmt::format("the journal cannot be written any more, so nothing can be promised: {}",
                       std::string(why.message())));
  LogError("exiting; what was acknowledged is on the disk, and the next start finds it");
  std::fflush(nullptr);
  _exit(kExitIoError);
}

void Storage::OnWaiting(const absl::Status& why) {
  if (why.ok()) {
    LogInfo("the journal has room again");
  } else {
    LogError(fmt::format("the journal waits for room, writes with it: {}", std::string(why.message())));
  }
}

void Storage::ReadGauges(const GaugeSink& sink) const {
  const SegmentedJournal::Reading reading = journal_->ReadFiles();
  sink(MetricId::kJournalPrepared, "", 0, static_cast<double>(reading.spares.zero_bytes));
  sink(MetricId::kJournalSpares, "", 0, static_cast<double>(reading.spares.ready));
  sink(MetricId::kJournalSegments, "", 0, static_cast<double>(reading.segments));
  sink(MetricId::kJournalDisk, "", 0, static_cast<double>(reading.bytes));
  sink(MetricId::kJournalWaiting, "", 0, reading.waiting_for_room ? 1 : 0);
  sink(MetricId::kJournalDefects, "", 0, static_cast<double>(journal_->defects().size()));
}

}  // namespace engram
