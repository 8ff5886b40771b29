// From an observation's id to its newest ordinal, and the bytes of the ids.
//
// Threads:   the writer calls what is not const. Newest is for any thread. A record of the arena may be read by whoever
//            got its address from a published ordinal.
// Ownership: records live as long as the arena. The slab outlives the map, which reads ids through it.
// Blocking:  Newest waits while the writer stores some tens of slots; growing the table happens outside the lock.
// Errors:    std::bad_alloc may leave Reserve, and then nothing has changed.
// Why:       eight bytes a slot, for ids are compared in the arena. Ids come from callers, so the hash has a secret
//            seed; forgotten ids keep their slot until the space is rebuilt.
#pragma once

#include <absl/base/thread_annotations.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "index/versioned_blocks.h"

namespace engram {

// Append-only records of length and bytes. A length below 255 is one byte, any other that byte and four.
class IdArena {
 public:
  // Room for `ids` records of `bytes` bytes in all.
  void Reserve(size_t ids, size_t bytes);
  // REQUIRES: reserved. The address is the record's for good.
  const char* Append(std::string_view id);
  static std::string_view View(const char* record) {
    const auto length = static_cast<uint8_t>(*record);
    return length == kLong ? ViewLong(record) : std::string_view(record + 1, length);
  }

  uint64_t resident_bytes() const { return allocated_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint8_t kLong = 255;
  static std::string_view ViewLong(const char* record);

  std::vector<std::unique_ptr<char[]>> pieces_;
  char* next_ = nullptr;
  size_t left_ = 0;
  size_t piece_bytes_ = 0;
  // Own synchronisation: a figure for whoever asks.
  std::atomic<uint64_t> allocated_{0};
};

class IdMap {
 public:
  explicit IdMap(VersionedBlocks& slab);
  ~IdMap();

  // --- writer ---

  uint32_t Hash(std::string_view id) const;
  // Room for `more` ids that are not in the map.
  void Reserve(size_t more);
  // Brings the slot of an id into the cache.
  void Prefetch(uint32_t hash) const;
  // Makes first, first + 1, ... the newest ordinals of their ids, and stores in the slab's `previous` what was.
  // REQUIRES: reserved; the ids of these ordinals are in the slab; hashes[i] = Hash of the id of first + i.
  void Assign(std::span<const uint32_t> hashes, Ordinal first) ABSL_LOCKS_EXCLUDED(mu_);

  // --- readers ---

  // The newest ordinal that was ever given `id`, published or not, live or not; or kNoOrdinal.
  Ordinal Newest(std::string_view id) const ABSL_LOCKS_EXCLUDED(mu_);

  uint64_t resident_bytes() const { return table_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Table;

  std::string_view IdOf(Ordinal ordinal) const {
    return IdArena::View(slab_.Versions(ordinal).id[VersionedBlocks::Lane(ordinal)]);
  }

  // Constant after construction.
  VersionedBlocks& slab_;
  const uint64_t seed_;

  // The writer's: it alone changes the table, so it reads without the lock and takes it to write.
  std::unique_ptr<Table> table_;
  uint64_t used_ = 0;

  mutable Mutex mu_;
  // The same table, for readers.
  const Table* shown_ ABSL_GUARDED_BY(mu_) ABSL_PT_GUARDED_BY(mu_) = nullptr;

  // Own synchronisation: a figure for whoever asks.
  std::atomic<uint64_t> table_bytes_{0};
};

}  // namespace engram
