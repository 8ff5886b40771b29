// The bars of a load: what each outcome makes of them.
#include <gtest/gtest.h>

#include <functional>

#include "loadtest/load_run.h"

namespace engram {
namespace {

// Whether all bars hold of a load of 100 observations and 50 recalls in which all went well but for `change`.
bool Passes(const std::function<void(Scenario&, LoadOutcome&)>& change) {
  Scenario scenario;
  LoadOutcome outcome;
  outcome.due = outcome.durable = 100;
  outcome.recalls_due = outcome.recalls_answered = 50;
  outcome.seconds = 1;
  change(scenario, outcome);
  Report report(/*json=*/true);
  ReportOutcome(scenario, outcome, report);
  return report.AllPassed();
}

TEST(LoadBars, HoldWhereNothingIsWrong) {
  EXPECT_TRUE(Passes([](Scenario&, LoadOutcome&) {}));
}

TEST(LoadBars, ADaemonThatEndsByItselfMissesOne) {
  EXPECT_FALSE(Passes([](Scenario&, LoadOutcome& outcome) { outcome.death = "engramd ended with 70"; }));
}

TEST(LoadBars, WhatCouldNotBeAskedForAfterwardsIsNotTakenForSound) {
  EXPECT_FALSE(Passes([](Scenario&, LoadOutcome& outcome) { outcome.unverified = "connection refused"; }));
}

TEST(LoadBars, WhatIsLeftInADaemonThatRunsOnMissesOne) {
  EXPECT_FALSE(Passes([](Scenario&, LoadOutcome& outcome) { outcome.left_behind = "delete space load-1"; }));
}

TEST(LoadBars, ARecallThatIsNotAnsweredMissesOneUnlessTheScenarioAllowsIt) {
  const auto unanswered = [](Scenario&, LoadOutcome& outcome) { outcome.recalls_answered = 49; };
  EXPECT_FALSE(Passes(unanswered));
  EXPECT_TRUE(Passes([&](Scenario& scenario, LoadOutcome& outcome) {
    unanswered(scenario, outcome);
    scenario.pass.recalls_answered_share = 0.98;
  }));
}

TEST(LoadBars, ARecallThatIsAnsweredWronglyMissesOne) {
  EXPECT_FALSE(Passes([](Scenario&, LoadOutcome& outcome) { outcome.wrong = 1; }));
}

TEST(LoadBars, AFaultThatDidNothingOrTooLittleMissesOne) {
  const auto did = [](uint64_t effects) {
    return [effects](Scenario&, LoadOutcome& outcome) {
      outcome.faults = {{.name = "kill-workers at 1 s", .least = 2, .effects = effects}};
    };
  };
  EXPECT_FALSE(Passes(did(0)));
  EXPECT_FALSE(Passes(did(1)));
  EXPECT_TRUE(Passes(did(2)));
}

TEST(LoadBars, WhatIsToBeFeltAndIsNotMissesOne) {
  const auto took = [](int64_t nanos) {
    return [nanos](Scenario& scenario, LoadOutcome& outcome) {
      scenario.pass.observe_p99_at_least_seconds = 0.05;
      if (nanos > 0) outcome.observe.Record(nanos, 100);
    };
  };
  EXPECT_FALSE(Passes(took(0)));
  EXPECT_FALSE(Passes(took(49'000'000)));
  EXPECT_TRUE(Passes(took(51'000'000)));
}

TEST(LoadBars, OfALoadThatMayFallBehindSomethingHasToBeDurable) {
  const auto behind = [](uint64_t durable) {
    return [durable](Scenario& scenario, LoadOutcome& outcome) {
      scenario.pass.may_fall_behind = true;
      outcome.durable = durable;
    };
  };
  EXPECT_TRUE(Passes(behind(1)));
  EXPECT_FALSE(Passes(behind(0)));
}

}  // namespace
}  // namespace engram
