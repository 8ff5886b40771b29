// What the worker pool does with a batch: decided by the engine, so the pool can be tested by itself.
#pragma once

#include "core/base/status.h"
#include "core/stream/lane.h"

namespace engram {

class BatchHandler {
 public:
  virtual ~BatchHandler() = default;

  // The slices have left the lane; their room in the queue is free again. `stolen`: not by the lane's home worker. Does
  // not throw.
  virtual void Started(const Batch& batch, size_t worker, bool stolen) = 0;
  // Commits one space's part of a batch. May throw or fail, and then none of it may have taken effect: the pool tries
  // again with one observation at a time.
  virtual absl::Status Commit(const Portion& portion) = 0;
  // The slice's only observation failed by itself, for this reason. Does not throw.
  virtual void Refuse(const Portion& portion, const absl::Status& why) = 0;
  // A whole portion failed and is about to be retried. Does not throw.
  virtual void Failed(size_t worker, bool threw) = 0;
};

}  // namespace engram
