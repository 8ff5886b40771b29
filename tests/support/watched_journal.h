// A journal whose reads a test counts, and answers itself where it wants.
//
// Threads:   any. Ownership: owns the journal behind it; `reads` is shared with the test, and so outlives the engine.
// Blocking:  as the journal behind it, and as the test's answer.
// Errors:    of Read also the test's.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "core/journal/journal.h"

namespace engram::testing {

struct WatchedReads {
  std::atomic<uint64_t> count{0};
  // Asked before each read; what is not OK is its answer. Set before the first one.
  std::function<absl::Status(RecordAddress)> answer;
};

class WatchedJournal final : public Journal {
 public:
  WatchedJournal(std::unique_ptr<Journal> journal, std::shared_ptr<WatchedReads> reads)
      : journal_(std::move(journal)), reads_(std::move(reads)) {}

  void Start(CommitSink* sink) override { journal_->Start(sink); }
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override {
    return journal_->Append(record, std::move(pending));
  }
  void Close() override { journal_->Close(); }
  uint64_t last() const override { return journal_->last(); }
  Durability durability() const override { return journal_->durability(); }
  uint64_t id() const override { return journal_->id(); }
  bool keeps_records() const override { return journal_->keeps_records(); }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override {
    ++reads_->count;
    if (reads_->answer) ENGRAM_RETURN_IF_ERROR(reads_->answer(address));
    return journal_->Read(address, out);
  }

 private:
  const std::unique_ptr<Journal> journal_;
  const std::shared_ptr<WatchedReads> reads_;
};

}  // namespace engram::testing
