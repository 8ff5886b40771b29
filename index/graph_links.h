// What a graph is made of: hnswlib's class, and ours over it. For the files that implement Graph only.
//
// Threads:   as Graph says. Save is a reader; Load is for a graph that nobody else knows yet.
// Ownership: as Graph says.
// Blocking:  see the order of locks below. Save holds the phase for a few hundred nodes at a time, and never while it
//            writes to its sink.
// Errors:    std::bad_alloc and what hnswlib throws leave what is not noexcept; Graph catches them.
// Why:       walking and saving are two subjects and need the same arrays; hnswlib is included nowhere else.
#pragma once

// Without it hnswlib defines kernels that are not inline, for programs that include it once; ours are in kernels.h.
#define NO_MANUAL_VECTORIZATION
#include <hnswlib/hnswlib.h>
#undef NO_MANUAL_VECTORIZATION

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "index/graph.h"
#include "index/image.h"
#include "index/phase_lock.h"
#include "index/similarity.h"
#include "index/slab.h"

namespace engram {

using Node = hnswlib::tableint;

// Beyond this many links the node is not a node of ours.
inline constexpr uint32_t kMostConnections = 512;
// Behind a list of links hnswlib prefetches through the slot after the last.
inline constexpr size_t kSlack = 2 * sizeof(Node);

// The "vectors" that hnswlib stores are ordinals; its distance looks the rows up.
class OrdinalSpace : public hnswlib::SpaceInterface<float> {
 public:
  OrdinalSpace(const Slab& slab, const Similarity& similarity) : slab_(slab), similarity_(similarity) {}

  size_t get_data_size() override { return sizeof(Ordinal); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return Distance; }
  void* get_dist_func_param() override { return this; }

  const Slab& slab() const { return slab_; }
  const Similarity& similarity() const { return similarity_; }

 private:
  static float Distance(const void* a, const void* b, const void* space) {
    const auto& self = *static_cast<const OrdinalSpace*>(space);
    const Ordinal x = *static_cast<const Ordinal*>(a);
    const Ordinal y = *static_cast<const Ordinal*>(b);
    const Slab& slab = self.slab_;
    return -self.similarity_.Between(slab.Row(x), slab.InverseNorm(x), slab.Row(y), slab.InverseNorm(y));
  }

  const Slab& slab_;
  const Similarity& similarity_;
};

// hnswlib's arrays, neighbour selection and connecting; allocation, entry point, levels and walking are ours.
//
// Lock order: growth_ → phase_ → one node's own lock, while it is inserted → one other node's lock.
class Graph::Links final : private OrdinalSpace, private hnswlib::HierarchicalNSW<float> {
 public:
  Links(const Slab& slab, const Similarity& similarity, const GraphOptions& options, uint32_t capacity)
      : OrdinalSpace(slab, similarity),
        HierarchicalNSW(this, capacity, Connections(options), options.ef_construction),
        levels_(options.seed, options.max_connections),
        ordinals_(capacity) {
    // 65 536 locks for updates in place, which never happen here.
    decltype(link_list_update_locks_)().swap(link_list_update_locks_);
  }

  const LevelGenerator& levels() const { return levels_; }
  void Insert(Ordinal ordinal, uint32_t level) ABSL_LOCKS_EXCLUDED(growth_, phase_);
  std::optional<Walk> Search(const Similarity::Query& query, uint32_t ef, const Scope& scope) const
      ABSL_LOCKS_EXCLUDED(phase_);
  uint64_t size() const { return nodes_.load(std::memory_order_relaxed); }
  uint64_t resident_bytes() const ABSL_LOCKS_EXCLUDED(phase_);

  // index/graph_image.cc.
  absl::Status Save(Ordinal end, ImageSink& sink) const ABSL_LOCKS_EXCLUDED(growth_, phase_);
  // What lies behind the header. REQUIRES: nothing was inserted; there is room for `nodes`.
  absl::Status Load(uint32_t nodes, uint32_t entry, Ordinal linked, ImageSource& source)
      ABSL_LOCKS_EXCLUDED(growth_, phase_);
  static uint32_t Connections(const GraphOptions& options) {
    return std::clamp(options.max_connections, 2u, kMostConnections);
  }

 private:
  using Candidate = std::pair<float, Node>;  // Distance first: smaller is closer.

