// Asks a daemon for everything a ledger knows, and fails the test where the two differ.
//
// Threads: one. Blocking: until the daemon has answered. Errors: failed test expectations.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "engram/v1/memory_service.grpc.pb.h"
#include "tests/server/support/ledger.h"

namespace engram::testing {

struct LedgerCheck {
  // Each id: there with exact content and embedding, in a version that may be there, or not there where that may be.
  // The space's count is exactly that.
  void Contents(const std::string& space);
  // Each of those that are there (of more than `count` so many, chosen at random) by its own vector: first with
  // similarity 1, and once only. As recalls are by default and not by comparing all, one in a hundred may be missed:
  // that is what a graph may do, and a record that is lost would be missed by both. How many were looked for.
  enum class How : uint8_t { kExact, kAsByDefault };
  size_t OwnVectors(const std::string& space, size_t count, How how = How::kExact);
  // Until all of the space is in its graph: what is not yet is compared one by one whatever is asked for.
  void AwaitLinked(const std::string& space);
  // `count` of those that are not there (any more): no recall by the vector last sent shows them.
  void Forgotten(const std::string& space, size_t count);
  // The newest token kept is a token still.
  void Tokens(const std::string& space);

  v1::MemoryService::Stub& stub;
  Ledger& ledger;
  std::mt19937_64& random;
};

}  // namespace engram::testing
