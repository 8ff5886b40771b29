// A clock, an executor, a directory and a journal that do what they decorate, and suffer the faults of an InjectedFaults.
//
// Threads, blocking, errors: as what they decorate, and as server/injected_faults.h says. Ownership: each owns what it
// decorates, but for the clock; the faults outlive them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/journal/files.h"
#include "core/journal/journal.h"
#include "server/injected_faults.h"

namespace engram {

class ShiftedClock final : public Clock {
 public:
  ShiftedClock(Clock* clock, InjectedFaults* faults) : clock_(clock), faults_(faults) {}

  MonotonicTime Now() const override { return clock_->Now(); }
  int64_t WallMicros() const override {
    const int64_t shift = faults_->wall_shift_us();
    if (shift != 0) faults_->Did(FaultKind::kShiftClock);
    return clock_->WallMicros() + shift;
  }
  bool WaitUntil(CondVar& cv, Mutex& mu, MonotonicTime deadline) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return clock_->WaitUntil(cv, mu, deadline);
  }

 private:
  Clock* const clock_;
  InjectedFaults* const faults_;
};

class StallingExecutor final : public Executor {
 public:
  StallingExecutor(std::unique_ptr<Executor> executor, InjectedFaults* faults)
      : executor_(std::move(executor)), faults_(faults) {}
  // What waits would be waited for.
  ~StallingExecutor() override { faults_->Heal(); }

  void Submit(WorkClass work_class, Task task) override {
    if (work_class != WorkClass::kNormal) return executor_->Submit(work_class, std::move(task));
    executor_->Submit(work_class, [faults = faults_, task = std::move(task)] {
      faults->StallIfChosen();
      task();
    });
  }
  void RunHigh(const Task& task) override { executor_->RunHigh(task); }
  void AwaitIdle() override { executor_->AwaitIdle(); }

 private:
  const std::unique_ptr<Executor> executor_;
  InjectedFaults* const faults_;
};

class TroubledFile final : public File {
 public:
  TroubledFile(std::unique_ptr<File> file, InjectedFaults* faults) : file_(std::move(file)), faults_(faults) {}

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    return file_->ReadAt(offset, out);
  }
  absl::Status WriteAt(uint64_t offset, std::span<const std::byte> bytes) override;
  absl::Status Sync() override;
  absl::Status Truncate(uint64_t size) override { return file_->Truncate(size); }
  absl::StatusOr<uint64_t> Size() const override { return file_->Size(); }
  const std::string& path() const override { return file_->path(); }

 private:
  const std::unique_ptr<File> file_;
  InjectedFaults* const faults_;
};

class TroubledDirectory final : public Directory {
 public:
  TroubledDirectory(std::unique_ptr<Directory> directory, InjectedFaults* faults)
      : directory_(std::move(directory)), faults_(faults) {}

  absl::StatusOr<std::unique_ptr<File>> Open(std::string_view name, Mode mode) override;
  absl::StatusOr<DiskSpace> Space() override;

  absl::Status Rename(std::string_view from, std::string_view to) override { return directory_->Rename(from, to); }
  absl::Status Remove(std::string_view name) override { return directory_->Remove(name); }
  absl::Status Link(std::string_view from, std::string_view to) override { return directory_->Link(from, to); }
  absl::Status LinkInto(std::string_view from, Directory& target, std::string_view to) override {
    return directory_->LinkInto(from, target, to);
  }
  absl::StatusOr<uint64_t> LinkCount(std::string_view name) override { return directory_->LinkCount(name); }
  absl::StatusOr<std::vector<std::string>> List() override { return directory_->List(); }
  absl::Status Sync() override { return directory_->Sync(); }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(std::string_view name) override { return directory_->Lock(name); }
  absl::StatusOr<std::string> LockHolder(std::string_view name) override { return directory_->LockHolder(name); }
  const std::string& path() const override { return directory_->path(); }

 private:
  const std::unique_ptr<Directory> directory_;
  InjectedFaults* const faults_;
};

class CrashingJournal final : public Journal {
 public:
  CrashingJournal(std::unique_ptr<Journal> journal, InjectedFaults* faults)
      : journal_(std::move(journal)), faults_(faults) {}

  // Throws std::runtime_error.
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override;

  void Start(CommitSink* sink) override { journal_->Start(sink); }
  void Close() override { journal_->Close(); }
  uint64_t last() const override { return journal_->last(); }
  Durability durability() const override { return journal_->durability(); }
  uint64_t id() const override { return journal_->id(); }
  bool keeps_records() const override { return journal_->keeps_records(); }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override {
    return journal_->Read(address, out);
  }

 private:
  const std::unique_ptr<Journal> journal_;
  InjectedFaults* const faults_;
};

}  // namespace engram
