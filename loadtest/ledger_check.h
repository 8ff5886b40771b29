// Reads back everything that ledgers know, and counts what is not as promised.
//
// Threads: one. Blocking: until all is read. Errors: of calls; what is not as promised is counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/ack_ledger.h"
#include "loadtest/made_observations.h"

namespace engram {

struct LedgerStreamRef {
  std::string space;
  uint32_t number = 0;  // Of the stream.
  const AckLedger* ledger = nullptr;
};

struct LedgerVerdict {
  uint64_t promised = 0;  // Must be there.
  uint64_t found = 0;     // Are there, as they were sent; the promised and the open ones.
  uint64_t lost = 0;
  uint64_t changed = 0;   // There, but not as it was sent.
  uint64_t revived = 0;   // There, though refused.
  uint64_t twice = 0;     // Recorded again: the space has more rows than live observations.
  uint64_t invented = 0;  // Live in the space and none of the found ones.
  std::string first_fault;
};

// `streams` are all that ever wrote into their spaces.
absl::StatusOr<LedgerVerdict> CheckLedgers(v1::MemoryService::Stub& stub, const MadeObservations& made,
                                           const std::vector<LedgerStreamRef>& streams);

}  // namespace engram
