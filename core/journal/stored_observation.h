// An observation read back from the journal.
//
// Threads:   a value, of one thread at a time. Ownership: the views point into `bytes` and `tags`, so it cannot be
//            copied.
// Why:       passed in again, it lends its memory to the next one.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/types.h"

namespace engram {

struct StoredObservation {
  StoredObservation() = default;
  StoredObservation(const StoredObservation&) = delete;
  StoredObservation& operator=(const StoredObservation&) = delete;
  // A vector that is moved keeps its memory where it is, and so the views.
  StoredObservation(StoredObservation&&) = default;
  StoredObservation& operator=(StoredObservation&&) = default;

  ObservationView observation;
  std::vector<TagView> tags;
  std::vector<std::byte> bytes;
};

}  // namespace engram
