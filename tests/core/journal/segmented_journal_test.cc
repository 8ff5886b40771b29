#include <numeric>
#include <thread>

#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<uint64_t> Through(uint64_t last) {
  std::vector<uint64_t> positions(last);
  std::iota(positions.begin(), positions.end(), 1);
  return positions;
}

class SegmentedJournalTest : public JournalFixture {};

TEST_F(SegmentedJournalTest, WhatIsCommittedIsThereAfterAPowerCut) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_EQ(journal_->last(), 0);
  Start();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(AppendNext().ok());
  sink_.Await(100);
  EXPECT_TRUE(sink_.in_order());
  const uint64_t id = journal_->id();
  disk_.Cut(7);
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_EQ(journal_->id(), id);
  EXPECT_EQ(journal_->last(), 100);
  EXPECT_EQ(ReplayAll(), Through(100));
  EXPECT_THAT(journal_->defects(), IsEmpty());
}

TEST_F(SegmentedJournalTest, GoesOnAcrossSegmentsAndLives) {
  uint64_t last = 0;
  for (int life = 0; life < 6; ++life) {
    ASSERT_TRUE(Open(SmallJournal()).ok());
    ASSERT_EQ(journal_->last(), last);
    ASSERT_EQ(ReplayAll(), Through(last));
    Start();
    for (int i = 0; i < 150; ++i) ASSERT_TRUE(AppendNext().ok());
    last += 150;
    journal_->Close();
    EXPECT_EQ(sink_.through(), last);
  }
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_GT(journal_->segments().size(), 8);
  for (const auto& segment : journal_->segments()) EXPECT_TRUE(segment->sealed());
  EXPECT_EQ(ReplayAll(500).front(), 501);
}

TEST_F(SegmentedJournalTest, AnObservationIsReadByItsAddress) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(AppendNext().ok());
  sink_.Await(300);
  for (const uint64_t position : {1, 77, 150, 299, 300}) {
    SeededRecord expected(position);
    for (uint32_t place = 0; place < expected.record().observations.size(); ++place) {
      StoredObservation stored;
      ASSERT_TRUE(journal_->Read({position, place}, &stored).ok());
      EXPECT_EQ(stored.observation.id, expected.record().observations[place].id);
      EXPECT_EQ(stored.observation.content, expected.record().observations[place].content);
    }
    StoredObservation stored;
    EXPECT_TRUE(absl::IsNotFound(journal_->Read({position, 99}, &stored)));
  }
  StoredObservation stored;
  EXPECT_TRUE(absl::IsNotFound(journal_->Read({301, 0}, &stored)));
}

TEST_F(SegmentedJournalTest, ManyAppendersShareSyncsAndKeepOneOrder) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  constexpr int kThreads = 8;
  constexpr int kEach = 200;
  std::vector<std::vector<std::pair<uint64_t, uint64_t>>> appended(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        uint64_t before = 0;
        for (int i = 0; i < kEach; ++i) {
          const uint64_t seed = static_cast<uint64_t>(t * kEach + i);
          const auto position = journal_->Append(SeededRecord(seed).record(), nullptr);
          ASSERT_TRUE(position.ok());
          ASSERT_GT(*position, before);
          before = *position;
          appended[static_cast<size_t>(t)].emplace_back(*position, seed);
        }
      });
    }
  }
  journal_->Close();
  EXPECT_EQ(sink_.through(), kThreads * kEach);
  EXPECT_TRUE(sink_.in_order());
  EXPECT_LT(observer_.groups(), kThreads * kEach);
  std::map<uint64_t, uint64_t> seeds;
  for (const auto& one : appended) seeds.insert(one.begin(), one.end());
  ASSERT_TRUE(Open(SmallJournal()).ok());
  uint64_t next = 1;
  const absl::Status status = journal_->Replay(
      0,
      [&](const JournalRecord& record, uint64_t position) {
        EXPECT_EQ(position, next++);
        EXPECT_TRUE(SeededRecord(seeds.at(position)).Is(record));
        return absl::OkStatus();
      },
      [](uint64_t) {});
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(next, kThreads * kEach + 1);
}

TEST_F(SegmentedJournalTest, ARecordLargerThanASegmentHasOneToItself) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  ASSERT_TRUE(AppendNext().ok());
  SeededRecord large(2, 1000);
  ASSERT_TRUE(journal_->Append(large.record(), nullptr).ok());
  ASSERT_TRUE(AppendNext().ok());
  journal_->Close();
  ASSERT_TRUE(Open(SmallJournal()).ok());
  std::vector<size_t> sizes;
  ASSERT_TRUE(journal_->Replay(0, [&](const JournalRecord& r, uint64_t) {
    sizes.push_back(r.observations.size());
    return absl::OkStatus();
  }, [](uint64_t) {}).ok());
  EXPECT_EQ(sizes, (std::vector<size_t>{SeededRecord(1).record().observations.size(), 1000,
                                        SeededRecord(3).record().observations.size()}));
}

