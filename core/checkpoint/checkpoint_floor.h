// Below which position no checkpoint lies that a start could load: what the log may be rid of.
//
// Threads: any. Ownership: none. Blocking: never. Errors: none.
// Why:     a checkpoint is found by the next start from its renaming on, also when what followed failed and nobody was told
//          of a success. So an attempt counts before it begins, and only a whole one, which removes all others, raises the
//          floor. Were it not so, the records that tell of deaths behind such a file would be rewritten away, and loading
//          it would bring back what they told of.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace engram {

class CheckpointFloor {
 public:
  // After a start: that of the checkpoint it loaded, if any. All others are removed by then.
  void Recovered(std::optional<uint64_t> position) { Set(position.value_or(kNone)); }
  // Before an attempt at `position`, which everything applied has reached.
  void Begin(uint64_t position) {
    uint64_t none = kNone;
    position_.compare_exchange_strong(none, position, std::memory_order_relaxed);
  }
  // After the attempt was named, and the others removed.
  void Written(uint64_t position) { Set(position); }

  // `applied_through` as it is now: where there is no checkpoint, none can come to be of an earlier position.
  uint64_t Get(uint64_t applied_through) const {
    const uint64_t position = position_.load(std::memory_order_relaxed);
    return position != kNone ? position : applied_through;
  }

 private:
  // No position. Not 0: a checkpoint begun before the first record has that, and spaces made while it was written.
  static constexpr uint64_t kNone = UINT64_MAX;

  void Set(uint64_t position) { position_.store(position, std::memory_order_relaxed); }

  // Atomic: written by whoever makes a checkpoint, read by the rewriter; both hold the storage's work mutex.
  std::atomic<uint64_t> position_{kNone};
};

}  // namespace engram
