// Whether the faults of a load did something, by what the daemon says of them.
//
// Threads: one. Errors: none; what was never told of is 0. Why: a daemon that answers an order with OK and goes on as before
//          would hold every bar that is there to be held in spite of the fault.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engram/v1/admin_service.pb.h"
#include "loadtest/scenario.h"

namespace engram {

struct FaultOutcome {
  std::string name;     // "slow-disk at 10 s"
  uint64_t least = 1;   // How often it has to do something, for the scenario to have tested anything.
  uint64_t effects = 0;
};

class FaultTally {
 public:
  // `before`: of the daemon, just before it was told to.
  void Ordered(const LoadEvent& event, const v1::GetStatusResponse& before);
  // Of the same life of the daemon.
  void Look(const v1::GetStatusResponse& status);
  // What is ordered or looked at from now on is of another life, which counts from 0.
  void LifeOver();

  const std::vector<FaultOutcome>& outcomes() const { return outcomes_; }

 private:
  struct Open {
    size_t outcome = 0;
    uint64_t before = 0;
  };

  std::vector<FaultOutcome> outcomes_;
  std::map<v1::FaultKind, Open> open_;  // The last of its kind: the next one takes its place.
};

}  // namespace engram
