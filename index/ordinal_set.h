// Which ordinals a search may find: a filter made ready for the index.
//
// Threads:   everything from several threads at once. Ownership: the caller's, for as long as the search lasts.
// Blocking:  never. Errors: std::bad_alloc may leave List.
// Why:       a walk asks for one ordinal at a time, a scan wants the next matches without touching what lies between,
//            and the choice between the two needs to know how many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/types.h"

namespace engram {

// Only asked for ordinals that the search's view shows. What is dead may be in it: the index knows better.
class OrdinalSet {
 public:
  virtual ~OrdinalSet() = default;

  virtual bool Matches(Ordinal ordinal) const = 0;
  // The first matches in [from, end), ascending, as many as `out` holds; fewer when there are no more.
  virtual size_t List(Ordinal from, Ordinal end, std::span<Ordinal> out) const = 0;
  // About how many there are.
  virtual uint64_t estimate() const = 0;
};

}  // namespace engram
