// A filter over observations, compiled for one view: a bitmap of what may match and a look at columns for the rest.
//
// Tags and excluded ids are answered by the bitmap; times and confidences narrow it zone by zone, and then each row's own
// are looked at. The estimate is exact without the latter, else the bitmap's count times the share that passes in a sample.
//
// Threads: built by one, then read by any. Ownership: the spec, index and store outlive it. Blocking: while it is built,
//          on the tag index's and the id map's mutexes, for as long as a list is copied or some tens of slots are stored.
// Errors:  std::bad_alloc.
// Why:     a scan then touches matches only, and its cost is known before it begins.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/base/status.h"
#include "core/engine.h"
#include "core/ordinal_bitmap.h"
#include "core/record_store.h"
#include "index/ordinal_set.h"
#include "index/space_index.h"

namespace engram {

// INVALID_ARGUMENT naming the field and its range.
absl::Status CheckFilter(const FilterSpec& spec);

class Filter final : public OrdinalSet {
 public:
  // With `now_us`, observations whose time is over then do not match; without, they are forgotten already.
  Filter(const FilterSpec& spec, const RecordStore& records, const SpaceIndex& index, IndexView view,
         std::optional<int64_t> now_us);

  bool Matches(Ordinal ordinal) const override { return may_match_.Contains(ordinal) && RowMatches(ordinal); }
  size_t List(Ordinal from, Ordinal end, std::span<Ordinal> out) const override;
  uint64_t estimate() const override { return estimate_; }

 private:
  void NarrowByTags();
  void NarrowByZones();
  void NarrowByIds(const SpaceIndex& index);
  bool RowMatches(Ordinal ordinal) const;
  uint64_t Estimate() const;

  // Constant after construction.
  const FilterSpec& spec_;
  const RecordStore& records_;
  const Ordinal visible_;
  const std::optional<int64_t> now_us_;
  const bool looks_at_columns_;
  OrdinalBitmap may_match_;
  uint64_t estimate_ = 0;
};

}  // namespace engram
