// What a benchmark is asked to do, and what it is done with. Values.
//
// A benchmark is rounds of two parts. In the steady part a load is offered at fixed instants, a quarter of what the
// warm-up's burst took unless a rate was named, with recalls, single observations and a slow stream that waits for the
// index beside it. In the burst the daemon is given as much as it takes. All steady parts come first. A figure is taken
// over all rounds, its spread from round to round.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "loadtest/clustered_matrix.h"
#include "loadtest/dataset.h"

namespace engram {

struct BenchPlan {
  double seconds = 30;
  double warmup_seconds = 5;
  uint32_t dimension = 384;
  uint32_t batch_size = 256;
  uint32_t streams = 2;
  // Observations a second of the steady part; 0: a quarter of what the warm-up's burst took.
  double rate = 0;
  double recalls_per_second = 50;
  // Single Observe calls, and observations that are waited for until they are indexed.
  double probes_per_second = 50;
  // Observations in the space recalled from, all linked, and how many recalls are held against the exact answer.
  uint64_t preload = 10'000;
  uint32_t cues = 200;
  uint32_t k = 10;
  uint64_t seed = 1;
  // Measure the machine's own limits as well.
  bool limits = true;

  uint32_t Rounds() const { return static_cast<uint32_t>(std::clamp(seconds / 3, 3.0, 10.0)); }
  double RoundSeconds() const { return seconds / Rounds(); }
  // Observations a second that warm-up and steady parts offer at most: what they send stays in the daemon until the end.
  double MostRate() const {
    const double steady_seconds = (seconds + std::max(warmup_seconds, kLeastWarmup)) * (1 - kBurstShare);
    return std::floor(kMostSteadyBytes / (4.0 * dimension) / steady_seconds);
  }
  // `wanted`, of what nobody named a rate for, within 1 and MostRate(); 0 would mean as fast as it is taken.
  double RateWithin(double wanted) const { return std::max(1.0, std::min(wanted, MostRate())); }

  // No round's burst sends more, and no benchmark's steady parts offer more in embeddings, so that memory and disk have
  // an end.
  static constexpr double kMostBurstBytes = 512e6;
  static constexpr double kMostSteadyBytes = 8e9;
  static constexpr double kBurstShare = 0.4;
  static constexpr double kLeastWarmup = 0.5;
};

// The daemon to measure: one that runs, or one to start.
struct TargetSpec {
  std::string address;  // Empty: start one.
  std::string metrics;  // Of the running one; empty: as it says itself.
  std::filesystem::path program;
  std::string profile = "balanced";
  std::vector<std::string> settings;
  // Where the started one keeps its data, in a fresh directory.
  std::filesystem::path storage;
};

// Made once, used by every daemon of a benchmark.
struct BenchData {
  explicit BenchData(const BenchPlan& plan);

  Matrix preloaded, cues;
  // What bursts and steady loads carry.
  Matrix streamed;
};

inline BenchData::BenchData(const BenchPlan& plan) {
  const ClusteredSource source(plan.dimension, plan.seed);
  preloaded = source.Draw(plan.preload, kRowStream);
  cues = source.Draw(plan.cues, kCueStream);
  constexpr size_t kStreamedRows = 8192;
  streamed = source.Draw(kStreamedRows, kCueStream + 1);
}

}  // namespace engram
