// The log of record: every change of every space, in one order. A position in it is a token.
//
// Threads:  Append and Read from any thread; records of one space come in the order of its callers. The sink is called by
//           one thread at a time, in the order of positions.
// Ownership: Append copies what it keeps of the record and owns the pending until the sink takes it. The sink outlives
//           the journal's Close.
// Blocking: Append while the open group is full and the one before it is being synced, or while the disk is full. Close
//           until everything appended has been committed or given up.
// Errors:   a failed Append left no record behind. A journal that cannot keep its promise (an fsync that failed) calls
//           OnFatal of its observer and commits nothing any more.
// Why:      apply is a function of the committed log, so recovery, replicas and normal running are one path; what the log
//           is (memory, segments on disk, a broker's topic) stays behind this interface.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/types.h"
#include "core/journal/record.h"
#include "core/journal/stored_observation.h"

namespace engram {

// What the appender wants back when its record is committed: the batch itself, so that it need not be read again.
class PendingCommit {
 public:
  virtual ~PendingCommit() = default;
};

// When a record got how far, and with how many others it was written.
struct CommitTimes {
  MonotonicTime reserved_at{};  // It had its place.
  MonotonicTime encoded_at{};
  MonotonicTime taken_at{};     // Its group was closed and is being written.
  MonotonicTime written_at{};
  MonotonicTime durable_at{};
  uint32_t group_records = 1;
  uint64_t group_bytes = 0;

  // Of a journal that does all of it at once.
  static CommitTimes At(MonotonicTime now) {
    return {.reserved_at = now, .encoded_at = now, .taken_at = now, .written_at = now, .durable_at = now};
  }
};

struct CommittedRecord {
  uint64_t position = 0;
  std::unique_ptr<PendingCommit> pending;
  CommitTimes times;
};

// Takes what is committed under the journal's durability.
class CommitSink {
 public:
  virtual ~CommitSink() = default;
  // Consecutive positions after those of the call before. Takes the pendings. May wait; does not throw.
  virtual void Committed(std::span<CommittedRecord> records) noexcept = 0;
};

class Journal {
 public:
  virtual ~Journal() = default;

  // From now on records can be appended. Called once, after Replay (if there is anything to replay).
  virtual void Start(CommitSink* sink) = 0;
  // Puts the record into the log and answers its position, dense from 1; the sink hears of it when it is committed.
  virtual absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) = 0;
  // Commits what was appended, then takes no more: Append is UNAVAILABLE. What waits for a full disk is given up.
  virtual void Close() = 0;

  // The last position handed out; 0 before the first.
  virtual uint64_t last() const = 0;
  virtual Durability durability() const = 0;
  // Names this log in tokens; never 0.
  virtual uint64_t id() const = 0;

  // The journal keeps what was appended, so nobody else needs to keep contents.
  virtual bool keeps_records() const = 0;
  // NOT_FOUND: it was rewritten away. DATA_LOSS: it is damaged, and the message says where.
  virtual absl::Status Read(RecordAddress address, StoredObservation* out) const = 0;
};

}  // namespace engram
