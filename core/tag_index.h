// Which observations of a space have a tag: the ordinals of each (key, value).
//
// A value seen once costs one slot of eight bytes. From the second time on it has a list of ordinals, and whenever that
// has grown long its ordinals go to roaring bitmaps of up to 65 536 each, which never change: a longer one replaces them.
// A table of at most `most_tags` values is kept. A value it has no room for is looked for row by row, from the first
// row on that had such a value; the values in the table stay quick.
//
// Threads:   Append and Rebuild: the space's writer. Collect and bytes: any thread.
// Ownership: the rows outlive it and are where keys and values are; it keeps ordinals only.
// Blocking:  a reader waits while the writer notes some tens of rows, the writer while a reader copies one list of a few
//            thousand ordinals. Bitmaps are made, and tables grown, outside of the mutex.
// Errors:    std::bad_alloc may leave Append, Rebuild and Collect. What Append left undone the next one mends.
// Why:       ordinals only grow, so what is old never changes and can be shared with readers: no epochs, no copies of
//            whole bitmaps under a lock, and no allocation for each observation.
#pragma once

#include <absl/base/thread_annotations.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "core/ordinal_bitmap.h"

namespace engram {

class RecordStore;

class TagIndex {
 public:
  static constexpr size_t kMostTags = size_t{1} << 20;

  explicit TagIndex(const RecordStore& rows, size_t most_tags = kMostTags) : rows_(rows), most_tags_(most_tags) {}

  // The rows [first, first + count), stored already and not published. At a `first` it has seen, what it saw from there on
  // was never published, and is unlearnt.
  void Append(Ordinal first, std::span<const ObservationView> observations) ABSL_LOCKS_EXCLUDED(mu_);
  // Learns the rows below `end` anew.
  void Rebuild(Ordinal end) ABSL_LOCKS_EXCLUDED(mu_);

  // Adds to `out` the ordinals below `visible` that have the tag, and perhaps some beyond. `visible` comes from a view.
  void Collect(std::string_view key, std::string_view value, Ordinal visible, OrdinalBitmap& out) const
      ABSL_LOCKS_EXCLUDED(mu_);

  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Posting {
    Ordinal first = 0;  // What it is a posting of stands in this row.
    std::vector<std::shared_ptr<const OrdinalBitmap>> sealed;
    std::vector<Ordinal> open;  // Behind all that is sealed.
  };
  // 31 bits of the tag's hash, and the topmost one for whether `at` is a posting or the one ordinal with the tag.
  struct Slot {
    uint32_t tag = 0;
    uint32_t at = kNoOrdinal;  // kNoOrdinal: empty.
  };
  struct State {
    std::vector<Slot> slots;  // A power of two of them, never full.
    size_t used = 0;
    std::deque<Posting> postings;
    // From here on rows may have tags that have no slot.
    Ordinal incomplete_from = kNoOrdinal;
    uint64_t bytes = 0;
  };

  static uint32_t Hash(const TagView& tag);
  // The slot of the tag, or the empty one where it would be. Slots of rows from `visible` on are passed over.
  size_t FindSlot(const State& state, const TagView& tag, uint32_t hash, Ordinal visible) const;
  void Note(State& state, const TagView& tag, uint32_t hash, Ordinal ordinal);
  // Larger slots with room for `more`, or none when there is room.
  std::vector<Slot> Grown(const State& state, size_t more) const;
  void SealLong(State& state) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const RecordStore& rows_;
  const size_t most_tags_;

  // The writer's: it alone changes the state, so it reads without the mutex and takes it to write.
  std::unique_ptr<State> state_;
  Ordinal end_ = 0;
  std::vector<uint32_t> long_;  // Postings to be sealed.

  mutable Mutex mu_;
  // The same state, for readers.
  const State* shown_ ABSL_GUARDED_BY(mu_) ABSL_PT_GUARDED_BY(mu_) = nullptr;

  // Own synchronisation: a figure for whoever asks.
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace engram
