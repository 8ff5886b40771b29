// A segmented journal without threads as the engine's journal: whoever appends does the journal's work, too.
//
// It notes what becomes committed, so that a test knows the moment from which on a client may be told, whether it was
// told or not.
//
// Threads:   one appends; it is also the one the sink is called by. Ownership: owns the journal; the observer outlives
// it. Blocking:  never: a journal that has failed is closed, so whoever waits for a record learns that it is lost.
// Errors:    those of the journal.
// Why:       then every file operation of an engine comes from the test's own thread, and a seed replays it.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {

class SteppingJournal final : public Journal, public CommitSink {
 public:
  // Watermarks of the streams of a space.
  using Marks = std::map<std::string, uint64_t>;

  SteppingJournal(std::unique_ptr<SegmentedJournal> journal, const RememberingObserver* observer, uint64_t seed)
      : journal_(std::move(journal)), observer_(observer), random_(seed) {}

  SegmentedJournal& segmented() { return *journal_; }
  // Of the space of that name as it is in the committed log.
  const Marks& Promised(const std::string& space) { return promised_[space]; }

  // Applied up to where; what is committed is waited for, or a seed would not say what has expired before it was
  // replaced.
  void SetApplied(std::function<uint64_t()> applied) { applied_ = std::move(applied); }

  // Does all there is to do.
  void Settle() {
    while (journal_->Step()) {
    }
    if (!observer_->fatal().ok()) journal_->Close();
  }

  // --- Journal ---
  void Start(CommitSink* sink) override {
    sink_ = sink;
    committed_ = journal_->last();
    journal_->Start(this);
  }
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override {
    const auto position = journal_->Append(record, std::move(pending));
    if (position.ok()) {
      Appended& appended = appended_[*position];
      appended.type = record.type;
      appended.space = std::string(record.space);
      for (const StreamMark& mark : record.marks) appended.marks[std::string(mark.stream)] = mark.through;
    }
    // Of everything else somebody waits for the end; observations come several in a group.
    if (!position.ok() || record.type != RecordType::kObservations || random_() % 3 == 0) Settle();
    return position;
  }
  void Close() override { journal_->Close(); }
  uint64_t last() const override { return journal_->last(); }
  Durability durability() const override { return journal_->durability(); }
  uint64_t id() const override { return journal_->id(); }
  bool keeps_records() const override { return true; }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override {
    return journal_->Read(address, out);
  }

  // --- CommitSink ---
  void Committed(std::span<CommittedRecord> records) noexcept override {
    for (const CommittedRecord& record : records) {
      committed_ = record.position;
      const auto appended = appended_.extract(record.position);
      if (appended.empty()) continue;
      Marks& promised = promised_[appended.mapped().space];
      if (appended.mapped().type == RecordType::kSpaceDropped) promised.clear();
      for (const auto& [stream, through] : appended.mapped().marks) {
        promised[stream] = std::max(promised[stream], through);
      }
    }
    sink_->Committed(records);
    while (applied_() < committed_) std::this_thread::yield();
  }

 private:
  struct Appended {
    RecordType type = RecordType::kObservations;
    std::string space;
    Marks marks;
  };

  const std::unique_ptr<SegmentedJournal> journal_;
  const RememberingObserver* const observer_;
  std::mt19937_64 random_;
  CommitSink* sink_ = nullptr;
  std::function<uint64_t()> applied_;
  uint64_t committed_ = 0;
  std::map<uint64_t, Appended> appended_;  // And not committed.
  std::map<std::string, Marks> promised_;
};

}  // namespace engram::testing
