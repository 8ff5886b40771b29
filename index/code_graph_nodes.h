// What a graph over codes is made of. For the files that implement CodeGraph only.
//
// Threads:   as CodeGraph says. Load is for a graph that nobody else knows yet.
// Ownership: as CodeGraph says.
// Blocking:  top_ is held for the first insertion and for one that raises the top level; a list's lock for a few
//            microseconds, and one at a time.
// Errors:    std::bad_alloc leaves what is not noexcept, before the graph has changed; CodeGraph catches it.
// Why:       walking, linking and saving are three subjects of the same links.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "index/code_distance.h"
#include "index/code_graph.h"
#include "index/image.h"
#include "index/level_generator.h"
#include "index/link_table.h"
#include "index/walk_room.h"

namespace engram {

class CodeGraph::Nodes {
 public:
  Nodes(const CodeSlab& slab, const CodeGraphOptions& options)
      : distance_(slab),
        levels_(options.seed, options.max_connections),
        ef_construction_(std::max(options.ef_construction, 1u)),
        links_(Connections(options)) {}

  const LevelGenerator& levels() const { return levels_; }
  const LinkTable& links() const { return links_; }
  bool Insert(Ordinal ordinal, uint32_t level) ABSL_LOCKS_EXCLUDED(top_);
  // `compared` is told also when the walk gives up.
  std::optional<Walk> Search(const CodePoint& query, uint32_t ef, const Scope& scope, uint64_t* compared) const;
  uint64_t resident_bytes() const { return sizeof(*this) + links_.resident_bytes() + rooms_.resident_bytes(); }

  // index/code_graph_image.cc.
  absl::Status Save(Ordinal end, ImageSink& sink) const;
  // What lies behind the header.
  absl::Status Load(uint32_t nodes, uint32_t entry, Ordinal end, ImageSource& source);
  static uint32_t Connections(const CodeGraphOptions& options) { return std::clamp(options.max_connections, 2u, 512u); }

 private:
  // Where walks begin: a node of the top level.
  struct Entry {
    Ordinal node = kNoOrdinal;
    int32_t level = -1;
  };
  static_assert(std::atomic<Entry>::is_always_lock_free);

  // Half of what recalls go by unless told.
  static constexpr uint32_t kLeadWidth = 32;

  // What `level` is walked for.
  struct Wanted {
    uint32_t level = 0;
    uint32_t ef = 1;    // So wide is the walk.
    uint32_t most = 1;  // So many of the best it met are ranked by bytes, no fewer.
    const Scope* scope = nullptr;  // Null: every node.
  };

  // index/code_graph_walk.cc. From `entry` down to above `level`; leaves in room.entries where to begin there: at a few
  // nodes. By way of the closest alone, of a million in a hundred clusters one in a hundred is not found by its own code:
  // a level of few links has places that all around are farther.
  void Descend(const CodePoint& query, Entry entry, uint32_t level, WalkRoom& room, uint64_t* compared) const;
  // From room.entries. Leaves the best of what is wanted in room.pool, the closest first; false when it compared too many.
  bool WalkLevel(const CodePoint& query, const Wanted& wanted, WalkRoom& room, uint64_t* compared) const;
  template <typename Ruler>
  bool WalkBy(Ruler& ruler, const Wanted& wanted, WalkRoom& room, uint64_t* compared) const;
  bool InScope(Ordinal node, const Scope& scope) const {
    return node < scope.end && distance_.slab().DiedAt(node) >= scope.visible &&
           (scope.among == nullptr || scope.among->Matches(node));
  }

  // index/code_graph.cc. Links a claimed node on every level up to `level` that the graph has.
  void Connect(Ordinal node, uint32_t level, Entry entry, WalkRoom& room);
  // The same and whatever belongs to it; false when memory ran out, and nothing is left of it then.
  bool Link(Ordinal node, uint32_t level, WalkRoom& room) ABSL_LOCKS_EXCLUDED(top_);
  // Where a narrow search for a linked node does not come by it, links what that ends at to the node.
  void LeadTo(Ordinal node, WalkRoom& room);
  // Leaves in room.chosen, of `candidates`, the closest first, those that are closer to `from` than to any that was
  // chosen before, `most` at the most. Returns how many; behind them, in what room there is, stand some that are the same.
  size_t ChooseDiverse(Ordinal from, std::span<const Neighbor> candidates, uint32_t most, WalkRoom& room) const;
  // False when `from` has closer links in that direction; not when the caller insists.
  bool LinkBack(Ordinal from, uint32_t level, const Neighbor& to, bool insist, WalkRoom& room);

  // The links of `node` to nodes before `end`, and in the place of others what those lead to.
  void CopyLinksBelow(Ordinal end, Ordinal node, uint32_t level, std::vector<Ordinal>* out) const;
  Entry EntryBelow(Ordinal end) const;
  absl::Status LoadLinks(std::span<const Ordinal> nodes, std::span<const uint8_t> levels, size_t begin, size_t end,
                         ImageSource& source);

  // Constant after construction.
  const CodeDistance distance_;
  const LevelGenerator levels_;
  const uint32_t ef_construction_;

  // One insertion at a time changes where walks begin.
  Mutex top_;

  // Own synchronisation.
  LinkTable links_;
  mutable WalkRooms rooms_;
  std::atomic<Entry> entry_{Entry{}};  // Stored with release once the node's lists are complete.
};

}  // namespace engram
