// What each fault of a load did, also of the second of its kind and beyond the daemon's death.
#include "loadtest/fault_tally.h"

#include <gtest/gtest.h>

namespace engram {
namespace {

LoadEvent Fault(double at, v1::FaultKind kind, uint32_t count = 0) {
  LoadEvent event{.at_seconds = at};
  event.fault.set_kind(kind);
  event.fault.set_count(count);
  return event;
}

v1::GetStatusResponse Told(v1::FaultKind kind, uint64_t count) {
  v1::GetStatusResponse status;
  v1::FaultEffect* const other = status.add_fault_effects();
  other->set_kind(v1::FULL_DISK);
  other->set_count(1000);
  v1::FaultEffect* const effect = status.add_fault_effects();
  effect->set_kind(kind);
  effect->set_count(count);
  return status;
}

TEST(FaultTally, AnOrderAloneIsNoEffect) {
  FaultTally tally;
  tally.Ordered(Fault(1.5, v1::KILL_WORKERS, 2), {});
  ASSERT_EQ(tally.outcomes().size(), 1u);
  EXPECT_EQ(tally.outcomes()[0].name, "kill-workers at 1.5 s");
  EXPECT_EQ(tally.outcomes()[0].least, 2u);
  tally.Look({});
  EXPECT_EQ(tally.outcomes()[0].effects, 0u);
}

TEST(FaultTally, CountsFromTheOrderOnAndEachOfAKindByItself) {
  FaultTally tally;
  tally.Ordered(Fault(1, v1::SHIFT_CLOCK), Told(v1::SHIFT_CLOCK, 100));
  tally.Ordered(Fault(2, v1::SHIFT_CLOCK), Told(v1::SHIFT_CLOCK, 130));
  tally.Look(Told(v1::SHIFT_CLOCK, 130));
  ASSERT_EQ(tally.outcomes().size(), 2u);
  EXPECT_EQ(tally.outcomes()[0].effects, 30u);
  EXPECT_EQ(tally.outcomes()[0].least, 1u);
  EXPECT_EQ(tally.outcomes()[1].effects, 0u);
}

TEST(FaultTally, AnotherLifeCountsFromNothingAndTakesNothingBack) {
  FaultTally tally;
  tally.Ordered(Fault(1, v1::SLOW_DISK), {});
  tally.Look(Told(v1::SLOW_DISK, 9));
  tally.LifeOver();
  tally.Look(Told(v1::SLOW_DISK, 1));
  EXPECT_EQ(tally.outcomes()[0].effects, 9u);
}

TEST(FaultTally, WhatBreaksNothingOrEndsTheDaemonIsNotAskedFor) {
  FaultTally tally;
  tally.Ordered(Fault(1, v1::HEAL), {});
  tally.Ordered(Fault(2, v1::BROKEN_DISK), {});
  EXPECT_TRUE(tally.outcomes().empty());
}

}  // namespace
}  // namespace engram
