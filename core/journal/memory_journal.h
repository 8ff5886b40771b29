// A journal that only counts: positions without bytes. What the spaces hold in memory is all there is, and every
// acknowledgement says so (Durability::kMemory).
//
// Threads:  as Journal says; the sink is called on the appender's thread. Blocking: Append while the sink waits, and
//           for the appenders before it.
#pragma once

#include <atomic>

#include "core/base/mutex.h"
#include "core/journal/journal.h"

namespace engram {

class MemoryJournal final : public Journal {
 public:
  // `id` must differ from that of the daemon's earlier lives, or old tokens would look valid.
  MemoryJournal(uint64_t id, Clock* clock) : id_(id == 0 ? 1 : id), clock_(clock) {}

  void Start(CommitSink* sink) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Close() override ABSL_LOCKS_EXCLUDED(mu_);

  uint64_t last() const override { return last_.load(std::memory_order_acquire); }
  Durability durability() const override { return Durability::kMemory; }
  uint64_t id() const override { return id_; }

  bool keeps_records() const override { return false; }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override;

 private:
  // Constant after construction.
  const uint64_t id_;
  Clock* const clock_;

  // Held while the sink takes a record: positions reach it in their order.
  Mutex mu_;
  CommitSink* sink_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  // Atomic: written under mu_, read by anybody.
  std::atomic<uint64_t> last_{0};
};

}  // namespace engram
