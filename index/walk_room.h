// What a walk over a graph needs room for: the nodes it has met, its queue, and lists in passing.
//
// Threads:   WalkRooms from any; a room belongs to one walk at a time.
// Ownership: WalkRooms owns the rooms; a lease gives its room back however the walk ends.
// Blocking:  for the moment a room is taken or given back.
// Errors:    std::bad_alloc leaves Take.
// Why:       a walk must not pay for clearing as many tags as there are nodes, nor for allocating.
#pragma once

#include <absl/base/thread_annotations.h>
#include <hnswlib/visited_list_pool.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "index/bucket_queue.h"
#include "index/code_distance.h"
#include "index/link_table.h"

namespace engram {

// Which nodes a walk has met: each has the number of the last walk that met it. hnswlib's list of tags, which it has a new
// one of when the graph has outgrown it.
class MetNodes {
 public:
  // Forgets all, and makes room for nodes below `end`.
  void Begin(Ordinal end) {
    if (tags_ == nullptr || end > tags_->numelements) {
      // By half more, so that a growing graph does not do this for each walk.
      const uint64_t room = std::min<uint64_t>(uint64_t{end} + end / 2 + 1024, INT32_MAX);
      tags_.reset();
      tags_ = std::make_unique<hnswlib::VisitedList>(static_cast<int>(room));
    }
    tags_->reset();
  }

  // Nodes from here on appeared after the walk began, which passes them over.
  Ordinal end() const { return tags_->numelements; }
  void Prefetch(Ordinal node) const { __builtin_prefetch(tags_->mass + node, 1); }
  // True the first time. REQUIRES: node < end().
  bool Meet(Ordinal node) { return std::exchange(tags_->mass[node], tags_->curV) != tags_->curV; }

  size_t resident_bytes() const { return tags_ == nullptr ? 0 : size_t{tags_->numelements} * sizeof(hnswlib::vl_type); }

 private:
  std::unique_ptr<hnswlib::VisitedList> tags_;
};

// The closest few nodes of a level that is only passed through, the closest first. A handful in order: it is nearly always
// the first that is opened, so a queue with more to it costs more than it saves.
class Front {
 public:
  static constexpr size_t kMost = 8;

  void Clear() { count_ = 0; }
  void Offer(Ordinal node, float distance) {
    if (count_ == kMost && !(distance < near_[kMost - 1].distance)) return;
    size_t place = count_ < kMost ? count_++ : kMost - 1;
    for (; place > 0 && distance < near_[place - 1].distance; --place) near_[place] = near_[place - 1];
    near_[place] = {distance, node, false};
  }
  // The closest that was not opened on this level; kNoOrdinal when all were.
  Ordinal Open() {
    for (size_t i = 0; i < count_; ++i) {
      if (!std::exchange(near_[i].opened, true)) return near_[i].node;
    }
    return kNoOrdinal;
  }
  void BeginLevel() {
    for (size_t i = 0; i < count_; ++i) near_[i].opened = false;
  }

  size_t size() const { return count_; }
  Ordinal node(size_t i) const { return near_[i].node; }

 private:
  struct Near {
    float distance;
    Ordinal node;
    bool opened;
  };

  std::array<Near, kMost> near_;
  size_t count_ = 0;
};

struct WalkRoom {
  MetNodes met;
  BucketQueue queue;
  std::vector<Ordinal> entries;       // Where a walk begins.
  Front front;
  std::vector<Ordinal> fresh;         // Met just now, to be compared.
  std::vector<const CodeSlab::Block*> blocks;  // Where those lie, of a walk by bytes,
  std::vector<const uint64_t*> bits;           // and of one by bits.
  std::vector<uint32_t> distances;    // Of those, as the queue counts.
  std::vector<float> exact;           // Of those.
  std::vector<float> ranks;           // Of what steps are to tell apart.
  std::vector<Neighbor> pool;         // What a walk came back with.
  std::vector<Neighbor> crowd;        // A full list, to be pruned.
  std::vector<Neighbor> chosen;       // What is left of a pool or a crowd.
  std::vector<Neighbor> alike;        // What is left out for being the same as what was chosen.

  struct Chosen {
    std::vector<CodePoint> points;
    std::vector<Ordinal> nodes;

    void clear() {
      points.clear();
      nodes.clear();
    }
    void Reserve(size_t most) {
      points.reserve(most);
      nodes.reserve(most);
    }
  };
  Chosen settled, unsettled;

  // The links of a node that is inserted: of each level, its own on top first, a piece.
  struct OwnList {
    size_t begin, count, settled;
  };
  std::vector<Neighbor> own;
  std::vector<OwnList> own_lists;

  std::span<const Neighbor> OwnOf(size_t i) const {
    return std::span(own).subspan(own_lists[i].begin, own_lists[i].count);
  }

  // Room for comparing as many as `most` nodes.
  void Reserve(size_t most) {
    if (fresh.size() >= most) return;
    fresh.resize(most);
    blocks.resize(most);
    bits.resize(most);
    distances.resize(most);
    exact.resize(most);
  }

  size_t resident_bytes() const { return met.resident_bytes() + queue.resident_bytes(); }
};

class WalkRooms {
 public:
  class Lease {
   public:
    Lease(WalkRooms& rooms, std::unique_ptr<WalkRoom> room) : rooms_(rooms), room_(std::move(room)) {}
    ~Lease() { rooms_.GiveBack(std::move(room_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    WalkRoom* operator->() const { return room_.get(); }
    WalkRoom& operator*() const { return *room_; }

   private:
    WalkRooms& rooms_;
    std::unique_ptr<WalkRoom> room_;
  };

  Lease Take() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (free_.empty()) {
      free_.reserve(++rooms_);  // For whoever gives it back, who must not fail.
      return {*this, std::make_unique<WalkRoom>()};
    }
    std::unique_ptr<WalkRoom> room = std::move(free_.back());
    free_.pop_back();
    return {*this, std::move(room)};
  }

  // Of the rooms nobody is in.
  uint64_t resident_bytes() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    uint64_t bytes = 0;
    for (const auto& room : free_) bytes += room->resident_bytes();
    return bytes;
  }

 private:
  void GiveBack(std::unique_ptr<WalkRoom> room) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    free_.push_back(std::move(room));
  }

  mutable Mutex mu_;
  std::vector<std::unique_ptr<WalkRoom>> free_ ABSL_GUARDED_BY(mu_);
  size_t rooms_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram
