// A daemon under load that runs for others as well: what a load cannot do to it, and what a load leaves in it.
//
// Threads:   construction and Check on one; Made, Broke and GiveBack on any. An interrupt (loadtest/spawn.h) calls GiveBack
//            once the load is over, for streams that still ran would make their spaces again.
// Ownership: connections of its own. Blocking: GiveBack for half a minute for each space and the faults at most; an
//            interrupt ten seconds for LoadOver.
// Errors:    INVALID_ARGUMENT, a line for each thing of a scenario that needs a daemon of one's own; of calls.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "engram/v1/admin_service.grpc.pb.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/scenario.h"
#include "loadtest/spawn.h"

namespace engram {

// Whether a daemon that runs already can be put to all of this.
absl::Status CheckForBorrowed(const Scenario& scenario);

class BorrowedDaemon {
 public:
  explicit BorrowedDaemon(const std::string& address);
  ~BorrowedDaemon();

  // How it is now. Noted: a later life of it is not the one that was borrowed.
  absl::StatusOr<v1::GetStatusResponse> Look();
  // Before anything is asked of it: that it lets itself be broken, where the scenario breaks something.
  absl::Status CheckFaults(const Scenario& scenario);
  // OK while it is the one that was looked at first, and answers.
  absl::Status StayedUp();

  void Made(const std::string& space) ABSL_LOCKS_EXCLUDED(mu_);
  void Broke() ABSL_LOCKS_EXCLUDED(mu_);
  // Nobody sends anything more.
  void LoadOver() { load_over_.store(true); }
  bool interrupted() const { return interrupted_.load(); }
  // Deletes the spaces made and heals the faults; what failed is tried again by the next call.
  absl::Status GiveBack() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Status Heal();

  const std::unique_ptr<v1::MemoryService::Stub> memory_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
  int64_t started_at_us_ = 0;

  std::atomic<bool> load_over_{false};
  std::atomic<bool> interrupted_{false};
  Mutex mu_;
  std::vector<std::string> spaces_ ABSL_GUARDED_BY(mu_);
  bool broken_ ABSL_GUARDED_BY(mu_) = false;

  // Last: it calls into the rest.
  const AtInterrupt at_interrupt_;
};

}  // namespace engram
