// What a test has told a daemon and what it was answered: for each id the versions that may be there after a crash.
//
// A version is a number; content and embedding follow from (space, id, version), so whatever the daemon gives back says
// by itself which version it is and whether it is right. Version 0 is not being there.
//
// Threads:   any. Ownership: a value. Blocking: no.
// Errors:    what contradicts the ledger is answered in words; empty is right.
// Why:       operations on one id come from one client in order, so after a crash the first so many of those under way
// have
//            happened, at least the answered ones. Anything else is a loss or an invention.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "engram/v1/observation.pb.h"

namespace engram::testing {

// Dimension of every embedding here.
inline constexpr uint32_t kLedgerDimension = 24;

// Numbers that follow from words.
uint64_t Mix(uint64_t a, uint64_t b = 0);
std::vector<float> VectorOf(const std::string& space, const std::string& id, uint64_t version);
v1::Observation ObservationOf(const std::string& space, const std::string& id, uint64_t version);

class Ledger {
 public:
  // The version is on its way; 0 forgets.
  void Sent(const std::string& space, const std::string& id, uint64_t version) ABSL_LOCKS_EXCLUDED(mu_);
  // ... and has been answered as durable, which what was sent before it then is too.
  void Answered(const std::string& space, const std::string& id, uint64_t version) ABSL_LOCKS_EXCLUDED(mu_);
  // ... and it is known that it did not happen, nor what was sent behind it.
  void Lost(const std::string& space, const std::string& id, uint64_t version) ABSL_LOCKS_EXCLUDED(mu_);

  // What the daemon has under the id now, read from its content and compared byte by byte; nullptr: nothing. Afterwards
  // only that version may be there. Answers what is wrong.
  std::string Found(const std::string& space, const std::string& id, const v1::Observation* found)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The observation is, byte by byte, one that was once sent into the space under its id; an embedding that is not
  // there is not compared. For directories where something may be lost: an older version may show itself again.
  bool EverSent(const std::string& space, const v1::Observation& found) const ABSL_LOCKS_EXCLUDED(mu_);

  // Of the space, in order.
  std::vector<std::string> Ids(const std::string& space) const ABSL_LOCKS_EXCLUDED(mu_);
  // The version that is there for certain and which nothing under way can change; 0: none such.
  uint64_t Certain(const std::string& space, const std::string& id) const ABSL_LOCKS_EXCLUDED(mu_);
  // The version last sent, whether it is there or not; 0: never any.
  uint64_t LastSent(const std::string& space, const std::string& id) const ABSL_LOCKS_EXCLUDED(mu_);
  // How many are there for certain at least, and at most.
  struct Bounds {
    uint64_t least = 0;
    uint64_t most = 0;
  };
  Bounds Live(const std::string& space) const ABSL_LOCKS_EXCLUDED(mu_);

  // The newest token of the space.
  void Keep(const std::string& space, const v1::Token& token) ABSL_LOCKS_EXCLUDED(mu_);
  v1::Token Newest(const std::string& space) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    uint64_t durable = 0;
    uint64_t last_sent = 0;
    std::deque<uint64_t> under_way;
  };

  mutable Mutex mu_;
  std::map<std::string, std::map<std::string, Entry>> spaces_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::Token> tokens_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram::testing
