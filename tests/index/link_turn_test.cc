// A turn that several threads share: each ordinal is handed out once, and the watermark passes only what is done.
#include "index/link_turn.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace engram {
namespace {

bool Never(Ordinal) { return false; }

// Only handed on.
CodeGraph* SomeGraph() { return reinterpret_cast<CodeGraph*>(uintptr_t{8}); }

TEST(LinkTurnTest, HandsOutInOrderAndPassesOnlyWhatIsDone) {
  std::atomic<Ordinal> through{10};
  LinkTurn turn(through);
  turn.Open(SomeGraph(), 20, 4);
  const LinkTurn::Taken a = turn.Take(Never), b = turn.Take(Never), c = turn.Take(Never);
  EXPECT_EQ(a.ordinal, 10u);
  EXPECT_EQ(a.graph, SomeGraph());
  EXPECT_EQ(b.ordinal, 11u);
  EXPECT_EQ(c.ordinal, 12u);
  EXPECT_EQ(through.load(), 10u);
  turn.Done(b, true);
  EXPECT_EQ(through.load(), 10u);
  turn.Done(a, true);
  EXPECT_EQ(through.load(), 12u);
  const LinkTurn::Taken d = turn.Take(Never);
  EXPECT_EQ(d.ordinal, 13u);
  // Four were to be handed out.
  EXPECT_EQ(turn.Take(Never).ordinal, kNoOrdinal);
  turn.Done(c, true);
  EXPECT_EQ(through.load(), 13u);
  turn.Done(d, true);
  EXPECT_EQ(through.load(), 14u);
}

TEST(LinkTurnTest, PassesOverWhatIsSkipped) {
  std::atomic<Ordinal> through{0};
  LinkTurn turn(through);
  turn.Open(SomeGraph(), 10, 100);
  const auto odd = [](Ordinal ordinal) { return ordinal % 2 == 1; };
  EXPECT_EQ(turn.Take(odd).ordinal, 0u);
  const LinkTurn::Taken two = turn.Take(odd);
  EXPECT_EQ(two.ordinal, 2u);
  turn.Done(two, true);
  EXPECT_EQ(through.load(), 0u);
  turn.Done({0, SomeGraph()}, true);
  EXPECT_EQ(through.load(), 3u);
  EXPECT_EQ(turn.Take([](Ordinal) { return true; }).ordinal, kNoOrdinal);
  EXPECT_EQ(through.load(), 10u);
}

TEST(LinkTurnTest, WhatCannotBeInsertedEndsTheTurnAndBeginsTheNext) {
  std::atomic<Ordinal> through{0};
  LinkTurn turn(through);
  turn.Open(SomeGraph(), 10, 100);
  const LinkTurn::Taken a = turn.Take(Never), b = turn.Take(Never), c = turn.Take(Never);
  turn.Done(b, false);
  turn.Done(c, true);
  EXPECT_EQ(turn.Take(Never).ordinal, kNoOrdinal);
  turn.Done(a, true);
  turn.Close();
  turn.AwaitOthers();
  EXPECT_EQ(through.load(), 1u);
  turn.Open(SomeGraph(), 10, 100);
  EXPECT_EQ(turn.Take(Never).ordinal, 1u);
}

TEST(LinkTurnTest, WhatSkipThrowsTakesNothing) {
  std::atomic<Ordinal> through{0};
  LinkTurn turn(through);
  turn.Open(SomeGraph(), 10, 100);
  EXPECT_THROW(turn.Take([](Ordinal) -> bool { throw std::bad_alloc(); }), std::bad_alloc);
  turn.AwaitOthers();
  EXPECT_EQ(through.load(), 0u);
}

TEST(LinkTurnTest, NothingIsTakenOfATurnThatIsClosed) {
  std::atomic<Ordinal> through{0};
  LinkTurn turn(through);
  EXPECT_EQ(turn.Take(Never).ordinal, kNoOrdinal);
  turn.Open(SomeGraph(), 10, 100);
  turn.Close();
  EXPECT_EQ(turn.Take(Never).ordinal, kNoOrdinal);
}

TEST(LinkTurnTest, MoreThreadsThanThereIsRoomForFindNothing) {
  std::atomic<Ordinal> through{0};
  LinkTurn turn(through);
  turn.Open(SomeGraph(), 100, 100);
  for (size_t i = 0; i < LinkTurn::kMostThreads; ++i) EXPECT_EQ(turn.Take(Never).ordinal, i);
  EXPECT_EQ(turn.Take(Never).ordinal, kNoOrdinal);
  turn.Done({3, SomeGraph()}, true);
  EXPECT_EQ(turn.Take(Never).ordinal, LinkTurn::kMostThreads);
}

TEST(LinkTurnTest, ThreadsThatShareTurnsDoEachOrdinalOnceBeforeItIsPassed) {
  constexpr Ordinal kCount = 20000;
  std::atomic<Ordinal> through{0};
  LinkTurn turn(through);
  std::vector<std::atomic<int>> done(kCount);
  std::atomic<bool> over{false};
  const auto work = [&] {
    uint64_t did = 0;
    for (;; ++did) {
      const LinkTurn::Taken taken = turn.Take([](Ordinal ordinal) { return ordinal % 7 == 3; });
      if (taken.ordinal == kNoOrdinal) return did;
      done[taken.ordinal].fetch_add(1);
      turn.Done(taken, true);
    }
  };
  std::vector<std::jthread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&] {
      while (!over.load()) {
        if (work() == 0) std::this_thread::yield();
      }
    });
  }
  std::jthread reader([&] {
    for (Ordinal seen = 0; seen < kCount;) {
      const Ordinal passed = through.load();
      for (; seen < passed; ++seen) ASSERT_EQ(done[seen].load(), seen % 7 == 3 ? 0 : 1) << seen;
      std::this_thread::yield();
    }
  });
  std::mt19937 random(7);
  while (through.load() < kCount) {
    const Ordinal end = std::min<Ordinal>(kCount, through.load() + 1 + random() % 300);
    const auto most = static_cast<uint32_t>(1 + random() % 200);
    turn.Open(SomeGraph(), end, most);
    work();
    turn.Close();
    turn.AwaitOthers();
    const Ordinal passed = through.load();
    ASSERT_LE(passed, end);
    for (Ordinal o = 0; o < kCount; ++o) ASSERT_EQ(done[o].load(), o < passed && o % 7 != 3 ? 1 : 0) << o;
  }
  over.store(true);
}

}  // namespace
}  // namespace engram
