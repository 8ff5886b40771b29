// The graph that a space's searches walk, how far it reaches, and the one that is built to take its place.
//
// A graph only grows: what has died stays a node, which walks pass through and do not find. Once more than a quarter of
// the nodes are dead, another graph is built beside it, over what lives, and takes its place in one step. Meanwhile what
// is new goes on being linked into the serving graph and follows in the other one.
//
// Threads:   Begin, Adopt, Link, Rebuild: the linker, one at a time. Assist and everything const: any thread, beside the
//            linker.
// Ownership: the slab outlives it. A reader shares the graph it walks; one that was replaced is freed by the linker once
//            the last walk over it has ended, so that no recall pays for it.
// Blocking:  for the moment a pointer is copied; Link also for the insertion each of those that assist is at.
// Errors:    std::bad_alloc may leave Begin, and then nothing has changed. Link, Assist and Rebuild stop where memory ran
//            out.
// Why:       linking what arrives during a rebuild twice costs half of the linking rate, but the tail is no longer than
//            without one. Left to the tail instead, it would be scanned by every recall until the rebuild is through,
//            which takes minutes for a million.
#pragma once

#include <absl/base/thread_annotations.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "index/code_graph.h"
#include "index/code_slab.h"
#include "index/link_turn.h"

namespace engram {

class ServingGraph {
 public:
  // Asked between two insertions after the first; true ends the turn.
  using Yield = std::function<bool()>;

  ServingGraph(CodeSlab& slab, const CodeGraphOptions& options) : slab_(slab), options_(options) {}
  ServingGraph(const ServingGraph&) = delete;
  ServingGraph& operator=(const ServingGraph&) = delete;

  // --- linker ---

  // Without a graph: serves one without nodes, or `graph`, which holds all that lives below `end`.
  void Begin() ABSL_LOCKS_EXCLUDED(mu_);
  void Adopt(std::unique_ptr<CodeGraph> graph, Ordinal end) ABSL_LOCKS_EXCLUDED(mu_);

  // Inserts up to `most` live ordinals, in order; returns how far `linked` moved. REQUIRES: exists().
  uint32_t Link(uint32_t most, const Yield& yield) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes a part of the Link that is under way, if one is, until that ends; returns how many it inserted.
  uint32_t Assist(const Yield& yield);

  struct Rebuilt {
    uint64_t moved = 0;     // Work that was done; 0: nothing is due, or it cannot be done now.
    bool replaced = false;  // The graph was replaced.
  };
  // Begins a rebuild that is due, or takes one further by up to `most` insertions. `live` ordinals live, and `spare`
  // bytes may be taken: what would not hold another graph begins none, and 0 gives up the one that is under way.
  Rebuilt Rebuild(uint64_t live, uint32_t most, uint64_t spare, const Yield& yield) ABSL_LOCKS_EXCLUDED(mu_);

  // --- readers ---

  const CodeGraphOptions& options() const { return options_; }
  bool exists() const { return exists_.load(std::memory_order_acquire); }
  // What lives below it is in the graph that is shared afterwards, links and all.
  Ordinal linked() const { return linked_.load(std::memory_order_acquire); }
  // Null without a graph that holds all that lives in the view which ends at `visible`: a rebuild leaves out what is dead
  // by then, and views from before it may still show it.
  std::shared_ptr<const CodeGraph> Share(Ordinal visible) const ABSL_LOCKS_EXCLUDED(mu_);

  // The dead share of the nodes when `live` ordinals live: exact when nothing waits to be linked, else no more than that.
  double DeadShare(uint64_t live) const ABSL_LOCKS_EXCLUDED(mu_);
  // There is something for Rebuild to do.
  bool RebuildDue(uint64_t live) const ABSL_LOCKS_EXCLUDED(mu_);
  // Of all graphs there are.
  uint64_t resident_bytes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // To every view from now on. What dies with a batch that is being appended lives until that is visible.
  bool DeadToAll(Ordinal ordinal) const {
    const Ordinal died_at = slab_.DiedAt(ordinal);
    return died_at < slab_.size();
  }
  uint32_t InsertTaken(const Yield& yield);
  bool TooManyDead(uint64_t live) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveUp() ABSL_LOCKS_EXCLUDED(mu_);
  void Replace() ABSL_LOCKS_EXCLUDED(mu_);
  // True when there was a replaced graph that nobody walks any more.
  bool FreeReplaced() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  CodeSlab& slab_;
  const CodeGraphOptions options_;

  // Written by the linker only.
  mutable Mutex mu_;
  std::shared_ptr<CodeGraph> serving_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<CodeGraph> next_ ABSL_GUARDED_BY(mu_);      // Under way.
  std::shared_ptr<CodeGraph> replaced_ ABSL_GUARDED_BY(mu_);  // Still walked by somebody.
  // Views that end before it may show what serving_ has left out.
  Ordinal first_view_ ABSL_GUARDED_BY(mu_) = 0;

  // The linker's: what lives below it is in next_.
  Ordinal next_linked_ = 0;

  // Made with the first graph, before exists_ says so: most spaces are small and have none. Own synchronisation.
  std::unique_ptr<LinkTurn> turn_;
  // Atomic: the watermark, which turn_ moves, and whether there is a graph.
  std::atomic<Ordinal> linked_{0};
  std::atomic<bool> exists_{false};
};

}  // namespace engram
