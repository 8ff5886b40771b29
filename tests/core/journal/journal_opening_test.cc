// What a start makes of what it finds in its directory: what cannot be read, what is cut off, what does not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "core/journal/segment_files.h"
#include "core/journal/segment_format.h"
#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class JournalOpeningTest : public JournalFixture {
 protected:
  // Each a group of its own, so that each record knows of those before it.
  void Write(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      const auto position = AppendNext();
      ASSERT_TRUE(position.ok()) << position.status();
      sink_.Await(*position);
    }
  }
  // Of a stepped journal: records that know nothing of each other, since they are synced together.
  void WriteTogether(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) ASSERT_TRUE(AppendNext().ok());
    while (journal_->Step()) {
    }
  }
  static JournalOptions Stepped() {
    JournalOptions options = SmallJournal();
    options.stepped = true;
    return options;
  }
  static std::vector<uint64_t> Through(uint64_t last) {
    std::vector<uint64_t> positions(last);
    std::iota(positions.begin(), positions.end(), 1);
    return positions;
  }
};

class RememberingTails final : public JournalObserver {
 public:
  void OnTail(std::string_view segment, uint64_t offset, uint64_t bytes) override {
    tails.emplace_back(segment, offset, bytes);
  }
  std::vector<std::tuple<std::string, uint64_t, uint64_t>> tails;
};

TEST_F(JournalOpeningTest, AManifestThatCannotBeReadIsNotTakenForADamagedOne) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  Write(5);
  // A copy has an id of its own, which only its manifest knows.
  ASSERT_TRUE(journal_->SealThrough().ok());
  const uint64_t id = journal_->id();
  journal_->Close();
  for (const Fault& fault : {Fault{.call = FileCall::kOpen, .status = AccessDenied(), .suffix = "MANIFEST"},
                             Fault{.call = FileCall::kRead, .status = InputOutputError(), .suffix = "MANIFEST"}}) {
    disk_.Fail(fault);
    const absl::Status opened = Open(SmallJournal());
    EXPECT_EQ(opened, fault.status);
    disk_.ClearFaults();
    ASSERT_TRUE(Open(SmallJournal()).ok());
    EXPECT_EQ(journal_->id(), id);
    EXPECT_THAT(journal_->defects(), IsEmpty());
    EXPECT_EQ(ReplayAll(), Through(5));
  }
}

TEST_F(JournalOpeningTest, ASegmentThatCannotBeReadIsNotTakenForADamagedOne) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  Write(5);
  ASSERT_TRUE(journal_->SealThrough().ok());
  Write(5);
  journal_->Close();
  const std::string name = FileNameOfSegment(1);
  const auto whole = ReadWhole(*directory_, name, 1 << 20);
  const Fault unread{.call = FileCall::kRead, .status = InputOutputError(), .suffix = name, .until_cleared = true};
  // Both headers; the second where the first is damaged; the footer behind whole ones; a header without a manifest.
  for (const char* what : {"headers", "second header", "footer", "no manifest"}) {
    SCOPED_TRACE(what);
    Fault fault = unread;
    if (std::string_view(what) == "second header") {
      disk_.FlipBit(name, 20, 1);
      fault.nth = 2;
    } else if (std::string_view(what) == "footer") {
      fault.nth = 2;
    } else if (std::string_view(what) == "no manifest") {
      ASSERT_TRUE(directory_->Remove("MANIFEST").ok());
    }
    disk_.Fail(fault);
    const absl::Status opened = Open(SmallJournal());
    EXPECT_TRUE(absl::IsInternal(opened)) << opened;
    disk_.ClearFaults();
    if (std::string_view(what) == "no manifest") {
      EXPECT_FALSE(directory_->Open("MANIFEST", Directory::Mode::kRead).ok());
    }
    if (std::string_view(what) == "second header") disk_.FlipBit(name, 20, 1);
    const auto left = ReadWhole(*directory_, name, 1 << 20);
    ASSERT_TRUE(left.ok());
    EXPECT_TRUE(*left == *whole);
    ASSERT_TRUE(Open(SmallJournal()).ok());
    EXPECT_THAT(journal_->defects(), SizeIs(std::string_view(what) == "no manifest" ? 1u : 0u));
    EXPECT_EQ(ReplayAll(), Through(10));
  }
}

TEST_F(JournalOpeningTest, ALastSegmentThatTheManifestKnowsSealedIsNotCutWhereItIsDamaged) {
  ASSERT_TRUE(Open(Stepped()).ok());
  Start();
  WriteTogether(8);
  WriteTogether(4);
  ASSERT_TRUE(journal_->SealThrough().ok());
  const auto segment = journal_->segments().back();
  const std::string name = segment->name();
  const uint64_t record = *segment->OffsetOf(9);
  const auto bytes = ReadWhole(*directory_, name, 1 << 20);
  ASSERT_TRUE(bytes.ok());
  const uint64_t footer = bytes->size() - kTrailerBytes - EncodedFooterSize(segment->footer());
  journal_->Close();
  disk_.FlipBit(name, footer + 20, 1);
  disk_.FlipBit(name, record + 70, 3);
  for (int life = 0; life < 2; ++life) {
    ASSERT_TRUE(Open(Stepped()).ok());
    EXPECT_EQ(journal_->last(), 12u);
    EXPECT_THAT(ReplayAll(), ElementsAre(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 10u, 11u, 12u));
    std::vector<uint64_t> lost;
    for (const JournalDefect& defect : journal_->defects()) {
      if (defect.first != 0) lost.insert(lost.end(), {defect.first, defect.last});
    }
    EXPECT_THAT(lost, ElementsAre(9u, 9u));
  }
}

