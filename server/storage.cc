#include "server/storage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>

#include "core/base/thread_name.h"
#include "core/space_liveness.h"
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

absl::StatusOr<std::unique_ptr<Storage>> Storage::Open(const Settings& settings, Metrics* metrics, Clock* clock,
                                                       InjectedFaults* faults) {
  std::unique_ptr<Storage> storage(new Storage(settings, metrics, clock));
  ENGRAM_ASSIGN_OR_RETURN(storage->directory_, OpenPosixDirectory(settings.storage_directory, /*create=*/true));
  if (faults != nullptr) storage->directory_ = faults->Wrap(std::move(storage->directory_));
  ENGRAM_ASSIGN_OR_RETURN(auto journal, SegmentedJournal::Open(storage->directory_.get(), OptionsOf(settings), clock,
                                                               storage.get()));
  storage->journal_ = journal.get();
  storage->opened_ = std::move(journal);
  metrics->AddGaugeSource([raw = storage.get()](const GaugeSink& sink) { raw->ReadGauges(sink); });
  return storage;
}

// --- recovery ---

void Storage::TellProgress(const std::stop_token& stop) {
  constexpr std::chrono::seconds kPeriod{1};
  MonotonicTime next = clock_->Now() + kPeriod;
  while (true) {
    {
      MutexLock lock(mu_);
      while (recovering_ && !stop.stop_requested() && clock_->Now() < next) clock_->WaitUntil(stop_, mu_, next);
      if (!recovering_ || stop.stop_requested()) return;
    }
    next += kPeriod;
    LogInfo(fmt::format("recovering: {:.0f} % of the {} is read", 100 * progress_.fraction(),
                        progress_.phase() == RecoveryPhase::kReplay ? "journal" : "checkpoint"));
  }
}

absl::Status Storage::Recover(Engine& engine) {
  {
    MutexLock lock(mu_);
    recovering_ = true;
  }
  std::jthread teller([this](const std::stop_token& stop) {
    NameThread("teller");
    TellProgress(stop);
  });
  auto report = engram::Recover(engine, *journal_, *clock_, progress_);
  {
    MutexLock lock(mu_);
    recovering_ = false;
    stop_.NotifyAll();
  }
  teller.join();
  ENGRAM_RETURN_IF_ERROR(report.status());
  constexpr size_t kNamed = 20;
  for (size_t i = 0; i < std::min(kNamed, report->defects.size()); ++i) LogError(report->defects[i].Render());
  if (report->defects.size() > kNamed) {
    LogError(fmt::format("and {} more places are damaged: engram verify {} names them all",
                         report->defects.size() - kNamed, directory_->path()));
  }
  if (report->position > 0) {
    LogInfo(fmt::format("recovered {} through position {}: {}, {} records with {} observations replayed, {} MB in {:.2f} s",
                        directory_->path(), report->position,
                        report->checkpoint.name.empty() ? std::string("no checkpoint")
                                                        : fmt::format("checkpoint {}", report->checkpoint.name),
                        report->records, report->observations, report->bytes >> 20,
                        std::chrono::duration<double>(report->took).count()));
  }
  appended_since_checkpoint_.store(report->bytes - report->checkpoint.bytes, std::memory_order_relaxed);
  checkpoint_bytes_.store(report->checkpoint.bytes, std::memory_order_relaxed);
  checkpoint_floor_.Recovered(report->checkpoint.name.empty() ? std::nullopt : std::optional(report->checkpoint.position));
  loaded_ = std::move(report->checkpoint);
  missing_ = std::move(report->missing);
  applied_ = std::make_unique<SpaceLiveness>(
      &engine.registry(), [&engine] { return engine.applied_through(); },
      [this, &engine] { return checkpoint_floor_.Get(engine.applied_through()); });
  rewriter_ = std::make_unique<Rewriter>(journal_, applied_.get(), clock_,
                                         Rewriter::Options{.below = settings_.storage_rewrite_below,
                                                           .bytes_per_second = settings_.storage_rewrite_rate,
                                                           .segment_bytes = settings_.storage_segment_bytes,
                                                           .hard_free_bytes = [&engine] {
                                                             return engine.settings()->storage_hard_free_bytes;
                                                           }});
  return absl::OkStatus();
}

// --- upkeep ---

void Storage::StartUpkeep(Engine& engine) {
  upkeep_ = std::jthread([this, &engine](const std::stop_token& stop) {
    NameThread("upkeep");
    RunUpkeep(engine, stop);
  });
}

void Storage::RequestStop() {
  if (!upkeep_.joinable()) return;
  upkeep_.request_stop();
  rewriter_->RequestStop();
  MutexLock lock(mu_);
  stop_.NotifyAll();
}

void Storage::StopUpkeep() {
  RequestStop();
  if (upkeep_.joinable()) upkeep_.join();
}

bool Storage::Pause(const std::stop_token& stop) {
  const MonotonicTime next = clock_->Now() + std::chrono::seconds(1);
  MutexLock lock(mu_);
  while (!stop.stop_requested() && clock_->Now() < next) clock_->WaitUntil(stop_, mu_, next);
  return !stop.stop_requested();
}

