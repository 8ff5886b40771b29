#include "index/serving_graph.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/base/check.h"

namespace engram {
namespace {

// One in so many nodes may be dead.
constexpr uint64_t kDeadShare = 4;
// Ordinals looked at in a turn, for each insertion it may make: dead ones cost a cache line in sixteen.
constexpr uint64_t kLookedAt = 64;

uint64_t Dead(uint64_t nodes, uint64_t live) { return nodes - std::min(nodes, live); }

}  // namespace

void ServingGraph::Begin() { Adopt(std::make_unique<CodeGraph>(slab_, options_), 0); }

void ServingGraph::Adopt(std::unique_ptr<CodeGraph> graph, Ordinal end) {
  std::shared_ptr<CodeGraph> shared = std::move(graph);
  auto turn = std::make_unique<LinkTurn>(linked_);
  {
    MutexLock lock(mu_);
    ENGRAM_CHECK(serving_ == nullptr);
    serving_ = std::move(shared);
  }
  turn_ = std::move(turn);
  exists_.store(true, std::memory_order_release);
  linked_.store(end, std::memory_order_release);
}

std::shared_ptr<const CodeGraph> ServingGraph::Share(Ordinal visible) const {
  MutexLock lock(mu_);
  return visible < first_view_ ? nullptr : serving_;
}

uint32_t ServingGraph::Link(uint32_t most, const Yield& yield) {
  std::shared_ptr<CodeGraph> serving;
  {
    MutexLock lock(mu_);
    serving = serving_;
  }
  const Ordinal begin = linked_.load(std::memory_order_relaxed);
  turn_->Open(serving.get(), slab_.size(), most);
  InsertTaken(yield);
  turn_->Close();
  turn_->AwaitOthers();
  return linked_.load(std::memory_order_relaxed) - begin;
}

uint32_t ServingGraph::Assist(const Yield& yield) { return exists() ? InsertTaken(yield) : 0; }

uint32_t ServingGraph::InsertTaken(const Yield& yield) {
  const auto skip = [this](Ordinal ordinal) {
    if (DeadToAll(ordinal)) return true;
    slab_.MakeBits(ordinal + 1);
    return false;
  };
  uint32_t inserted = 0;
  try {
    while (inserted == 0 || !yield || !yield()) {
      const LinkTurn::Taken taken = turn_->Take(skip);
      if (taken.ordinal == kNoOrdinal) break;
      const bool done = taken.graph->Insert(taken.ordinal);
      turn_->Done(taken, done);
      // Out of memory: it stays in the tail, which finds it too.
      if (!done) break;
      ++inserted;
    }
  } catch (const std::bad_alloc&) {
    // As above: there were no bits for the next one.
  }
  return inserted;
}

ServingGraph::Rebuilt ServingGraph::Rebuild(uint64_t live, uint32_t most, uint64_t spare, const Yield& yield) {
  Rebuilt rebuilt;
  rebuilt.moved = FreeReplaced();
  std::shared_ptr<CodeGraph> next, serving;
  {
    MutexLock lock(mu_);
    next = next_;
    if (next == nullptr && TooManyDead(live)) serving = serving_;
  }
  if (next == nullptr) {
    if (serving == nullptr || spare < serving->resident_bytes()) return rebuilt;
    try {
      next = std::make_shared<CodeGraph>(slab_, options_);
    } catch (const std::bad_alloc&) {
      return rebuilt;
    }
    next_linked_ = 0;
    MutexLock lock(mu_);
    next_ = next;
  } else if (spare == 0) {
    GiveUp();
    return rebuilt;
  }

  const Ordinal linked = linked_.load(std::memory_order_relaxed);
  const Ordinal begin = next_linked_;
  const auto end = static_cast<Ordinal>(std::min<uint64_t>(linked, begin + kLookedAt * most));
  for (uint32_t inserted = 0; next_linked_ < end && inserted < most; ++next_linked_) {
    if (DeadToAll(next_linked_)) continue;
    if (inserted != 0 && yield && yield()) break;
    if (!next->Insert(next_linked_)) {
      // Out of memory: the serving graph goes on, and what this one took may help it.
      GiveUp();
      return rebuilt;
    }
    ++inserted;
  }
  rebuilt.moved += next_linked_ - begin;
  if (next_linked_ == linked) {
    next.reset();
    Replace();
    FreeReplaced();
    ++rebuilt.moved;
    rebuilt.replaced = true;
  }
  return rebuilt;
}

void ServingGraph::GiveUp() {
  std::shared_ptr<CodeGraph> freed;
  MutexLock lock(mu_);
  freed = std::move(next_);
}

void ServingGraph::Replace() {
  std::shared_ptr<CodeGraph> freed;
  MutexLock lock(mu_);
  // Of two that were replaced and are still walked the older one goes with its last walk.
  freed = std::move(replaced_);
  replaced_ = std::move(serving_);
  serving_ = std::move(next_);
  first_view_ = slab_.size();
}

bool ServingGraph::FreeReplaced() {
  std::shared_ptr<CodeGraph> freed;
  MutexLock lock(mu_);
  // Shared only under the lock, and no more: once it is held by nobody else, nobody else will hold it.
  if (replaced_.use_count() != 1) return false;
  freed = std::move(replaced_);
  return true;
}

bool ServingGraph::TooManyDead(uint64_t live) const {
  if (serving_ == nullptr) return false;
  const uint64_t nodes = serving_->size();
  return Dead(nodes, live) * kDeadShare > nodes;
}

double ServingGraph::DeadShare(uint64_t live) const {
  MutexLock lock(mu_);
  const uint64_t nodes = serving_ == nullptr ? 0 : serving_->size();
  return nodes == 0 ? 0 : static_cast<double>(Dead(nodes, live)) / static_cast<double>(nodes);
}

bool ServingGraph::RebuildDue(uint64_t live) const {
  if (!exists()) return false;
  MutexLock lock(mu_);
  return next_ != nullptr || replaced_ != nullptr || TooManyDead(live);
}

uint64_t ServingGraph::resident_bytes() const {
  std::shared_ptr<const CodeGraph> graphs[3];
  {
    MutexLock lock(mu_);
    graphs[0] = serving_;
    graphs[1] = next_;
    graphs[2] = replaced_;
  }
  uint64_t bytes = 0;
  for (const auto& graph : graphs) bytes += graph == nullptr ? 0 : graph->resident_bytes();
  return bytes;
}

}  // namespace engram
