#include "core/linker.h"

#include <algorithm>
#include <exception>
#include <new>

namespace engram {

void Linker::Stop() {
  stopping_.store(true);
  executor_->AwaitIdle();
}

bool Linker::Due(const Space& space) const {
  const SpaceIndex* const index = space.index();
  if (stopping_.load() || index == nullptr) return false;
  // A recall scans as many by bytes in some milliseconds.
  constexpr uint64_t kMostWithoutBits = 65'536;
  return index->graph_due() || index->bits_backlog() >= kMostWithoutBits || (index->bits_due() && space.queued() == 0);
}

void Linker::Schedule(const std::shared_ptr<Space>& space) {
  if (!Due(*space) || !space->ClaimLinking(Space::Linking::kByLinker)) return;
  spaces_linking_.fetch_add(1, std::memory_order_relaxed);
  SubmitTurn(space);
}

void Linker::Release(Space& space) {
  spaces_linking_.fetch_sub(1, std::memory_order_relaxed);
  space.ReleaseLinking();
}

void Linker::Invite(const std::shared_ptr<Space>& space, uint32_t turn) {
  // Turns are no shorter than this; what waits for longer ones is worth waking a thread for.
  constexpr uint32_t kShortTurn = 32;
  if (turn <= kShortTurn || space->backlog().held() > 0 || spaces_linking_.load(std::memory_order_relaxed) > 1) return;
  if (assisting_.exchange(true)) return;
  const auto assist = [this, space] {
    // Other spaces' turns have the thread as soon as there are any; and a worker, which links while writers are held, is
    // not to wait for a thread behind everything else.
    const auto yield = [this, &space] {
      return RecallUnderWay() || space->backlog().held() > 0 || spaces_linking_.load(std::memory_order_relaxed) > 1;
    };
    if (!yield()) space->index()->AssistLink(yield);
    assisting_.store(false);
  };
  try {
    executor_->Submit(WorkClass::kLow, assist);
  } catch (const std::bad_alloc&) {
    assisting_.store(false);
  }
}

void Linker::HastenBits(const std::shared_ptr<Space>& space) {
  // One space at a time, or those of many that were recalled would crowd out the batches; its turn over, the next recall
  // that misses bits asks again.
  if (stopping_.load() || !space->index()->bits_due() || hastening_.exchange(true)) return;
  SubmitBits(space, space->index()->bits_backlog());
}

void Linker::SubmitBits(const std::shared_ptr<Space>& space, uint64_t missing) noexcept {
  // Shorter than a worker's turn.
  constexpr uint64_t kTurn = 1024;
  const auto turn = static_cast<uint32_t>(std::min(kTurn, missing));
  const auto make = [this, space, missing, turn] {
    uint32_t made = 0;
    try {
      made = space->index()->MakeBits(turn);
    } catch (const std::bad_alloc&) {
      // As when there is nothing to make.
    }
    if (made == turn && missing > turn && !stopping_.load() && !space->dropped()) {
      return SubmitBits(space, missing - turn);
    }
    hastening_.store(false);
  };
  try {
    executor_->Submit(WorkClass::kNormal, make);
  } catch (const std::bad_alloc&) {
    hastening_.store(false);
  }
}

void Linker::SubmitTurn(const std::shared_ptr<Space>& space) {
  const WorkClass work_class = space->backlog().held() > 0 ? WorkClass::kNormal : WorkClass::kLow;
  try {
    executor_->Submit(work_class, [this, space] { LinkSome(space); });
  } catch (const std::bad_alloc&) {
    GiveUp(*space, /*stalled=*/true);
  }
}

// Out of memory, and trying again at once would only spin: the next commit does, or the janitor.
void Linker::GiveUp(Space& space, bool stalled) {
  if (stalled) {
    if (!space.linking_hindered()) space.series().Add(MetricId::kLinkStalls);
    space.NoteLinkingStalled(true);
  }
  Release(space);
  on_linked_(space, {});
}

void Linker::LinkSome(const std::shared_ptr<Space>& space) {
  // Among the batches a turn is about as short as a worker's.
  constexpr uint32_t kTurnAmongBatches = 64;
  SpaceIndex& index = *space->index();
  // Bits cost a hundredth of a link each.
  constexpr uint32_t kBits = 2048;
  // A tail that costs a recall less than its walk.
  constexpr uint64_t kShortTail = 1024;
  const bool waiting = index.linking_due();
  const bool backlog = index.link_backlog() != 0;
  const uint32_t turn = space->backlog().held() > 0 ? kTurnAmongBatches : TurnLength(index.link_backlog());
  LinkedTurn done;
  uint32_t& linked = done.linked;
  bool moved = false;
  try {
    moved = index.MakeBits(kBits) != 0;
    const auto yield = [this] { return RecallUnderWay(); };
    Invite(space, turn);
    done.from = static_cast<Ordinal>(index.linked());
    done.begun = clock_->Now();
    linked = index.Link(turn, yield);
    done.ended = clock_->Now();
    done.end = static_cast<Ordinal>(index.linked());
    moved |= linked != 0;
    const uint64_t spare = backlog && linked == 0 ? 0 : spare_memory_();
    if (spare == 0 || (space->backlog().held() == 0 && index.link_backlog() <= kShortTail)) {
      // Without memory it gives back what a rebuild has taken.
      const SpaceIndex::Rebuilt rebuilt = index.Rebuild(turn, spare, yield);
      moved |= rebuilt.moved;
      if (rebuilt.replaced) space->series().Add(MetricId::kGraphRebuilds);
    }
  } catch (const std::exception&) {
    // As below: nothing was linked.
  }
  // Bits and rebuilds do not make up for a backlog that stays.
  const bool stalled = backlog && linked == 0;
  // A rebuild that finds no room holds up nobody.
  if (stalled || (waiting && !moved)) return GiveUp(*space, stalled);
  space->NoteLinkingStalled(false);
  space->series().Add(MetricId::kLinked, linked);
  on_linked_(*space, done);
  if (!space->dropped() && Due(*space)) return SubmitTurn(space);
  Release(*space);
  // What was appended before the release found linking claimed.
  if (!space->dropped()) Schedule(space);
}

}  // namespace engram