  static constexpr Node kNoNode = std::numeric_limits<Node>::max();

  // Which nodes a walk has met, from hnswlib's pool; goes back there however the walk ends.
  class Visited {
   public:
    explicit Visited(hnswlib::VisitedListPool& pool) : pool_(pool), list_(pool.getFreeVisitedList()) {}
    ~Visited() {
      try {
        pool_.releaseVisitedList(list_);
      } catch (const std::bad_alloc&) {
        delete list_;
      }
    }
    Visited(const Visited&) = delete;
    Visited& operator=(const Visited&) = delete;

    // True the first time.
    bool Meet(Node node) { return std::exchange(list_->mass[node], list_->curV) != list_->curV; }
    void Prefetch(Node node) const { __builtin_prefetch(&list_->mass[node]); }

   private:
    hnswlib::VisitedListPool& pool_;
    hnswlib::VisitedList* list_;
  };

  struct NodeLinks {
    std::array<Node, 2 * kMostConnections> nodes;
    uint32_t count = 0;
  };

  Node Allocate(Ordinal ordinal, uint32_t level) ABSL_LOCKS_EXCLUDED(growth_, phase_);
  void Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(growth_, phase_);
  // Links `node` on every level the graph has; false when the graph has no entry point yet.
  bool Connect(Node node, uint32_t level) ABSL_SHARED_LOCKS_REQUIRED(phase_);

  void CopyLinks(Node node, int level, NodeLinks* out) const ABSL_SHARED_LOCKS_REQUIRED(phase_);
  float Distance(const Similarity::Query& query, Node node) const ABSL_SHARED_LOCKS_REQUIRED(phase_) {
    const Ordinal ordinal = ordinals_[node];
    return -similarity().Of(query, slab().Row(ordinal), slab().InverseNorm(ordinal));
  }
  void Prefetch(Node node) const ABSL_SHARED_LOCKS_REQUIRED(phase_);
  // From `entry` down to `level`, always to the closest neighbour.
  Node Descend(const Similarity::Query& query, Node entry, int from_level, int level, uint64_t* compared) const
      ABSL_SHARED_LOCKS_REQUIRED(phase_);
  // The `ef` closest on `level` that `keep` accepts, the farthest on top; false when it compared too many.
  template <typename Keep>
  bool WalkLevel(const Similarity::Query& query, Node entry, int level, size_t ef, uint64_t most_compared,
                 const Keep& keep, uint64_t* compared,
                 std::priority_queue<Candidate, std::vector<Candidate>, CompareByFirst>* closest) const
      ABSL_SHARED_LOCKS_REQUIRED(phase_);

  size_t MostLinks(int level) const { return level == 0 ? maxM0_ : maxM_; }
  // The links of `node` to nodes before `end`, and in the place of others what those lead to.
  void CopyLinksBelow(Node end, Node node, int level, NodeLinks* out) const ABSL_SHARED_LOCKS_REQUIRED(phase_);
  // Where walks of the graph that ends at `end` begin.
  Node EntryBelow(Node end) const ABSL_SHARED_LOCKS_REQUIRED(phase_);
  // The next node, without links.
  void Place(int level) ABSL_EXCLUSIVE_LOCKS_REQUIRED(phase_);
  // Reads the links of the nodes [begin, end), of `nodes` in all.
  absl::Status LoadLinks(Node begin, Node end, Node nodes, ImageSource& source) ABSL_EXCLUSIVE_LOCKS_REQUIRED(phase_);

  // Constant after construction.
  const LevelGenerator levels_;

  // Serialises the handing out of nodes: cur_element_count, max_elements_.
  mutable Mutex growth_ ABSL_ACQUIRED_BEFORE(phase_);

  // Shared: hnswlib's arrays stay where they are, the entry point and the number of levels too; a node's links are
  // under its own lock in link_list_locks_. Exclusive: all of these may change.
  mutable PhaseLock phase_;
  // The ordinal of each node, beside hnswlib's own copies, which lie apart from each other.
  std::vector<Ordinal> ordinals_ ABSL_GUARDED_BY(phase_);

  // Own synchronisation: figures for whoever asks.
  std::atomic<uint64_t> nodes_{0};
  std::atomic<uint64_t> upper_link_bytes_{0};
};

}  // namespace engram
