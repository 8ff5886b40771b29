#include "loadtest/measure/bench_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "loadtest/measure/bench_target.h"
#include "loadtest/measure/environment.h"
#include "loadtest/measure/machine_limits.h"
#include "loadtest/measure/summary.h"
#include "loadtest/report.h"

namespace engram {
namespace {

// At least; up to five where the rounds cannot be divided by it.
constexpr uint32_t kLimitSamples = 3;

// A round before which the limits are sampled: the first, and others evenly spread.
bool SamplesLimits(uint32_t round, uint32_t rounds) {
  return round % std::max(1u, rounds / kLimitSamples) == 0;
}

}  // namespace

absl::StatusOr<BenchResult> RunBench(const BenchRequest& request) {
  const BenchPlan& plan = request.plan;
  if (plan.rate > plan.MostRate()) {
    return absl::InvalidArgumentError(
        fmt::format("{} observations/s of {}-d for {:.0f} s would leave more than {:.0f} GB in the daemon: at most {}/s, "
                    "or a shorter duration",
                    Grouped(plan.rate), plan.dimension, plan.seconds + plan.warmup_seconds, BenchPlan::kMostSteadyBytes / 1e9,
                    Grouped(plan.MostRate())));
  }
  const auto tell = [&](const std::string& what) {
    if (request.progress) request.progress(what);
  };
  const BenchData data(plan);
  std::vector<TargetSpec> specs = {request.target};
  if (request.base) specs.push_back(*request.base);
  std::vector<std::unique_ptr<BenchTarget>> targets;
  std::vector<Measured> measured(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    tell(fmt::format("preparing {} observations of {}-d", Grouped(static_cast<double>(plan.preload)), plan.dimension));
    ENGRAM_ASSIGN_OR_RETURN(auto target, BenchTarget::Start(specs[i], plan, data));
    targets.push_back(std::move(target));
    measured[i].spec = specs[i];
  }
  std::unique_ptr<MachineLimits> limits;
  bool here = false;
  if (plan.limits) {
    ENGRAM_ASSIGN_OR_RETURN(const v1::GetStatusResponse status, targets.front()->Status());
    // What this machine can do says nothing of another.
    here = request.target.address.empty() || OnThisMachine(status);
    if (!here) tell("the daemon runs on another machine: its limits cannot be measured from here");
  }
  if (here) {
    ENGRAM_ASSIGN_OR_RETURN(limits, MachineLimits::Start(request.self, request.storage, plan));
  }

  double slowest = 0;
  for (const auto& target : targets) {
    tell("warming up");
    const double seconds = std::max(plan.warmup_seconds, BenchPlan::kLeastWarmup);
    RoundOutcome warm;
    ENGRAM_RETURN_IF_ERROR(target->Burst(seconds * BenchPlan::kBurstShare, warm));
    const double rate = plan.rate > 0 ? plan.rate : plan.RateWithin(warm.burst.Rate() / 4);
    ENGRAM_RETURN_IF_ERROR(target->Steady(seconds * (1 - BenchPlan::kBurstShare), rate, warm));
    slowest = slowest == 0 ? warm.burst.Rate() : std::min(slowest, warm.burst.Rate());
  }
  const double rate = plan.rate > 0 ? plan.rate : plan.RateWithin(slowest / 4);

  const uint32_t rounds = plan.Rounds();
  for (Measured& of : measured) of.rounds.resize(rounds);
  // Who goes first changes from round to round, so that neither side always finds the machine warm.
  const auto each = [&](uint32_t round, const auto& part) -> absl::Status {
    for (size_t turn = 0; turn < targets.size(); ++turn) {
      const size_t i = (turn + round) % targets.size();
      ENGRAM_RETURN_IF_ERROR(part(*targets[i], measured[i].rounds[round]));
    }
    return absl::OkStatus();
  };
  // All steady parts first: a burst leaves the daemon things to do that would be felt in the next one.
  for (uint32_t round = 0; round < rounds; ++round) {
    tell(fmt::format("steady part {} of {}, {} observations/s", round + 1, rounds, Grouped(rate)));
    ENGRAM_RETURN_IF_ERROR(each(round, [&](BenchTarget& target, RoundOutcome& outcome) {
      ENGRAM_RETURN_IF_ERROR(target.Steady(plan.RoundSeconds() * (1 - BenchPlan::kBurstShare), rate, outcome));
      if (!outcome.steady_part.settled) tell("what follows may be slowed: the daemon has not finished what that left it");
      return absl::OkStatus();
    }));
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    ENGRAM_ASSIGN_OR_RETURN(measured[i].quality, targets[i]->Quality());
  }
  for (uint32_t round = 0; round < rounds; ++round) {
    if (limits != nullptr && SamplesLimits(round, rounds)) {
      ENGRAM_RETURN_IF_ERROR(limits->Sample(targets.front()->pools(), std::clamp(plan.RoundSeconds() / 4, 0.2, 1.0)));
    }
    ENGRAM_RETURN_IF_ERROR(each(round, [&](BenchTarget& target, RoundOutcome& outcome) {
      ENGRAM_RETURN_IF_ERROR(target.Burst(plan.RoundSeconds() * BenchPlan::kBurstShare, outcome));
      // What one side has still to rewrite or to write ahead would be felt in the other's burst.
      if (request.settle_between) ENGRAM_RETURN_IF_ERROR(target.Settle().status());
      return absl::OkStatus();
    }));
    tell(fmt::format("burst {} of {}: {} observations/s", round + 1, rounds,
                     Grouped(measured[0].rounds[round].burst.Rate())));
  }
  BenchResult result;
  for (size_t i = 0; i < targets.size(); ++i) {
    ENGRAM_ASSIGN_OR_RETURN(measured[i].status, targets[i]->Status());
    measured[i].last_page = targets[i]->last_page();
    measured[i].peak_resident_bytes = targets[i]->PeakResidentBytes();
    if (limits != nullptr) measured[i].limits = limits->samples();
    ENGRAM_RETURN_IF_ERROR(targets[i]->Finish());
  }
  if (limits != nullptr) ENGRAM_RETURN_IF_ERROR(limits->Stop());
  result.document = Summarise(plan, measured[0]);
  if (measured.size() > 1) result.base = Summarise(plan, measured[1]);
  return result;
}

}  // namespace engram
