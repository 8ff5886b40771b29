// What a stream was promised: how far it has been acknowledged as durable, and what was refused for good on the way.
//
// Threads:   any. Ownership: a value. Blocking: no. Memory: a few bytes a stream, and 16 for each run of refusals.
// Errors:    an answer that contradicts an earlier one is kept as a contradiction, the first few in words.
// Why:       acknowledgements are cumulative, so a promise about millions is one number; what it covers can be made again
//            (loadtest/made_observations.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/mutex.h"

namespace engram {

class AckLedger {
 public:
  // Sequences up to it have been written to a connection.
  void Sent(uint64_t through) ABSL_LOCKS_EXCLUDED(mu_);
  // The daemon says where a stream goes on, after a connection was opened: what it has promised is before that.
  void Resumed(uint64_t next_sequence) ABSL_LOCKS_EXCLUDED(mu_);
  void Durable(uint64_t through) ABSL_LOCKS_EXCLUDED(mu_);
  // Used up, and not there.
  void Refused(uint64_t first, uint64_t count, const std::string& why) ABSL_LOCKS_EXCLUDED(mu_);

  struct Reading {
    uint64_t sent = 0;
    uint64_t durable = 0;  // The watermark: refused ones are below it.
    uint64_t refused = 0;
    uint64_t contradictions = 0;
    std::string first_contradiction;
    std::string first_refusal;
  };
  Reading Read() const ABSL_LOCKS_EXCLUDED(mu_);

  // What must be: there, not there, or (written and never answered) either.
  enum class Promise : uint8_t { kThere, kNotThere, kOpen };
  Promise Of(uint64_t sequence) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Contradicts(std::string what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsRefused(uint64_t sequence) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  uint64_t sent_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t durable_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, uint64_t> refused_ ABSL_GUARDED_BY(mu_);  // First of a run to behind its last.
  uint64_t contradictions_ ABSL_GUARDED_BY(mu_) = 0;
  std::string first_contradiction_ ABSL_GUARDED_BY(mu_);
  std::string first_refusal_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
