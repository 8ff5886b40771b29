// Keeps the graphs catching up with their slabs, and rebuilds those of which too much is dead, behind everything else.
//
// Threads:  any; links on the executor's low class, one task per space at a time, and a second one that assists it while
//           there is but one such space and much to do. Ownership: executor and clock outlive it; its
//           tasks share their space. Blocking: the destructor, until the last task has ended.
// Errors:   what runs out of memory stops until the space is next scheduled; the scan finds everything meanwhile.
// Why:      behind recalls and commits, but not for ever: while a space's writers are held until it is linked, it takes
//           its turns among the batches, for nothing else would let it go on while other spaces keep the cores busy.
//           What is new goes first, and a rebuild takes as many insertions a turn while the tail is short. So it comes to
//           an end while less than half of the linking rate arrives; else it waits, for a tail costs recalls more than
//           the dead do.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/space.h"

namespace engram {

// How many a turn links: short ones while little waits, so that many spaces take turns; long ones for a deep backlog.
inline uint32_t TurnLength(uint64_t backlog) { return static_cast<uint32_t>(std::clamp<uint64_t>(backlog / 64, 32, 512)); }

// A turn that linked something; none that stopped.
struct LinkedTurn {
  uint32_t linked = 0;
  // The ordinals that the graph accounts for now and did not before.
  Ordinal from = 0;
  Ordinal end = 0;
  MonotonicTime begun{};
  MonotonicTime ended{};
};

class Linker {
 public:
  // `on_linked` is told of a space whose graph came further, or whose linking has stopped, and `spare_memory` tells how
  // many bytes a rebuild may take; both from any thread.
  Linker(Executor* executor, Clock* clock, std::function<void(Space&, const LinkedTurn&)> on_linked,
         std::function<uint64_t()> spare_memory)
      : executor_(executor),
        clock_(clock),
        on_linked_(std::move(on_linked)),
        spare_memory_(std::move(spare_memory)) {}
  ~Linker() { Stop(); }

  // Sees to it that the space is being linked while that is due. Few bits alone are not while its writers are at it:
  // whoever misses them hastens them, and nobody else is to take a writer's time.
  void Schedule(const std::shared_ptr<Space>& space);
  // Sees to it that bits that are due are made, among the batches and not behind them: a recall has looked at a long tail
  // without them, which takes many times as long, and holds up the space's writers in turn.
  void HastenBits(const std::shared_ptr<Space>& space);
  // No more of either; waits for what is linking.
  void Stop();

  // Linking holds back between the two.
  void RecallBegins() { recalls_.fetch_add(1, std::memory_order_relaxed); }
  void RecallEnds() { recalls_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  bool Due(const Space& space) const;
  void LinkSome(const std::shared_ptr<Space>& space);
  // Gives up when there is no memory for it.
  void SubmitTurn(const std::shared_ptr<Space>& space);
  void GiveUp(Space& space, bool stalled);
  // Of `missing` rows, in turns.
  void SubmitBits(const std::shared_ptr<Space>& space, uint64_t missing) noexcept;
  void Release(Space& space);
  // Has another thread take part in the turn that is about to begin, where it would hold up nobody.
  void Invite(const std::shared_ptr<Space>& space, uint32_t turn);
  bool RecallUnderWay() const { return recalls_.load(std::memory_order_relaxed) > 0; }

  // Constant after construction.
  Executor* const executor_;
  Clock* const clock_;
  const std::function<void(Space&, const LinkedTurn&)> on_linked_;
  const std::function<uint64_t()> spare_memory_;
  // Atomic: two sums, the rights to assist and to hasten bits, and a one-way flag.
  std::atomic<int64_t> recalls_{0};
  std::atomic<int64_t> spaces_linking_{0};
  std::atomic<bool> assisting_{false};
  std::atomic<bool> hastening_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace engram
