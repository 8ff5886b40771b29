// The links of the nodes of a graph: what leads where, on each level, and how far.
//
// Layout: a node is its ordinal. Its record of level 0 begins at a cache line with how many links there are and their
//         ids, all that a walk reads; the distances of the links and the lists of upper levels follow. Records lie in
//         *extents* of 1024, 2048, 4096 ... nodes, reserved as address space and paid for page by page.
// Threads:   readers take no lock: they read the count, then the ids, and may see ids of before beside newer ones, each
//            of them a node whose own lists are complete. Writers hold a list's lock, except in the lists of a node they
//            have claimed and nobody was led to yet.
// Ownership: owns the memory; nothing moves until it goes.
// Blocking:  a writer waits for another one of the same list. Reserve waits for another Reserve.
// Errors:    Claim answers false when memory runs out; nothing has changed then.
// Why:       nothing moves, so growing holds up nobody; one record per node is three cache lines to a walk with 16
//            connections. docs/decisions/0015 has what was measured.
#pragma once

#include <absl/base/thread_annotations.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "core/base/mutex.h"
#include "core/base/types.h"

namespace engram {

// A node seen from another.
struct Neighbor {
  float distance = 0;
  Ordinal node = kNoOrdinal;
  bool settled = false;  // Chosen together with the others that are, so known to be closer to here than to any of them.
};

inline constexpr auto Closer = [](const Neighbor& a, const Neighbor& b) {
  return a.distance != b.distance ? a.distance < b.distance : a.node < b.node;
};

// A distance in 16 bits: the upper half of a binary32, rounded. Lists are pruned by it; a walk never sees it.
inline uint16_t ShortDistance(float distance) {
  const auto bits = std::bit_cast<uint32_t>(distance);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float FromShortDistance(uint16_t distance) { return std::bit_cast<float>(uint32_t{distance} << 16); }
// Of a link whose distance was not kept.
inline constexpr float kUnknownDistance = std::numeric_limits<float>::quiet_NaN();

class LinkTable {
 public:
  // One node's links on one level. A view; copies see the same links.
  class List {
   public:
    explicit operator bool() const { return at_ != nullptr; }
    uint32_t capacity() const { return capacity_; }
    uint32_t count() const { return head().count.load(std::memory_order_acquire); }
    // Pairs with the release of Set and Append: the row and the lists of a node that is named are there to be read.
    Ordinal id(uint32_t i) const { return ids()[i].load(std::memory_order_acquire); }
    // REQUIRES: the lock, as for all that follows.
    Neighbor link(uint32_t i) const {
      return {FromShortDistance(distances()[i]), ids()[i].load(std::memory_order_relaxed), i < settled()};
    }

    void Append(const Neighbor& link) const {
      const uint32_t count = head().count.load(std::memory_order_relaxed);
      SetLink(count, link);
      head().count.store(static_cast<uint16_t>(count + 1), std::memory_order_release);
    }
    // The first `settled` were chosen together. REQUIRES: no more links than capacity().
    void Set(std::span<const Neighbor> links, size_t settled) const {
      for (uint32_t i = 0; i < links.size(); ++i) SetLink(i, links[i]);
      this->settled() = static_cast<uint16_t>(settled);
      head().count.store(static_cast<uint16_t>(links.size()), std::memory_order_release);
    }

    void Lock() const;
    void Unlock() const { head().locked.store(0, std::memory_order_release); }

   private:
    friend class LinkTable;
    struct Head {
      std::atomic<uint16_t> count;
      std::atomic<uint8_t> locked;
      std::atomic<uint8_t> state;  // Of the node, in its list of level 0 only; see LinkTable::Claim.
    };
    static_assert(sizeof(Head) == sizeof(Ordinal) && sizeof(std::atomic<Ordinal>) == sizeof(Ordinal));

    List(std::byte* at, uint32_t capacity) : at_(at), capacity_(capacity) {}
    Head& head() const { return *reinterpret_cast<Head*>(at_); }
    std::atomic<Ordinal>* ids() const { return reinterpret_cast<std::atomic<Ordinal>*>(at_ + sizeof(Head)); }
    uint16_t* distances() const {
      return reinterpret_cast<uint16_t*>(at_ + (size_t{capacity_} + 1) * sizeof(Ordinal));
    }
    // How many of the first links were chosen together.
    uint16_t& settled() const { return distances()[capacity_]; }
    void SetLink(uint32_t i, const Neighbor& link) const {
      distances()[i] = ShortDistance(link.distance);
      ids()[i].store(link.node, std::memory_order_release);
    }

    std::byte* at_ = nullptr;
    uint32_t capacity_ = 0;
  };

  // Lists have room for a few links more than the 2 x `connections`, on upper levels `connections`, they are pruned to.
  explicit LinkTable(uint32_t connections);
  ~LinkTable();
  LinkTable(const LinkTable&) = delete;
  LinkTable& operator=(const LinkTable&) = delete;

  uint32_t connections() const { return connections_; }
  uint32_t MostLinks(uint32_t level) const { return level == 0 ? most_base_links_ : most_upper_links_; }
  uint32_t PrunedLinks(uint32_t level) const { return level == 0 ? 2 * connections_ : connections_; }

  enum class Claimed { kYes, kPresent, kNoMemory };
  // Makes the node the caller's to write, with empty lists on the levels up to `level`. It is present after Finish, and
  // as if never claimed after Abandon.
  Claimed Claim(Ordinal node, uint32_t level) ABSL_LOCKS_EXCLUDED(growth_);
  void Finish(Ordinal node, uint32_t level);
  void Abandon(Ordinal node, uint32_t level);

  // The level of a node, or -1 when it is not there.
  int LevelOf(Ordinal node) const;
  // REQUIRES: the node was claimed with that level or above, and the caller was led to it.
  List ListOf(Ordinal node, uint32_t level) const {
    std::byte* const record = Record(node);
    if (level == 0) return {record, most_base_links_};
    return {Upper(record).load(std::memory_order_relaxed) + (level - 1) * upper_bytes_, most_upper_links_};
  }
  void Prefetch(Ordinal node) const {
    const std::byte* const record = Record(node);
    for (size_t at = 0; at < walked_bytes_; at += 64) __builtin_prefetch(record + at);
  }

  // Above every node that was ever claimed.
  Ordinal end() const { return end_.load(std::memory_order_acquire); }
  uint64_t size() const { return size_.load(std::memory_order_relaxed); }
  uint64_t resident_bytes() const {
    return size() * record_bytes_ + upper_lists_.load(std::memory_order_relaxed) * upper_bytes_;
  }

 private:
  static constexpr uint32_t kFirstExtent = 1024;
  static constexpr uint32_t kExtents = 23;  // Hold every Ordinal.
  // Values of Head::state.
  static constexpr uint8_t kAbsent = 0;
  static constexpr uint8_t kClaimed = 1;
  static constexpr uint8_t kPresent = 2;  // And its level above that.

  struct Extent {
    uint32_t index;
    uint32_t row;
  };
  static Extent ExtentOf(Ordinal node) {
    const uint32_t index = 31 - static_cast<uint32_t>(__builtin_clz(node / kFirstExtent + 1));
    return {index, node - ((1u << index) - 1) * kFirstExtent};
  }
  size_t ExtentBytes(uint32_t index) const { return (size_t{kFirstExtent} << index) * record_bytes_; }
  std::byte* Record(Ordinal node) const {
    const Extent extent = ExtentOf(node);
    return extents_[extent.index].load(std::memory_order_acquire) + size_t{extent.row} * record_bytes_;
  }
  std::atomic<std::byte*>& Upper(std::byte* record) const {
    return *reinterpret_cast<std::atomic<std::byte*>*>(record + upper_at_);
  }
  bool Reserve(Ordinal node) ABSL_LOCKS_EXCLUDED(growth_);

  // Constant after construction.
  const uint32_t connections_;
  const uint32_t most_base_links_;
  const uint32_t most_upper_links_;
  const size_t walked_bytes_;  // How many of its links a list usually has.
  const size_t upper_at_;
  const size_t record_bytes_;
  const size_t upper_bytes_;

  // One extent is reserved once.
  Mutex growth_;

  // Own synchronisation: an extent is stored before anybody is led into it.
  std::array<std::atomic<std::byte*>, kExtents> extents_{};
  std::atomic<Ordinal> end_{0};
  std::atomic<uint64_t> size_{0};
  std::atomic<uint64_t> upper_lists_{0};
};

// Holds a list's lock.
class ListLock {
 public:
  explicit ListLock(const LinkTable::List& list) : list_(list) { list_.Lock(); }
  ~ListLock() { list_.Unlock(); }
  ListLock(const ListLock&) = delete;
  ListLock& operator=(const ListLock&) = delete;

 private:
  const LinkTable::List list_;
};

}  // namespace engram