TEST_F(SegmentedJournalTest, OnlyOneProcessHasADirectory) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  auto other = disk_.Open();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      SegmentedJournal::Open(other.get(), SmallJournal(), &clock_, &observer_).status()));
}

TEST_F(SegmentedJournalTest, AFailedSyncCommitsNothingAnyMore) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  ASSERT_TRUE(AppendNext().ok());
  sink_.Await(1);
  disk_.Fail({.call = FileCall::kSync, .status = InputOutputError(), .until_cleared = true});
  ASSERT_TRUE(AppendNext().ok());
  while (AppendNext().ok()) {
  }
  journal_->Close();
  EXPECT_EQ(sink_.through(), 1);
  EXPECT_THAT(std::string(observer_.fatal().message()), HasSubstr("injected"));
}

TEST_F(SegmentedJournalTest, AFullDiskIsWaitedForAndLosesNothing) {
  JournalOptions options = SmallJournal();
  options.spare_segments = 0;
  ASSERT_TRUE(Open(options).ok());
  Start();
  ASSERT_TRUE(AppendNext().ok());
  sink_.Await(1);
  disk_.SetFreeSpace(70 << 10);
  std::jthread writer([&] {
    for (int i = 0; i < 400; ++i) ASSERT_TRUE(AppendNext().ok());
  });
  const auto waits = observer_.AwaitWaits(1);
  EXPECT_TRUE(absl::IsResourceExhausted(waits[0])) << waits[0];
  EXPECT_THAT(std::string(waits[0].message()), HasSubstr("free"));
  const uint64_t stopped_at = sink_.through();
  EXPECT_LT(stopped_at, 401);
  disk_.SetFreeSpace(uint64_t{1} << 30);
  writer.join();
  sink_.Await(401);
  EXPECT_TRUE(observer_.AwaitWaits(2)[1].ok());
  EXPECT_TRUE(observer_.fatal().ok());
}

TEST_F(SegmentedJournalTest, ClosingWithAFullDiskGivesUpWhatWaits) {
  JournalOptions options = SmallJournal();
  options.spare_segments = 0;
  ASSERT_TRUE(Open(options).ok());
  Start();
  disk_.SetFreeSpace(0);
  std::jthread writer([&] { EXPECT_TRUE(absl::IsUnavailable(AppendNext().status())); });
  observer_.AwaitWaits(1);
  journal_->Close();
  writer.join();
  EXPECT_TRUE(observer_.fatal().ok());
}

TEST_F(SegmentedJournalTest, AMissingSegmentIsNamedAndTheRestServed) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(AppendNext().ok());
  journal_->Close();
  const auto segments = journal_->segments();
  ASSERT_GE(segments.size(), 3);
  const uint64_t first = segments[1]->first();
  const uint64_t last = segments[1]->last();
  ASSERT_TRUE(directory_->Remove(segments[1]->name()).ok());
  ASSERT_TRUE(Open(SmallJournal()).ok());
  ASSERT_THAT(journal_->defects(), SizeIs(1));
  EXPECT_EQ(journal_->defects()[0].first, first);
  EXPECT_EQ(journal_->defects()[0].last, last);
  EXPECT_EQ(ReplayAll().size(), 400 - (last - first + 1));
}

TEST_F(SegmentedJournalTest, AMissingLastSegmentIsNamedAndItsPositionsAreNotUsedAgain) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(AppendNext().ok());
  journal_->Close();
  const auto last = journal_->segments().back();
  ASSERT_TRUE(directory_->Remove(last->name()).ok());
  ASSERT_TRUE(Open(SmallJournal()).ok());
  ASSERT_THAT(journal_->defects(), SizeIs(1));
  EXPECT_EQ(journal_->defects()[0].first, last->first());
  EXPECT_EQ(journal_->defects()[0].last, 200);
  EXPECT_EQ(journal_->last(), 200);
}

