#include "loadtest/durable_daemon.h"

#include <gtest/gtest.h>

#include <cmath>

namespace engram {
namespace {

TEST(JournalCountersTest, AreReadFromThePage) {
  const JournalCounters counters = CountersOf(
      "# TYPE engram_journal_records_total counter\n"
      "engram_journal_records_total 7\n"
      "engram_journal_bytes_total 1.5e+09\n"
      "engram_journal_payload_bytes_total 1400000000\n"
      "engram_journal_syncs_total 3\n"
      "engram_journal_prepared_bytes_total 536870912\n");
  EXPECT_EQ(counters.records, 7);
  EXPECT_EQ(counters.bytes, 1.5e9);
  EXPECT_EQ(counters.payload_bytes, 1.4e9);
  EXPECT_EQ(counters.syncs, 3);
  EXPECT_EQ(counters.prepared_bytes, 536870912);
}

TEST(JournalCountersTest, WhatTheDaemonDoesNotHaveIsNotZero) {
  const JournalCounters counters = CountersOf("engram_journal_records_total 7\n");
  EXPECT_EQ(counters.records, 7);
  EXPECT_TRUE(std::isnan(counters.syncs));
  EXPECT_TRUE(std::isnan(counters.Since(counters).syncs));
}

TEST(JournalCountersTest, DifferEachFromItsOwnEarlierValue) {
  const JournalCounters later{10, 20, 30, 40, 50}, before{1, 3, 5, 7, 9};
  const JournalCounters moved = later.Since(before);
  EXPECT_EQ(moved.records, 9);
  EXPECT_EQ(moved.bytes, 17);
  EXPECT_EQ(moved.payload_bytes, 25);
  EXPECT_EQ(moved.syncs, 33);
  EXPECT_EQ(moved.prepared_bytes, 41);
}

}  // namespace
}  // namespace engram
