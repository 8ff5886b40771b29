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
  struct RefusedEarlier {
    uint64_t sequence = 0;
    std::string reason;
  };
  std::string space;
  std::string stream_id;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  // By an earlier run of the stream: the daemon names them again, since the answer that did may have been lost.
  uint64_t refused_earlier = 0;
  // Not sent because an earlier run of the same stream had them taken.
  uint64_t skipped = 0;
  uint64_t resent = 0;
  double seconds = 0;
  uint64_t next_sequence = 1;
  std::string durability;
  bool interrupted = false;
  // The first few.
  std::vector<Refused> examples;
  std::vector<RefusedEarlier> earlier_examples;
};

// Counts it, and keeps it among the first few. Its line for people; empty beyond those.
std::string Count(ObserveSummary::Refused one, ObserveSummary* summary);
std::string Count(ObserveSummary::RefusedEarlier one, ObserveSummary* summary);
// For people: how many more there were than were kept, a line each.
std::vector<std::string> NotShown(const ObserveSummary& summary);

// For people: one line, and one each for what was skipped, sent again and refused in an earlier run.
std::string TextOf(const ObserveSummary& summary);

// What to do after a run that stopped early; `named`: its stream has an id of the caller's.
std::string HowToGoOn(const ObserveSummary& summary, bool named);

}  // namespace engram
