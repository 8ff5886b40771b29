// Where a space's vectors are in full precision, when its slab holds codes only.
//
// Threads:  any number of readers at once.
// Blocking: as long as reading takes; the caller holds no lock.
// Errors:   none as a whole: of a vector that is damaged or gone the first element is made NaN, and the others are read.
//           std::bad_alloc may leave Read.
// Why:      the index knows neither the journal nor its files. Why one could not be read the source knows.
#pragma once

#include <span>

#include "core/base/types.h"

namespace engram {

class VectorSource {
 public:
  virtual ~VectorSource() = default;

  // Writes the vector of each ordinal as binary32, one behind the other without padding, in the order asked for.
  // Ordinals in ascending order are read fastest.
  virtual void Read(std::span<const Ordinal> ordinals, float* rows) const = 0;
  // Of all that was read so far, no more than these (ascending) is of use: one that keeps what it reads may let go of the
  // rest. It may be asked for again all the same.
  virtual void KeepOnly(std::span<const Ordinal>) const {}
};

}  // namespace engram
