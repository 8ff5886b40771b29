#include "core/linker.h"

#include <exception>

namespace engram {

void Linker::Stop() {
  stopping_.store(true);
  executor_->AwaitIdle();
}

void Linker::Schedule(const std::shared_ptr<Space>& space) {
  if (stopping_.load() || !space->ClaimLinking()) return;
  executor_->Submit(WorkClass::kLow, [this, space] { LinkSome(space); });
}

void Linker::LinkSome(const std::shared_ptr<Space>& space) {
  // Short turns: a slot of the low class serves many spaces.
  constexpr uint32_t kTurn = 128;
  SpaceIndex& index = *space->index();
  // Bits cost a hundredth of a link each.
  constexpr uint32_t kBits = 2048;
  const bool waiting = index.linking_due();
  uint32_t linked = 0;
  bool moved = false;
  try {
    moved = index.MakeBits(kBits) != 0;
    linked = index.Link(kTurn, [this] { return recalls_.load(std::memory_order_relaxed) > 0; });
    moved |= linked != 0;
  } catch (const std::exception&) {
    // As below: nothing was linked.
  }
  if (waiting && !moved) {
    // Out of memory, and trying again at once would only spin: the next commit does.
    space->ReleaseLinking();
    return;
  }
  space->series().Add(MetricId::kLinked, linked);
  on_linked_(*space);
  const auto more = [&] { return !stopping_.load() && !space->dropped() && index.linking_due(); };
  if (more()) {
    executor_->Submit(WorkClass::kLow, [this, space] { LinkSome(space); });
    return;
  }
  space->ReleaseLinking();
  // What was appended before the release found linking claimed.
  if (more()) Schedule(space);
}

}  // namespace engram
