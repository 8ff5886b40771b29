// A filter over observations, made ready to be asked for one ordinal at a time.
//
// Threads: a value; Matches from any thread. Ownership: the spec, index and store outlive it.
#pragma once

#include "core/base/status.h"
#include "core/engine.h"
#include "core/record_store.h"
#include "index/space_index.h"

namespace engram {

// INVALID_ARGUMENT naming the field and its range.
absl::Status CheckFilter(const FilterSpec& spec);

class Filter {
 public:
  // Observations whose time is over at `now_us` do not match.
  Filter(const FilterSpec& spec, const RecordStore& records, const SpaceIndex& index, int64_t now_us)
      : spec_(spec), records_(records), index_(index), now_us_(now_us) {}

  bool Matches(Ordinal ordinal) const;

 private:
  bool HasTag(Ordinal ordinal, const std::pair<std::string, std::string>& tag) const;

  const FilterSpec& spec_;
  const RecordStore& records_;
  const SpaceIndex& index_;
  const int64_t now_us_;
};

}  // namespace engram
