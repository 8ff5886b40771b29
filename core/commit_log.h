// The engine's end of the journal: what goes in, what comes out committed, and how far that has been applied.
//
// Threads:  any, from Start to Close. Ownership: journal, replica, clock and metrics outlive it.
// Blocking: Append as the journal does; Execute until its record is applied; AwaitIdle until everything appended is.
// Errors:   those of the journal. UNAVAILABLE from Execute: the journal gave the record up while it closed.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/applier.h"
#include "core/base/clock.h"
#include "core/journal/applied_watermark.h"
#include "core/journal/journal.h"
#include "core/metrics/metrics.h"
#include "core/replica.h"

namespace engram {

// A commit of the engine's; the log counts it from its construction to its end.
class LogCommit : public Commit {
 public:
  LogCommit() = default;
  ~LogCommit() override;
  LogCommit(const LogCommit&) = delete;
  LogCommit& operator=(const LogCommit&) = delete;

 protected:
  // Of its record, once it is appended.
  uint64_t payload_bytes() const { return payload_bytes_; }

 private:
  friend class CommitLog;
  class CommitLog* log_ = nullptr;
  uint64_t payload_bytes_ = 0;
};

// A record with memory of its own.
struct Command {
  RecordType type = RecordType::kSpaceChanged;
  // Null in kSpaceCreated. Keeps the memory of the tombstones' ids.
  std::shared_ptr<Space> space;
  std::string name;
  Metric metric = Metric::kCosine;
  SpaceConfig config;
  int64_t created_at_us = 0;
  std::vector<Tombstone> tombstones;

  JournalRecord Record() const;
};

class CommitLog final : public CommitSink {
 public:
  CommitLog(Journal* journal, SpaceRegistry* registry, Replica* replica, Clock* clock, Metrics* metrics,
            size_t partitions);
  ~CommitLog() override { Close(); }

  void Start();
  // Commits and applies what was appended, then takes no more.
  void Close();

  // The commit's Apply is called when the record is committed; without it, it ends when the journal gives it up.
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<LogCommit> commit);
  struct Executed {
    uint64_t position = 0;
    Replica::Effect effect;
  };
  // Of a command that is in the log, or was. Any thread.
  class Execution {
   public:
    // Waits until the record is applied or given up.
    absl::StatusOr<Executed> Await() ABSL_LOCKS_EXCLUDED(mu_);
    // Of a creation: the space it makes, to be written to already: what is appended from now on is applied behind it.
    // Null where only Await tells.
    const std::shared_ptr<Space>& expected() const { return expected_; }

   private:
    friend class CommitLog;
    friend class CommandCommit;
    // Set before anybody else knows of it.
    std::shared_ptr<Space> expected_;
    Mutex mu_;
    CondVar over_;
    bool ended_ ABSL_GUARDED_BY(mu_) = false;
    std::optional<absl::StatusOr<Executed>> executed_ ABSL_GUARDED_BY(mu_);
  };
  // Waits for nothing but the journal.
  absl::StatusOr<std::shared_ptr<Execution>> Begin(Command command);
  absl::StatusOr<Executed> Execute(Command command);
  // Begin, and nobody asks what became of it.
  absl::Status Send(Command command);

  // Applies a committed record of this process and lets the watermark pass it. The status is NOT_FOUND when its space
  // was dropped meanwhile. Stops the process when memory is out: what is durable must not be refused.
  absl::StatusOr<Replica::Effect> Apply(const JournalRecord& record, uint64_t position) noexcept;

  // Everything appended is applied or given up; false at the deadline.
  bool AwaitIdle(MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(idle_mu_);
  AppliedWatermark& applied() { return applied_; }
  const AppliedWatermark& applied() const { return applied_; }
  Journal& journal() { return *journal_; }

  // --- CommitSink ---
  void Committed(std::span<CommittedRecord> records) noexcept override;

 private:
  friend class LogCommit;
  absl::StatusOr<uint64_t> Append(Command command, std::shared_ptr<Execution> execution);
  void Ended() ABSL_LOCKS_EXCLUDED(idle_mu_);

  // Constant after construction.
  Journal* const journal_;
  SpaceRegistry* const registry_;
  Replica* const replica_;
  Clock* const clock_;
  Metrics* const metrics_;

  AppliedWatermark applied_;
  Mutex idle_mu_;
  CondVar idle_;
  uint64_t underway_ ABSL_GUARDED_BY(idle_mu_) = 0;
  // Last: its threads use all of the above.
  Applier applier_;
};

}  // namespace engram
