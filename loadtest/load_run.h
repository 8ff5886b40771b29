// Runs a scenario: the load, what happens meanwhile, and then the ledgers against what the daemon gives back.
//
// Threads:   RunScenario on the main thread; streams, recalls and one that samples are threads of its own while it runs.
// Blocking:  for the scenario's time, what is left over, at most its recovery and a minute, and the reading back.
// Errors:    what kept it from being run; CANCELLED by an interrupt, of a daemon that runs for others as well. What the
//            daemon did wrong, its own end among it, is in the outcome.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "loadtest/fault_tally.h"
#include "loadtest/histogram.h"
#include "loadtest/ledger_check.h"
#include "loadtest/report.h"
#include "loadtest/scenario.h"

namespace engram {

struct LoadRunOptions {
  // Empty: one is spawned.
  std::string address;
  std::filesystem::path daemon;
  std::vector<std::string> settings;
  // Where the data of one that is spawned lies.
  std::filesystem::path storage;
  uint64_t seed = 1;
  // Told what of the scenario is left out. May be empty.
  std::function<void(const std::string&)> warn;
};

struct LoadOutcome {
  uint64_t due = 0;
  uint64_t durable = 0;
  double seconds = 0;  // From the first due instant to the end of the load.
  uint64_t pushed_back = 0;
  uint64_t refused = 0;
  uint64_t connections = 0;
  Histogram observe;       // Nanoseconds from due to durable, slow readers left out.
  Histogram recall;        // ... to the answer.
  uint64_t recalls_due = 0;
  uint64_t recalls_answered = 0;
  uint64_t not_found = 0;  // Recalls by the id of something durable.
  uint64_t wrong = 0;      // Recalls answered with what cannot be right (loadtest/recall_check.h).
  // Of streams and recalls, by code; the graceful ones are among them.
  std::map<int, uint64_t> ended;
  uint64_t ungraceful = 0;
  std::vector<FaultOutcome> faults;
  // From the end of the last disturbance until nothing was late by more than a second any more; NaN: never.
  double recovered_seconds = 0;
  uint64_t peak_bytes = 0;
  uint64_t contradictions = 0;
  std::string first_contradiction;
  std::string first_refusal;
  std::string first_wrong;
  LedgerVerdict verdict;
  // How the daemon ended by itself; empty: it did not.
  std::string death;
  // Why it could not be asked what it has afterwards; empty: it was, and `verdict` says what came of it.
  std::string unverified;
  // What could not be taken out of a daemon that runs on; empty: nothing.
  std::string left_behind;
  // Of the daemon, before anything was done to it.
  v1::GetStatusResponse daemon;
};

absl::StatusOr<LoadOutcome> RunScenario(const Scenario& scenario, const LoadRunOptions& options, Report& report);

// Figures and bars into the report.
void ReportOutcome(const Scenario& scenario, const LoadOutcome& outcome, Report& report);

}  // namespace engram
