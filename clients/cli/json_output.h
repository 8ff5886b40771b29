// What `--output json` prints: one document on one line for each thing asked for. The shapes are a promise to scripts;
// clients/cli/README.md describes them. Every function returns one line without its line break. Bytes that are not
// UTF-8 are replaced. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engram/v1/admin_service.pb.h"
#include "engram/v1/memory_service.pb.h"

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

std::string ToJson(const ObserveSummary& summary);
// `cue` is what was recalled by: its row in the input, from 1, or an id.
std::string ToJson(const v1::RecallResponse& response, uint64_t row, const std::string& id);
// In the form `engram observe` reads, so that one space can be poured into another.
std::string ToJson(const v1::Observation& observation);
std::string ToJson(const v1::ForgetResponse& response, bool dry_run);
std::string ToJson(const v1::Space& space);
std::string ToJson(const v1::DeleteSpaceResponse& response, const std::string& name);
std::string ToJson(const v1::GetStatusResponse& status);

// "cosine", "durable", "memory", "normal": the enumerators as the command line spells them.
std::string NameOf(v1::Metric metric);
std::string NameOf(v1::Durability durability);
std::string NameOf(v1::PressureLevel level);

// The elements of whichever vector is set; binary16 is widened exactly.
std::vector<float> ElementsOf(const v1::Observation& observation);

}  // namespace engram
