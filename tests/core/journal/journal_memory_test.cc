// What an append that finds no memory leaves behind: nothing.
#include <gtest/gtest.h>

#include <new>

#include "tests/core/journal/journal_fixture.h"
#include "tests/support/scarce_memory.h"

namespace engram::testing {
namespace {

class JournalMemoryTest : public JournalFixture {};

TEST_F(JournalMemoryTest, AnAppendThatFindsNoMemoryTakesNoPosition) {
  JournalOptions options = SmallJournal();
  options.stepped = true;
  // Room for many records whose places have to be made room for.
  options.group_bytes = 48 << 10;
  ASSERT_TRUE(Open(options).ok());
  Start();
  ASSERT_TRUE(AppendNext().ok());
  uint64_t appended = 1, failures = 0;
  for (int round = 0; round < 40; ++round) {
    RunOutEverywhere([&](uint64_t left) {
      const SeededRecord record(appended + 1, 1);
      absl::StatusOr<uint64_t> position = absl::UnknownError("no memory");
      bool failed = false;
      {
        const MemoryRunsOut scarce(left);
        try {
          position = journal_->Append(record.record(), nullptr);
        } catch (const std::bad_alloc&) {
        }
        failed = scarce.failed();
      }
      failures += failed;
      appended += position.ok();
      EXPECT_EQ(journal_->last(), appended) << "round " << round << ", with room for " << left << " allocations";
      return failed && !HasFailure();
    });
    if (HasFailure()) return;
  }
  EXPECT_GT(failures, 0u);
  while (journal_->Step()) {
  }
  EXPECT_EQ(sink_.through(), appended);
  EXPECT_TRUE(sink_.in_order());
  journal_->Close();
  ASSERT_TRUE(Open(options).ok());
  EXPECT_EQ(journal_->last(), appended);
}

}  // namespace
}  // namespace engram::testing
