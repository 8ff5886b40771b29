#include "core/commit_log.h"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <utility>

#include "core/base/check.h"

namespace engram {
namespace {

// Where an Execute waits for its command.
struct Outcome {
  Mutex mu;
  CondVar over;
  bool ended ABSL_GUARDED_BY(mu) = false;
  std::optional<absl::StatusOr<CommitLog::Executed>> executed ABSL_GUARDED_BY(mu);
};

class CommandCommit final : public LogCommit {
 public:
  // Without an outcome nobody waits.
  CommandCommit(CommitLog* log, Command command, size_t lane, std::shared_ptr<Outcome> outcome)
      : log_(log), command_(std::move(command)), lane_(lane), outcome_(std::move(outcome)) {}
  ~CommandCommit() override {
    if (outcome_ == nullptr) return;
    MutexLock lock(outcome_->mu);
    outcome_->ended = true;
    outcome_->over.NotifyAll();
  }

  const Command& command() const { return command_; }
  size_t lane() const override { return lane_; }
  uint64_t weight() const override { return command_.tombstones.size(); }
  void Apply(uint64_t position, const CommitTimes&) noexcept override {
    absl::StatusOr<Replica::Effect> effect = log_->Apply(command_.Record(), position);
    if (outcome_ == nullptr) return;
    MutexLock lock(outcome_->mu);
    if (effect.ok()) {
      outcome_->executed = CommitLog::Executed{position, *std::move(effect)};
    } else {
      outcome_->executed = effect.status();
    }
  }

 private:
  CommitLog* const log_;
  const Command command_;
  const size_t lane_;
  const std::shared_ptr<Outcome> outcome_;
};

}  // namespace

LogCommit::~LogCommit() {
  if (log_ != nullptr) log_->Ended();
}

JournalRecord Command::Record() const {
  JournalRecord record;
  record.type = type;
  record.space_id = space == nullptr ? 0 : space->id();
  record.space = space == nullptr ? std::string_view(name) : std::string_view(space->name());
  record.metric = space == nullptr ? metric : space->metric();
  record.tombstones = tombstones;
  if (type == RecordType::kSpaceCreated || type == RecordType::kSpaceChanged) record.config = &config;
  record.created_at_us = created_at_us;
  return record;
}

CommitLog::CommitLog(Journal* journal, SpaceRegistry* registry, Replica* replica, Clock* clock, Metrics* metrics,
                     size_t partitions)
    : journal_(journal),
      registry_(registry),
      replica_(replica),
      clock_(clock),
      metrics_(metrics),
      applied_(clock),
      applier_(partitions) {}

void CommitLog::Start() {
  applied_.Restore(journal_->last());
  journal_->Start(this);
}

void CommitLog::Close() {
  journal_->Close();
  applier_.Stop();
}

absl::StatusOr<uint64_t> CommitLog::Append(const JournalRecord& record, std::unique_ptr<LogCommit> commit) {
  {
    MutexLock lock(idle_mu_);
    ++underway_;
  }
  // From here on the commit's end says so.
  commit->log_ = this;
  commit->payload_bytes_ = record.payload_bytes();
  return journal_->Append(record, std::move(commit));
}

absl::StatusOr<CommitLog::Executed> CommitLog::Execute(Command command) {
  const auto outcome = std::make_shared<Outcome>();
  const size_t lane = registry_->LaneOf(command.space == nullptr ? command.name : command.space->name());
  auto commit = std::make_unique<CommandCommit>(this, std::move(command), lane, outcome);
  const JournalRecord record = commit->command().Record();
  ENGRAM_RETURN_IF_ERROR(Append(record, std::move(commit)).status());
  MutexLock lock(outcome->mu);
  while (!outcome->ended) outcome->over.Wait(outcome->mu);
  if (!outcome->executed) return absl::UnavailableError("the journal closed before the record was committed");
  return *std::move(outcome->executed);
}

absl::Status CommitLog::Send(Command command) {
  const size_t lane = registry_->LaneOf(command.space == nullptr ? command.name : command.space->name());
  auto commit = std::make_unique<CommandCommit>(this, std::move(command), lane, nullptr);
  const JournalRecord record = commit->command().Record();
  return Append(record, std::move(commit)).status();
}

absl::StatusOr<Replica::Effect> CommitLog::Apply(const JournalRecord& record, uint64_t position) noexcept {
  absl::StatusOr<Replica::Effect> effect = Replica::Effect{};
  try {
    effect = replica_->Apply(record, position);
  } catch (const std::exception& error) {
    StopProcess(fmt::format("record {} of space '{}' is durable and cannot be applied: {}", position, record.space,
                            error.what()));
  }
  applied_.Applied(position);
  if (effect.ok() && effect->space == nullptr) {
    return absl::NotFoundError(fmt::format("space '{}' was deleted", record.space));
  }
  return effect;
}

void CommitLog::Committed(std::span<CommittedRecord> records) noexcept {
  // Counted before anybody can be told.
  uint64_t bytes = 0;
  for (const CommittedRecord& record : records) bytes += static_cast<LogCommit&>(*record.pending).payload_bytes_;
  metrics_->process().Add(MetricId::kJournalRecords, records.size());
  metrics_->process().Add(MetricId::kJournalPayload, bytes);
  applier_.Committed(records);
}

void CommitLog::Ended() {
  MutexLock lock(idle_mu_);
  if (--underway_ == 0) idle_.NotifyAll();
}

bool CommitLog::AwaitIdle(MonotonicTime deadline) {
  MutexLock lock(idle_mu_);
  while (underway_ != 0) {
    if (deadline == MonotonicTime::max()) {
      idle_.Wait(idle_mu_);
    } else if (!clock_->WaitUntil(idle_, idle_mu_, deadline)) {
      return underway_ == 0;
    }
  }
  return true;
}

}  // namespace engram
