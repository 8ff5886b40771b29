// Forgets observations by tombstones in the log: those that are asked for, and those whose time is over.
//
// Threads:  any; Expire from one at a time. Ownership: log and clock outlive it. Blocking: Forget until its
//           tombstones are applied; Expire while the journal does. Errors: INVALID_ARGUMENT, and those of the log:
//           what was forgotten before stays so.
#pragma once

#include <memory>

#include "core/commit_log.h"
#include "core/engine.h"

namespace engram {

class Forgetter {
 public:
  Forgetter(CommitLog* log, Clock* clock) : log_(log), clock_(clock) {}

  absl::StatusOr<ForgetAnswer> Forget(const std::shared_ptr<Space>& space, const ForgetQuery& query);
  // Puts the space's expired versions into the log.
  absl::Status Expire(const std::shared_ptr<Space>& space);

 private:
  // Constant after construction.
  CommitLog* const log_;
  Clock* const clock_;
};

}  // namespace engram
