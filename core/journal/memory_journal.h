// A journal that only counts: positions without bytes. What the spaces hold in memory is all there is, and every
// acknowledgement says so (Durability::kMemory).
#pragma once

#include <atomic>

#include "core/journal/journal.h"

namespace engram {

class MemoryJournal final : public Journal {
 public:
  // `id` must differ from that of the daemon's earlier lives, or old tokens would look valid.
  explicit MemoryJournal(uint64_t id) : id_(id == 0 ? 1 : id) {}

  absl::StatusOr<uint64_t> Append(const JournalRecord& record) override;
  uint64_t last() const override { return last_.load(std::memory_order_relaxed); }
  Durability durability() const override { return Durability::kMemory; }
  uint64_t id() const override { return id_; }

 private:
  const uint64_t id_;
  // Atomic: hands out positions to many writers.
  std::atomic<uint64_t> last_{0};
};

}  // namespace engram
