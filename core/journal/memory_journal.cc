#include "core/journal/memory_journal.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/check.h"

namespace engram {

void MemoryJournal::Start(CommitSink* sink) {
  MutexLock lock(mu_);
  ENGRAM_CHECK(sink_ == nullptr && sink != nullptr);
  sink_ = sink;
  open_ = true;
}

absl::StatusOr<uint64_t> MemoryJournal::Append(const JournalRecord&, std::unique_ptr<PendingCommit> pending) {
  MutexLock lock(mu_);
  if (!open_) return absl::UnavailableError("the journal takes no records: it is not started or closed");
  CommittedRecord committed;
  committed.position = last_.load(std::memory_order_relaxed) + 1;
  committed.pending = std::move(pending);
  committed.times = CommitTimes::At(clock_->Now());
  last_.store(committed.position, std::memory_order_release);
  const uint64_t position = committed.position;
  sink_->Committed({&committed, 1});
  return position;
}

void MemoryJournal::Close() {
  MutexLock lock(mu_);
  open_ = false;
}

absl::Status MemoryJournal::Read(RecordAddress address, StoredObservation*) const {
  return absl::NotFoundError(fmt::format("record {} was not kept: the journal is in memory", address.position));
}

}  // namespace engram
