// What an append that finds no memory leaves behind: nothing.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/core/journal/journal_fixture.h"

namespace {

// Counted down by each allocation of this thread; the one that brings it to 0 fails. 0: none does.
thread_local int fails_in = 0;

void* Allocate(std::size_t bytes) {
  if (fails_in > 0 && --fails_in == 0) throw std::bad_alloc();
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// Apart, or the compiler takes free for a mistake where it sees both ends of a pointer's life.
[[gnu::noinline]] void Release(void* memory) noexcept { std::free(memory); }

}  // namespace

void* operator new(std::size_t bytes) { return Allocate(bytes); }
void* operator new[](std::size_t bytes) { return Allocate(bytes); }
void operator delete(void* memory) noexcept { Release(memory); }
void operator delete[](void* memory) noexcept { Release(memory); }
void operator delete(void* memory, std::size_t) noexcept { Release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { Release(memory); }

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
  uint64_t appended = 1, failed = 0;
  for (int round = 0; round < 40; ++round) {
    // The first allocation fails, then the second, until none is left to fail.
    for (int nth = 1; nth < 50; ++nth) {
      const SeededRecord record(appended + 1, 1);
      absl::StatusOr<uint64_t> position = absl::UnknownError("no memory");
      fails_in = nth;
      try {
        position = journal_->Append(record.record(), nullptr);
      } catch (const std::bad_alloc&) {
      }
      const bool all = fails_in > 0;
      fails_in = 0;
      failed += !position.ok();
      if (!position.ok()) {
        ASSERT_EQ(journal_->last(), appended) << "round " << round << ", allocation " << nth;
        continue;
      }
      ASSERT_EQ(*position, ++appended);
      if (all) break;
    }
  }
  EXPECT_GT(failed, 0u);
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
