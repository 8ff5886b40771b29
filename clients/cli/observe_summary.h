// How a run of `engram observe` ended. Plain data and its words; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace engram {

// What an `engram observe` came to.
struct ObserveSummary {
  struct Refused {
    uint64_t line = 0;
    std::string id;
    std::string reason;
  };
  std::string space;
  std::string stream_id;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  // Not sent because an earlier run of the same stream had them taken.
  uint64_t skipped = 0;
  uint64_t resent = 0;
  double seconds = 0;
  uint64_t next_sequence = 1;
  std::string durability;
  bool interrupted = false;
  // The first few.
  std::vector<Refused> examples;
};

// For people: one line, and one each for what was skipped and sent again.
std::string TextOf(const ObserveSummary& summary);

// What to do after a run that stopped early; `named`: its stream has an id of the caller's.
std::string HowToGoOn(const ObserveSummary& summary, bool named);

}  // namespace engram
