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
