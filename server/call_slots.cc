#include "server/call_slots.h"

#include <fmt/format.h>

namespace engram {

CallSlots::CallSlots(std::string what, std::string setting, uint64_t most)
    : what_(std::move(what)), setting_(std::move(setting)), most_(most) {}

absl::StatusOr<CallSlots::Slot> CallSlots::Take() {
  {
    MutexLock lock(mu_);
    if (taken_ < most_) {
      ++taken_;
      return Slot(this);
    }
  }
  return absl::ResourceExhaustedError(
      fmt::format("{} {} are already under way, {} is {}", most_, what_, setting_, most_));
}

bool CallSlots::AwaitNone(Clock& clock, MonotonicTime deadline) {
  MutexLock lock(mu_);
  while (taken_ > 0) {
    if (!clock.WaitUntil(none_, mu_, deadline) && taken_ > 0) return false;
  }
  return true;
}

uint64_t CallSlots::taken() const {
  MutexLock lock(mu_);
  return taken_;
}

void CallSlots::GiveBack() {
  MutexLock lock(mu_);
  if (--taken_ == 0) none_.NotifyAll();
}

}  // namespace engram