TEST_F(SegmentedJournalTest, ALostManifestIsMadeAgainFromTheSegments) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  const uint64_t id = journal_->id();
  Start();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(AppendNext().ok());
  journal_->Close();
  ASSERT_TRUE(directory_->Remove("MANIFEST").ok());
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_EQ(journal_->id(), id);
  EXPECT_EQ(ReplayAll(), Through(20));
  ASSERT_THAT(journal_->defects(), SizeIs(1));
  EXPECT_EQ(journal_->defects()[0].file, "MANIFEST");
}

TEST_F(SegmentedJournalTest, ADamagedRecordThatWasDurableIsNamedAndTheRestServed) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  // One group each, so that each record knows of those before it.
  for (int i = 1; i <= 30; ++i) {
    ASSERT_TRUE(AppendNext().ok());
    sink_.Await(static_cast<uint64_t>(i));
  }
  const auto segment = journal_->segments().back();
  const uint64_t offset = *segment->OffsetOf(10);
  disk_.Crash();
  disk_.FlipBit(segment->name(), offset + 70, 3);
  for (int life = 0; life < 3; ++life) {
    ASSERT_TRUE(Open(SmallJournal()).ok());
    EXPECT_EQ(journal_->last(), 30u + static_cast<uint64_t>(life));
    std::vector<uint64_t> expected = Through(journal_->last());
    expected.erase(expected.begin() + 9);
    EXPECT_EQ(ReplayAll(), expected);
    ASSERT_THAT(journal_->defects(), SizeIs(1)) << journal_->defects()[1].Render();
    EXPECT_EQ(journal_->defects()[0].first, 10);
    EXPECT_EQ(journal_->defects()[0].last, 10);
    // It goes on behind the damage, and the damage is named again.
    Start();
    ASSERT_TRUE(AppendNext().ok());
    journal_->Close();
    disk_.Crash();
  }
}

TEST_F(SegmentedJournalTest, SealThroughPutsEverythingIntoSealedSegments) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(AppendNext().ok());
  const auto through = journal_->SealThrough();
  ASSERT_TRUE(through.ok()) << through.status();
  EXPECT_EQ(*through, 10);
  for (const auto& segment : journal_->segments()) EXPECT_TRUE(segment->sealed());
  auto target = disk_.Open("copy");
  EXPECT_EQ(journal_->LinkInto(*target)->through, 10);
  ASSERT_TRUE(AppendNext().ok());
  journal_->Close();
  auto copy = SegmentedJournal::Open(target.get(), SmallJournal(), &clock_, &observer_);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->last(), 10);
  EXPECT_THAT((*copy)->defects(), IsEmpty());
}

TEST_F(SegmentedJournalTest, NothingEndsBecauseNoSegmentCanBeWrittenAhead) {
  disk_.Fail({.call = FileCall::kCreate, .status = InputOutputError(), .suffix = ".filling", .until_cleared = true});
  // With threads the log may be closed before the keeper has tried.
  JournalOptions options = SmallJournal();
  options.stepped = true;
  ASSERT_TRUE(Open(options).ok());
  Start();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(AppendNext().ok());
  while (journal_->Step()) {
  }
  EXPECT_EQ(sink_.through(), 200);
  EXPECT_EQ(journal_->ReadFiles().spares.ready, 0);
  EXPECT_TRUE(observer_.fatal().ok()) << observer_.fatal();
}

TEST_F(SegmentedJournalTest, AManifestWithoutRoomIsWrittenLaterAndNoSegmentIsSealedTwice) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(AppendNext().ok());
  disk_.Fail({.call = FileCall::kWrite, .status = DiskIsFull(), .suffix = "MANIFEST.tmp"});
  ASSERT_TRUE(journal_->SealThrough().ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(AppendNext().ok());
  ASSERT_TRUE(journal_->SealThrough().ok());
  journal_->Close();
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_EQ(ReplayAll(), Through(40));
  EXPECT_THAT(journal_->defects(), IsEmpty());
}

TEST_F(SegmentedJournalTest, StartsOnAFullDisk) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(AppendNext().ok());
  sink_.Await(20);
  disk_.Crash();
  disk_.Fail({.call = FileCall::kWrite, .status = DiskIsFull(), .suffix = "MANIFEST.tmp", .until_cleared = true});
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_EQ(ReplayAll(), Through(20));
}

TEST_F(SegmentedJournalTest, PositionsOfAnUnreadableLastSegmentAreNotGivenOutAgain) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(AppendNext().ok());
  sink_.Await(20);
  const std::string name = journal_->segments().back()->name();
  disk_.Crash();
  disk_.Scramble(name, 0, 8192, 1);
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_GT(journal_->last(), 20);
  EXPECT_THAT(journal_->defects(), SizeIs(1));
}

}  // namespace
}  // namespace engram::testing
