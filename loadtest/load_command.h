// `engram load` as a function: reads a scenario, runs it, prints what came of it.
//
// Threads:   the main thread, before any other was started (loadtest/spawn.h). Blocking: as loadtest/load_run.h.
// Errors:    of reading the scenario (NOT_FOUND, INVALID_ARGUMENT), of finding the daemon (NOT_FOUND), of its settings and the place of its data, of running it: see
//            loadtest/load_run.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace engram {

struct LoadCommand {
  std::string scenario;
  bool brief = false;
  bool json = false;
  // Of a daemon that runs; empty: one is spawned, `engramd` or the one beside this program.
  std::string address;
  std::string engramd;
  // Where the data of one that is spawned lies; empty: as of a benchmark (loadtest/measure/bench_store.h).
  std::string storage;
  std::vector<std::string> settings;
  uint64_t seed = 1;
  // Told what of the scenario is left out.
  std::function<void(const std::string&)> warn;
};

// True when everything that the scenario asks for held.
absl::StatusOr<bool> RunLoadCommand(const LoadCommand& command);

}  // namespace engram
