// A filter over observations, asked of one row at a time.
//
// Threads:   any; const after construction. Ownership: the spec outlives it. Blocking: never. Errors: none.
// Why:       core/filter.h makes a bitmap of the whole space, which pays for a search; a follower looks at each row once,
//            as it comes. Both mean the same: tests/core/recall_follow_test.cc.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "core/engine.h"
#include "core/record_store.h"

namespace engram {

class RowFilter {
 public:
  // Valid: CheckFilter.
  explicit RowFilter(const FilterSpec& spec) : spec_(spec), excluded_(spec.exclude_ids.begin(), spec.exclude_ids.end()) {}

  // The row of the observation `id`, visible in some view. What has outlived its ttl by `now_us` does not match.
  bool Matches(const RecordStore& records, Ordinal ordinal, std::string_view id, int64_t now_us) const;

 private:
  const FilterSpec& spec_;
  const std::unordered_set<std::string_view> excluded_;
};

}  // namespace engram
