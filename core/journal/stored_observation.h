// An observation as the journal gives it back, with the memory it lies in.
//
// Threads: a value. Ownership: the views point into `bytes` and `tags`, and stay true when it is moved, not when copied.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/types.h"

namespace engram {

struct StoredObservation {
  StoredObservation() = default;
  StoredObservation(StoredObservation&&) = default;
  StoredObservation& operator=(StoredObservation&&) = default;

  ObservationView observation;
  std::vector<TagView> tags;
  std::vector<std::byte> bytes;
};

}  // namespace engram
