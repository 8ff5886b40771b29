// How many calls of one kind may be under way: beyond it they are refused at once, before they cost anything.
//
// Threads: any. Blocking: AwaitNone; a slot costs two mutex holds of a few instructions. Errors: RESOURCE_EXHAUSTED.
// Ownership: outlives the slots taken from it.
// Why:     a synchronous call holds a thread, so what is admitted has to be bounded.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace engram {

class CallSlots {
 public:
  // One call's place, given back when it dies.
  class Slot {
   public:
    explicit Slot(CallSlots* slots) : slots_(slots) {}
    Slot(Slot&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_ != nullptr) slots_->GiveBack();
    }

   private:
    CallSlots* slots_;
  };

  // `what` and `setting` name the calls and their limit in the refusal.
  CallSlots(std::string what, std::string setting, uint64_t most);

  absl::StatusOr<Slot> Take() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until no slot is taken; false at the deadline.
  bool AwaitNone(Clock& clock, MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t taken() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void GiveBack() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const std::string what_;
  const std::string setting_;
  const uint64_t most_;

  mutable Mutex mu_;
  CondVar none_;
  uint64_t taken_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram
