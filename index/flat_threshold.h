// Up to how many observations a space is scanned rather than linked, on this machine.
//
// Threads:  any. Blocking: the first call for a metric and dimension measures, for some milliseconds; others wait for it.
// Errors:   std::bad_alloc may leave TunedFlatThreshold.
// Why:      a scan reads codes one after the other, a walk reads some hundreds here and there: which of them is cheaper, and
//           from where on, is a matter of the processor, of its kernels and of the dimension.
#pragma once

#include <cstdint>

#include "core/base/types.h"

namespace engram {

// In nanoseconds: for each code that a scan compares, and for each that a walk does, with its share of everything else.
struct SearchCosts {
  double scanned = 0;
  double walked = 0;
};

// Where a scan begins to cost more than a walk of the default width: whole hundreds within 1000 and 20 000. What cannot be
// (no cost, no number) gives the former default, 4000.
uint64_t FlatThreshold(const SearchCosts& costs, bool bits);

// Of a few hundred made-up vectors, in the cache, as those of a space of that size are.
SearchCosts MeasureSearchCosts(Metric metric, uint32_t dimension);

// FlatThreshold of what was measured the first time it was asked for.
uint64_t TunedFlatThreshold(Metric metric, uint32_t dimension);

}  // namespace engram
