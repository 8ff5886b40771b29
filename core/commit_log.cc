#include "core/commit_log.h"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <new>
#include <utility>

#include "core/base/check.h"

namespace engram {

// Of a command.
class CommandCommit final : public LogCommit {
 public:
  // Without an execution nobody waits.
  CommandCommit(CommitLog* log, Command command, size_t lane, std::shared_ptr<CommitLog::Execution> execution)
      : log_(log), command_(std::move(command)), lane_(lane), execution_(std::move(execution)) {}
  ~CommandCommit() override {
    if (execution_ == nullptr) return;
    MutexLock lock(execution_->mu_);
    execution_->ended_ = true;
    execution_->over_.NotifyAll();
  }

  const Command& command() const { return command_; }
  size_t lane() const override { return lane_; }
  uint64_t weight() const override { return command_.tombstones.size(); }
  void Apply(uint64_t position, const CommitTimes&) noexcept override {
    absl::StatusOr<Replica::Effect> effect = log_->Apply(command_.Record(), position);
    if (execution_ == nullptr) return;
    MutexLock lock(execution_->mu_);
    if (effect.ok()) {
      execution_->executed_ = CommitLog::Executed{position, *std::move(effect)};
    } else {
      execution_->executed_ = effect.status();
    }
  }

 private:
  CommitLog* const log_;
  const Command command_;
  const size_t lane_;
  const std::shared_ptr<CommitLog::Execution> execution_;
};

absl::StatusOr<CommitLog::Executed> CommitLog::Execution::Await() {
  MutexLock lock(mu_);
  while (!ended_) over_.Wait(mu_);
  if (!executed_) return absl::UnavailableError("the journal closed before the record was committed");
  return *executed_;
}

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

absl::StatusOr<uint64_t> CommitLog::Append(Command command, std::shared_ptr<Execution> execution) {
  const size_t lane = registry_->LaneOf(command.space == nullptr ? command.name : command.space->name());
  auto commit = std::make_unique<CommandCommit>(this, std::move(command), lane, std::move(execution));
  const JournalRecord record = commit->command().Record();
  return Append(record, std::move(commit));
}

absl::StatusOr<std::shared_ptr<CommitLog::Execution>> CommitLog::Begin(Command command) {
  const auto execution = std::make_shared<Execution>();
  // The commit's own may be gone once it is appended.
  const std::optional<Command> creation =
      command.type == RecordType::kSpaceCreated ? std::optional(command) : std::nullopt;
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t position, Append(std::move(command), execution));
  try {
    if (creation) execution->expected_ = replica_->Expect(creation->Record(), position);
  } catch (const std::bad_alloc&) {
    // It is in the log; who waits for it is told.
  }
  return execution;
}

absl::StatusOr<CommitLog::Executed> CommitLog::Execute(Command command) {
  const auto execution = std::make_shared<Execution>();
  ENGRAM_RETURN_IF_ERROR(Append(std::move(command), execution).status());
  return execution->Await();
}

absl::Status CommitLog::Send(Command command) { return Append(std::move(command), nullptr).status(); }

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