void Storage::RunUpkeep(Engine& engine, const std::stop_token& stop) {
  const auto defects = AttachGraphs(std::move(loaded_), stop,
                                    [&](const std::shared_ptr<Space>& space) { engine.ScheduleLinking(space); });
  for (const JournalDefect& defect : defects) LogError(defect.Render());
  attached_.store(true, std::memory_order_release);
  while (Pause(stop)) {
    if (CheckpointDue() && clock_->Now() >= checkpoint_again_) {
      const auto written = Checkpoint(engine, settings_.storage_rewrite_rate);
      if (written.ok()) {
        checkpoint_distance_ = kLeastDistance;
      } else if (!absl::IsCancelled(written.status())) {
        LogError(fmt::format("no checkpoint was written, tried again in {} s: {}",
                             std::chrono::duration_cast<std::chrono::seconds>(checkpoint_distance_).count(),
                             std::string(written.status().message())));
        checkpoint_again_ = clock_->Now() + checkpoint_distance_;
        checkpoint_distance_ = std::min(2 * checkpoint_distance_, kMostDistance);
      }
    }
    RewriteSome();
  }
}

bool Storage::CheckpointDue() const {
  const uint64_t least = settings_.storage_checkpoint_bytes;
  // Also by the size of the last one, so that checkpoints never write more than the journal does.
  return least != 0 && appended_since_checkpoint_.load(std::memory_order_relaxed) >=
                           std::max(least, checkpoint_bytes_.load(std::memory_order_relaxed));
}

absl::Status Storage::CheckpointFits(const Engine& engine) const {
  ENGRAM_ASSIGN_OR_RETURN(const DiskSpace space, directory_->Space());
  const uint64_t size = checkpoint_bytes_.load(std::memory_order_relaxed);
  const uint64_t hard = engine.settings()->storage_hard_free_bytes;
  if (space.free_bytes >= size + hard) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      fmt::format("{} has {} bytes free, the last checkpoint took {} and storage.hard_free_bytes keeps {}",
                  directory_->path(), space.free_bytes, size, hard));
}

absl::StatusOr<Token> Storage::Checkpoint(Engine& engine, uint64_t bytes_per_second) {
  if (!attached_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the graphs of the last checkpoint are still being attached");
  }
  ENGRAM_RETURN_IF_ERROR(CheckpointFits(engine));
  MutexLock lock(work_mu_);
  const uint64_t appended = appended_since_checkpoint_.load(std::memory_order_relaxed);
  const uint64_t position = engine.applied_through();
  checkpoint_floor_.Begin(position);
  ENGRAM_ASSIGN_OR_RETURN(const WrittenCheckpoint written,
                          WriteCheckpoint(position, engine.registry(), *journal_, missing_,
                                          {.clock = clock_,
                                           .bytes_per_second = bytes_per_second,
                                           .stop = upkeep_.get_stop_token()}));
  appended_since_checkpoint_.fetch_sub(appended, std::memory_order_relaxed);
  checkpoint_bytes_.store(written.bytes, std::memory_order_relaxed);
  checkpoint_floor_.Written(written.position);
  checkpoints_.fetch_add(1, std::memory_order_relaxed);
  LogInfo(fmt::format("checkpoint {}: {} spaces in {} MB", written.name, written.spaces, written.bytes >> 20));
  return Token{journal_->id(), written.position};
}

void Storage::RewriteSome() {
  if (settings_.storage_rewrite_below == 0) return;
  MutexLock lock(work_mu_);
  const Rewriter::Reading before = rewriter_->Read();
  const auto rewrote = rewriter_->RunOnce();
  if (!rewrote.ok()) {
    if (absl::IsCancelled(rewrote.status())) return;
    LogWarning(fmt::format("segments were not rewritten: {}", std::string(rewrote.status().message())));
  } else if (*rewrote) {
    const Rewriter::Reading now = rewriter_->Read();
    LogInfo(fmt::format("{} segments rewritten, {:.1f} MB given back", now.segments_rewritten - before.segments_rewritten,
                        static_cast<double>(now.bytes_freed - before.bytes_freed) / 1e6));
  }
}

absl::StatusOr<SnapshotOutcome> Storage::Snapshot(const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError(fmt::format("directory '{}' is not an absolute path", path));
  }
  std::unique_ptr<Directory> target;
  ENGRAM_ASSIGN_OR_RETURN(const auto linked, journal_->SnapshotInto([&]() -> absl::StatusOr<Directory*> {
    ENGRAM_ASSIGN_OR_RETURN(target, OpenPosixDirectory(path, /*create=*/true));
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> there, target->List());
    if (!there.empty()) {
      return absl::FailedPreconditionError(fmt::format("directory '{}' is not empty, it has '{}'", path, there.front()));
    }
    return target.get();
  }));
  SnapshotOutcome outcome;
  outcome.token = {journal_->id(), linked.through};
  outcome.segments = linked.segments;
  outcome.bytes = linked.bytes;
  return outcome;
}

void Storage::OnCommitted(uint64_t, uint64_t bytes, bool synced, Duration took) {
  appended_since_checkpoint_.fetch_add(bytes, std::memory_order_relaxed);
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

void Storage::OnTail(std::string_view segment, uint64_t offset, uint64_t bytes) {
  LogWarning(fmt::format("{}/{} is cut off at byte {}, {} bytes before its end: no whole record follows there. A crash came "
                         "while they were written, or the disk has damaged what was written last",
                         directory_->path(), segment, offset, bytes));
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
  const Rewriter::Reading rewriting = rewriter_ == nullptr ? Rewriter::Reading{} : rewriter_->Read();
  sink(MetricId::kJournalRewritten, "", 0, static_cast<double>(rewriting.segments_rewritten));
  sink(MetricId::kJournalFreed, "", 0, static_cast<double>(rewriting.bytes_freed));
  sink(MetricId::kCheckpoints, "", 0, static_cast<double>(checkpoints_.load(std::memory_order_relaxed)));
  sink(MetricId::kCheckpointBytes, "", 0, static_cast<double>(checkpoint_bytes_.load(std::memory_order_relaxed)));
}

}  // namespace engram
