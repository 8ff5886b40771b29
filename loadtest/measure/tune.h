// The search behind `engram tune`: a baseline, one setting at a time, then what helped put together, within a time.
//
// Threads: the caller's. Ownership: values. Blocking: as long as the measurements it asks for. Errors: the baseline's; of
//          other trials it is a result that they cannot be had, as of settings that the daemon refuses.
// Why:     what a setting does depends on the machine and the load, so it is measured; one at a time says what helped,
//          together says whether it adds up, and a last run that takes turns with the baseline says whether it is true: the
//          best of many trials is so by chance, too.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace engram {

// Latencies are those of streamed observations to their durable acknowledgement, while `least_throughput` is offered.
struct TuneGoal {
  double p99_seconds = 0.010;
  double least_throughput = 20'000;
  double budget_seconds = 300;
};

struct Trial {
  std::string name;                    // "baseline", or what differs from it.
  std::vector<std::string> settings;   // Each key=value that differs.
  double p50_seconds = 0, p99_seconds = 0;
  double throughput = 0;
  double cpu_share = 0;  // Of one core, while `least_throughput` was offered.
  std::string failure;   // Why it could not be measured; empty: it was.

  bool Meets(const TuneGoal& goal) const {
    return failure.empty() && p99_seconds <= goal.p99_seconds && throughput >= goal.least_throughput;
  }
};

// How far from the goal, or how far beyond it: more is better. What meets it is above 0, what does not below, what could
// not be measured at minus infinity.
double ScoreOf(const Trial& trial, const TuneGoal& goal);

// Two that took turns: as a whole, and round by round.
struct Turns {
  Trial baseline, other;
  std::vector<Trial> baseline_rounds, other_rounds;
};

struct TuneMeans {
  // Measures a daemon with these settings for so long.
  std::function<absl::StatusOr<Trial>(const Trial& named, double seconds)> measure;
  std::function<absl::StatusOr<Turns>(const Trial& baseline, const Trial& other, double seconds)> confirm;
  // Seconds since some instant.
  std::function<double()> now;
  // "key" of the baseline: what a setting is without us; empty: unknown.
  std::function<std::string(const std::string& key)> in_force;
};

struct TuneResult {
  std::vector<Trial> trials;
  // What is recommended, as it was measured last; its settings may be none.
  Trial winner;
  // The last run: baseline and winner, taking turns. Empty when nothing was better or no time was left.
  std::vector<Trial> confirmed;
  // Why there is none though something was better; empty: there is.
  std::string unconfirmed;
};

absl::StatusOr<TuneResult> Tune(const TuneGoal& goal, const TuneMeans& means);

// A configuration file: `profile`, `settings` (key=value, a later one wins), and `comments` before them, a line each.
std::string RenderConfig(const std::string& profile, const std::vector<std::string>& settings,
                         const std::vector<std::string>& comments);

}  // namespace engram