TEST_F(JournalOpeningTest, WhatIsCutOffIsTold) {
  RememberingTails observer;
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  Write(8);
  const auto segment = journal_->segments().back();
  const std::string name = segment->name();
  const uint64_t last = *segment->OffsetOf(8), end = segment->bytes();
  journal_->Close();
  journal_.reset();
  {
    // As a kill leaves it: not sealed.
    const auto file = directory_->Open(name, Directory::Mode::kReadWrite);
    ASSERT_TRUE((*file)->Truncate(end).ok());
  }
  auto opened = SegmentedJournal::Open(directory_.get(), SmallJournal(), &clock_, &observer);
  ASSERT_TRUE(opened.ok());
  EXPECT_THAT(observer.tails, IsEmpty());
  opened->reset();
  ASSERT_TRUE(directory_->Remove("MANIFEST").ok());
  {
    const auto file = directory_->Open(name, Directory::Mode::kReadWrite);
    ASSERT_TRUE((*file)->Truncate(end).ok());
  }
  disk_.FlipBit(name, last + 70, 3);
  opened = SegmentedJournal::Open(directory_.get(), SmallJournal(), &clock_, &observer);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->last(), 7u);
  ASSERT_THAT(observer.tails, SizeIs(1));
  const auto& [file, offset, bytes] = observer.tails[0];
  EXPECT_EQ(file, name);
  EXPECT_EQ(offset, last);
  // A record may end in a few zeros.
  EXPECT_GT(bytes, end - last - 8);
  EXPECT_LE(bytes, end - last);
}

TEST_F(JournalOpeningTest, OnlyWhatTheSegmentBeforeHoldsIsRemovedAsCovered) {
  ASSERT_TRUE(Open(SmallJournal()).ok());
  Start();
  Write(10);
  ASSERT_TRUE(journal_->SealThrough().ok());
  Write(10);
  journal_->Close();
  const auto segments = journal_->segments();
  ASSERT_THAT(segments, SizeIs(2));
  // A file that begins within the first segment and goes beyond its end, as a copy put back by hand may.
  const std::string strange = FileNameOfSegment(5);
  ASSERT_TRUE(directory_->Link(segments[1]->name(), strange).ok());
  for (int life = 0; life < 2; ++life) {
    ASSERT_TRUE(Open(SmallJournal()).ok());
    EXPECT_EQ(ReplayAll(), Through(20));
    ASSERT_THAT(journal_->defects(), SizeIs(1));
    EXPECT_EQ(journal_->defects()[0].file, strange);
    EXPECT_THAT(journal_->defects()[0].what, HasSubstr("goes through position 20"));
    EXPECT_THAT(*directory_->List(), ::testing::Contains(strange));
  }
  // The same within what is there: a crash came between a rewrite's renaming and this removal.
  ASSERT_TRUE(directory_->Remove(strange).ok());
  ASSERT_TRUE(directory_->Link(segments[0]->name(), strange).ok());
  ASSERT_TRUE(Open(SmallJournal()).ok());
  EXPECT_THAT(journal_->defects(), IsEmpty());
  EXPECT_THAT(*directory_->List(), ::testing::Not(::testing::Contains(strange)));
}

TEST_F(JournalOpeningTest, WhatWasCutOffIsNotReadAsWhatCameLater) {
  ASSERT_TRUE(Open(Stepped()).ok());
  Start();
  for (int i = 0; i < 8; ++i) WriteTogether(1);
  WriteTogether(2);
  const auto segment = journal_->segments().back();
  const std::string name = segment->name();
  const uint64_t damaged = *segment->OffsetOf(3), torn = *segment->OffsetOf(9);
  disk_.Crash();
  // One that was known to be synced is damaged, so the file is left as it is; and the last two were not.
  disk_.FlipBit(name, damaged + 70, 3);
  disk_.FlipBit(name, torn + 70, 3);
  ASSERT_TRUE(Open(Stepped()).ok());
  const uint64_t last = journal_->last();
  EXPECT_EQ(last, 8u);
  const size_t served = ReplayAll().size();
  Start();
  WriteTogether(3);
  journal_->Close();
  ASSERT_TRUE(Open(Stepped()).ok());
  EXPECT_EQ(journal_->last(), last + 3);
  EXPECT_EQ(ReplayAll().size(), served + 3);
  uint64_t records = 0;
  for (const auto& one : journal_->segments()) {
    EXPECT_LE(one->footer().records.empty() ? 0 : one->footer().records.back().position, one->last());
    records += one->footer().records.size();
  }
  EXPECT_EQ(records, served + 3);
}

}  // namespace
}  // namespace engram::testing
