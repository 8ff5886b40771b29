// Which observation each row of a slab is, and until when it is live: the columns that every slab has.
//
// Threads:   Publish, SetDiedAt, and non-const Versions: the writer. Everything const: any thread, for ordinals below
//            `size()`, and for columns below any ordinal that came from such a thread.
// Ownership: the slab that derives from it owns the rows.
// Blocking:  never.
// Errors:    none.
// Why:       the id map and a search's view do not care in which precision the rows are kept.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/base/types.h"
#include "index/block_extents.h"

namespace engram {

// Sixteen rows' columns. Every block of a slab begins with them.
struct VersionColumns {
  std::array<std::atomic<uint32_t>, BlockExtents::kBlockRows> died_at;
  std::array<Ordinal, BlockExtents::kBlockRows> previous;  // The observation with the same id before it, or kNoOrdinal.
  std::array<const char*, BlockExtents::kBlockRows> id;    // A record of the space's IdArena.

  // A view shows the ordinals below its end that had not died by then: the replacement of each lies beyond the end.
  bool LiveIn(uint32_t lane, Ordinal visible) const {
    return died_at[lane].load(std::memory_order_relaxed) >= visible;
  }
};

class VersionedBlocks {
 public:
  static constexpr uint32_t kBlockRows = BlockExtents::kBlockRows;
  // `died_at` of an observation that is live. Else the ordinal that replaced it, or 0 when it was forgotten.
  static constexpr uint32_t kLive = UINT32_MAX;

  // --- writer ---

  // Shows the ordinals below `size`: the one release-store that readers' loads of `size()` pair with.
  void Publish(Ordinal size) { size_.store(size, std::memory_order_release); }
  void SetDiedAt(Ordinal ordinal, uint32_t at) {
    Versions(ordinal).died_at[Lane(ordinal)].store(at, std::memory_order_relaxed);
  }
  VersionColumns& Versions(Ordinal ordinal) {
    return *reinterpret_cast<VersionColumns*>(blocks_.BlockAddress(ordinal));
  }

  // --- readers ---

  Ordinal size() const { return size_.load(std::memory_order_acquire); }

  static uint32_t Lane(Ordinal ordinal) { return BlockExtents::Lane(ordinal); }
  const VersionColumns& Versions(Ordinal ordinal) const {
    return *reinterpret_cast<const VersionColumns*>(blocks_.BlockAddress(ordinal));
  }
  uint32_t DiedAt(Ordinal ordinal) const {
    return Versions(ordinal).died_at[Lane(ordinal)].load(std::memory_order_relaxed);
  }
  Ordinal Previous(Ordinal ordinal) const { return Versions(ordinal).previous[Lane(ordinal)]; }

 protected:
  VersionedBlocks(size_t head_bytes, size_t row_bytes) : blocks_(head_bytes, row_bytes) {}
  ~VersionedBlocks() = default;

  // Of a block that has just been constructed.
  static void SetAllLive(VersionColumns& columns) {
    for (auto& died_at : columns.died_at) died_at.store(kLive, std::memory_order_relaxed);
  }

  BlockExtents blocks_;

 private:
  // Own synchronisation: extents and rows are stored before the size that reaches into them.
  std::atomic<Ordinal> size_{0};
};

}  // namespace engram
