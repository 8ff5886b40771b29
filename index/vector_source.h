// Where a space's vectors are in full precision, when its slab holds codes only.
//
// Threads:  any number of readers at once.
// Blocking: as long as reading takes; the caller holds no lock.
// Errors:   a status when nothing can be read. A single vector that is damaged or gone is no error: its first element is
//           made NaN, and the others are read.
// Why:      the index knows neither the journal nor its files.
#pragma once

#include <absl/status/status.h>

#include <span>

#include "core/base/types.h"

namespace engram {

class VectorSource {
 public:
  virtual ~VectorSource() = default;

  // Writes the vector of each ordinal as binary32, one behind the other without padding, in the order asked for. Ordinals
  // in ascending order are read fastest.
  virtual absl::Status Read(std::span<const Ordinal> ordinals, float* rows) const = 0;
};

}  // namespace engram
