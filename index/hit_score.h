// What hits are ordered by when more than their similarity counts.
//
// Threads: any. Errors: none.
// Why:     the index knows neither times nor confidences, and yet has to know which rows a scan need not read.
#pragma once

#include "core/base/types.h"

namespace engram {

class HitScore {
 public:
  virtual ~HitScore() = default;

  // Not above the similarity, and of one ordinal no less for a higher one.
  virtual float Of(Ordinal ordinal, float similarity) const = 0;
};

}  // namespace engram
