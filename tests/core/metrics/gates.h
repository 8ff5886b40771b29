// A journal and an executor that stand still when told to, so that a test can look at what is under way.
//
// Threads: any. Blocking: that is what they are for; everything waited for comes, or the test's timeout ends it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/journal/memory_journal.h"
#include "core/stream/thread_executor.h"

namespace engram::testing {

// Whether to go on, and who is waiting to.
class Gate {
 public:
  void Close() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    open_ = false;
  }
  void Open() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    open_ = true;
    moved_.NotifyAll();
  }
  void Pass() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ++waiting_;
    moved_.NotifyAll();
    while (!open_) moved_.Wait(mu_);
    --waiting_;
  }
  // Blocks until `count` threads stand before the gate.
  void AwaitWaiting(int count) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    while (waiting_ < count) moved_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar moved_;
  bool open_ ABSL_GUARDED_BY(mu_) = true;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
};

// Counts what it took. An observation called "poison" makes it throw, one called "refused" makes it fail.
class GatedJournal final : public Journal {
 public:
  explicit GatedJournal(Clock* clock) : inner_(7, clock) {}

  void Start(CommitSink* sink) override { inner_.Start(sink); }
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override {
    if (record.type == RecordType::kObservations) gate.Pass();
    for (const ObservationView& observation : record.observations) {
      if (observation.id == "poison") throw std::runtime_error("poison");
      if (observation.id == "refused") return absl::DataLossError("refused");
    }
    ++records;
    bytes += record.payload_bytes();
    return inner_.Append(record, std::move(pending));
  }
  void Close() override { inner_.Close(); }
  uint64_t last() const override { return inner_.last(); }
  Durability durability() const override { return inner_.durability(); }
  uint64_t id() const override { return inner_.id(); }
  bool keeps_records() const override { return false; }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override { return inner_.Read(address, out); }

  Gate gate;
  // Atomic: sums.
  std::atomic<uint64_t> records{0};
  std::atomic<uint64_t> bytes{0};

 private:
  MemoryJournal inner_;
};

// Plain threads, with a gate before recalls; linking is put aside while HoldLinking.
class GatedExecutor final : public Executor {
 public:
  void Submit(WorkClass work_class, Task task) override ABSL_LOCKS_EXCLUDED(mu_) {
    if (work_class == WorkClass::kLow) {
      MutexLock lock(mu_);
      if (holding_) {
        held_.push_back(std::move(task));
        return;
      }
    }
    inner_.Submit(work_class, std::move(task));
  }
  void RunHigh(const Task& task) override {
    recalls.Pass();
    inner_.RunHigh(task);
  }
  void AwaitIdle() override { inner_.AwaitIdle(); }

  void HoldLinking() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    holding_ = true;
  }
  void ReleaseLinking() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<Task> held;
    {
      MutexLock lock(mu_);
      holding_ = false;
      held.swap(held_);
    }
    for (Task& task : held) inner_.Submit(WorkClass::kLow, std::move(task));
  }

  Gate recalls;

 private:
  ThreadExecutor inner_{4};
  Mutex mu_;
  bool holding_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Task> held_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram::testing
