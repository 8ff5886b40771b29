// What is wrong with the answer of a recall into a load's spaces, of which everything can be made again from the seed.
//
// Threads:   any; const after construction. Ownership: made observations and ledgers outlive it. Blocking: no.
// Errors:    none: what is wrong is said in words.
// Why:       a recall that is quick, and answered with somebody else's memory, must not pass for an answer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engram/v1/memory_service.pb.h"
#include "loadtest/ledger_check.h"
#include "loadtest/made_observations.h"

namespace engram {

class RecallCheck {
 public:
  // `streams` are all that write into their spaces.
  RecallCheck(const MadeObservations* made, const std::vector<LedgerStreamRef>& streams);

  // How many hits an answer must have at least; to be asked before the recall is sent, for what is acknowledged by then can
  // be recalled. `like` is whose vector, id or tag it asks with.
  uint32_t LeastHits(const v1::RecallRequest& request, const MadeObservations::Place& like) const;
  // Empty: nothing. To be asked after the answer came.
  std::string FaultOf(const v1::RecallRequest& request, uint32_t least_hits, const v1::RecallResponse& response) const;

 private:
  // Empty: nothing.
  std::string FaultOf(const v1::RecallRequest& request, const v1::Hit& hit) const;

  const MadeObservations* const made_;
  std::map<uint32_t, LedgerStreamRef> streams_;               // By number.
  std::map<std::string, std::vector<LedgerStreamRef>> spaces_;
};

}  // namespace engram
