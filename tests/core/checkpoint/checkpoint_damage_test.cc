// Damage, foreign files and power cuts: a checkpoint is used whole or not at all, and the journal knows the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/space.h"
#include "tests/core/checkpoint/checkpoint_fixture.h"

namespace engram::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckpointDamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Life life(disk_);
    Fill(life, "first");
    ASSERT_TRUE(life.Checkpoint().ok());
    Fill(life, "second");
    described_ = life.Describe("notes");
    name_ = CheckpointsOf(disk_).at(0);
  }
  static void Fill(Life& life, const std::string& content) {
    life.Stream("notes", "s0",
                {{.id = "id1", .embedding = {1, 0, 0}, .content = content, .tags = {{"k", "v"}}},
                 {.id = "id2", .embedding = {0, 1, 0}, .content = content, .ttl_us = int64_t{1} << 50}});
    life.engine().Forget({.space = "notes", .ids = {"id2"}}).IgnoreError();
  }
  uint64_t Size() { return *(*disk_.Open()->Open(name_, Directory::Mode::kRead))->Size(); }
  std::vector<std::byte> Bytes() { return *ReadWhole(*disk_.Open(), name_, 1 << 20); }
  // As the first life left it.
  void PutBack(std::span<const std::byte> bytes) {
    const auto directory = disk_.Open();
    ASSERT_TRUE(ReplaceWhole(*directory, name_, bytes).ok());
    auto manifest = *ReadManifest(*directory);
    manifest.checkpoint = name_;
    ASSERT_TRUE(WriteManifest(*directory, manifest).ok());
  }
  bool Load(SpaceRegistry& registry, absl::Status* status) {
    RealClock clock;
    RememberingObserver observer;
    const auto directory = disk_.Open();
    auto journal = SegmentedJournal::Open(directory.get(), SmallJournal(), &clock, &observer);
    ENGRAM_CHECK(journal.ok());
    const auto loaded = LoadCheckpoint(**journal, name_, registry, 0, [](uint64_t) {});
    *status = loaded.status();
    if (loaded.ok()) AttachGraphs(*loaded, {}, [](const auto&) {});
    return loaded.ok();
  }

  FaultyDisk disk_;
  std::string described_;
  std::string name_;
};

TEST_F(CheckpointDamageTest, EveryFlipIsRefusedOrHarmless) {
  Metrics metrics(4, 50);
  const auto graph = (*CheckpointFile::Open(*disk_.Open(), name_))->sections().back();
  for (uint64_t at = 0, size = Size(); at < size; ++at) {
    disk_.FlipBit(name_, at, static_cast<int>(at % 8));
    SpaceRegistry registry(4, false, &metrics);
    absl::Status status;
    const bool loaded = Load(registry, &status);
    EXPECT_EQ(loaded, at >= graph.offset && at < graph.offset + 8 + graph.bytes) << "byte " << at << ": " << status;
    EXPECT_EQ(registry.size(), loaded ? 1u : 0u);
    disk_.FlipBit(name_, at, static_cast<int>(at % 8));
  }
}

TEST_F(CheckpointDamageTest, WhatIsRefusedIsNamedAndTheJournalAloneAnswers) {
  const std::vector<std::byte> good = Bytes();
  for (uint64_t at = 5; at < good.size(); at += 41) {
    std::vector<std::byte> bad = good;
    bad[at] ^= std::byte{0x10};
    PutBack(bad);
    Life life(disk_);
    ASSERT_TRUE(life.status().ok()) << life.status();
    EXPECT_EQ(life.Describe("notes"), described_) << "byte " << at;
    if (!life.report().checkpoint.name.empty()) continue;
    EXPECT_THAT(life.report().defects, Contains(Field(&JournalDefect::file, name_)));
    EXPECT_THAT(CheckpointsOf(disk_), IsEmpty());
    EXPECT_EQ(life.journal().checkpoint(), "");
  }
  for (uint64_t size = 0; size < good.size(); size += 67) {
    PutBack(std::span(good).first(size));
    Life life(disk_);
    ASSERT_TRUE(life.status().ok()) << life.status();
    EXPECT_EQ(life.report().checkpoint.name, "");
    EXPECT_EQ(life.Describe("notes"), described_) << size << " bytes";
  }
}

TEST_F(CheckpointDamageTest, OneOfAnotherJournalIsRefused) {
  FaultyDisk other;
  {
    Life life(other);
    Fill(life, "other");
    Fill(life, "other");
  }
  const std::vector<std::byte> foreign = Bytes();
  ASSERT_TRUE(ReplaceWhole(*other.Open(), name_, foreign).ok());
  Life life(other);
  EXPECT_EQ(life.report().checkpoint.name, "");
  ASSERT_THAT(life.report().defects, ::testing::SizeIs(1));
  EXPECT_THAT(life.report().defects[0].what, HasSubstr("this directory's is"));
}

// Sections have versions of their own. What an older program wrote in one is a cache too.
TEST_F(CheckpointDamageTest, AnOlderImageOfRowsIsNamedAndOneOfAGraphCostsTheGraph) {
  const auto directory = disk_.Open();
  const std::vector<std::byte> good = Bytes();
  for (const SectionType older : {SectionType::kRows, SectionType::kGraph}) {
    PutBack(good);
    const auto file = *CheckpointFile::Open(*directory, name_);
    const auto writer = *CheckpointWriter::Create(directory.get(), file->header(), {});
    for (const CheckpointSection& section : file->sections()) {
      const auto source = file->Read(section);
      std::vector<std::byte> bytes(section.bytes);
      ASSERT_TRUE(source->Read(bytes).ok());
      // Behind the magic number, in both.
      if (section.type == older) bytes[8] = std::byte{1};
      writer->Begin(section.type, section.space);
      ASSERT_TRUE(writer->Write(bytes).ok() && writer->End().ok());
    }
    ASSERT_TRUE(writer->Finish(file->through()).ok());
    Life life(disk_);
    ASSERT_TRUE(life.status().ok()) << life.status();
    EXPECT_EQ(life.Describe("notes"), described_);
    if (older == SectionType::kGraph) {
      EXPECT_EQ(life.report().checkpoint.name, name_);
      continue;
    }
    EXPECT_EQ(life.report().checkpoint.name, "");
    ASSERT_THAT(life.report().defects, ::testing::SizeIs(1));
    EXPECT_THAT(life.report().defects[0].what, HasSubstr("version 1"));
  }
}

TEST_F(CheckpointDamageTest, OneAheadOfTheJournalIsRefusedAndDoesNotComeBackWhenTheJournalHasGrown) {
  const auto directory = disk_.Open();
  {
    Life life(disk_);
    Fill(life, "third");
    ASSERT_TRUE(life.Checkpoint().ok());
    name_ = CheckpointsOf(disk_).at(0);
  }
  // The last segments are lost, and the manifest knows of neither.
  const auto names = directory->List();
  for (const std::string& name : *names) {
    if (!name.ends_with(".journal") || name == "00000000000000000001.journal") continue;
    ASSERT_TRUE(directory->Remove(name).ok());
  }
  auto manifest = *ReadManifest(*directory);
  manifest.sealed_through = 0;
  ASSERT_TRUE(WriteManifest(*directory, manifest).ok());
  std::string described;
  {
    Life life(disk_);
    ASSERT_TRUE(life.status().ok()) << life.status();
    EXPECT_EQ(life.report().checkpoint.name, "");
    EXPECT_EQ(life.Describe("notes"), described_);
    for (int i = 0; i < 10; ++i) Fill(life, "fourth");
    described = life.Describe("notes");
  }
  Life life(disk_);
  EXPECT_EQ(life.report().checkpoint.name, "");
  EXPECT_EQ(life.Describe("notes"), described);
}

// The rows of what could not be read are in no checkpoint made meanwhile, and no replay behind it comes by them.
TEST_F(CheckpointDamageTest, OneMadeWithoutAPartOfTheLogIsRefusedOnceThatPartCanBeRead) {
  const auto directory = disk_.Open();
  std::string segment;
  uint64_t record = 0;
  {
    Life life(disk_);
    ASSERT_TRUE(life.journal().SealThrough().ok());
    life.Stream("notes", "s1", {{.id = "id3", .embedding = {0, 0, 1}, .content = "sound"}});
    ASSERT_TRUE(life.journal().SealThrough().ok());
    segment = life.journal().segments().back()->name();
    record = life.journal().segments().back()->footer().records[0].offset;
    Fill(life, "third");
    described_ = life.Describe("notes");
  }
  const std::vector<std::byte> sound = *ReadWhole(*directory, segment, 1 << 20);
  const auto damage = [&](int how) {
    if (how == 0) ENGRAM_CHECK(directory->Remove(segment).ok());
    if (how == 1) disk_.Scramble(segment, 0, kHeaderBlockBytes, 1);
    if (how == 2) disk_.FlipBit(segment, record + 70, 3);
  };
  for (int how = 0; how < 3; ++how) {
    SCOPED_TRACE(how);
    damage(how);
    std::string made;
    for (int life_without = 0; life_without < 3; ++life_without) {
      Life life(disk_);
      ASSERT_TRUE(life.status().ok()) << life.status();
      EXPECT_THAT(life.report().defects, Contains(Field(&JournalDefect::file, segment)));
      EXPECT_NE(life.Describe("notes"), described_);
      if (life_without > 0) {
        EXPECT_EQ(life.report().checkpoint.name, made);
      }
      if (life_without == 2) break;
      life.Stream("notes", "s1", {{.id = "id4", .embedding = {1, 1, 1}, .content = "more"}});
      made = life.Checkpoint()->name;
    }
    ASSERT_TRUE(ReplaceWhole(*directory, segment, sound).ok());
    Life life(disk_);
    ASSERT_TRUE(life.status().ok()) << life.status();
    EXPECT_EQ(life.report().checkpoint.name, "");
    ASSERT_THAT(life.report().defects, ::testing::SizeIs(1));
    EXPECT_EQ(life.report().defects[0].file, made);
    EXPECT_THAT(life.report().defects[0].what, HasSubstr("now some can"));
    EXPECT_THAT(life.Describe("notes"), HasSubstr("id3=sound"));
    // And one that has it is one like any other.
    EXPECT_THAT(life.report().missing, IsEmpty());
    described_ = life.Describe("notes");
    ASSERT_TRUE(life.Checkpoint().ok());
    if (how < 2) RemoveAllCheckpoints(disk_);
  }
  Life life(disk_);
  EXPECT_NE(life.report().checkpoint.name, "");
  EXPECT_EQ(life.Describe("notes"), described_);
}

// What it lacks is looked for in a segment that the disk does not give now: it may be all there is of the rest of that.
TEST_F(CheckpointDamageTest, OneIsKeptWhereTheDiskFailsWhileWhatItLacksIsLookedFor) {
  const auto directory = disk_.Open();
  std::string segment, made;
  {
    Life life(disk_);
    ASSERT_TRUE(life.journal().SealThrough().ok());
    life.Stream("notes", "s1", {{.id = "id3", .embedding = {0, 0, 1}, .content = "sound"}});
    ASSERT_TRUE(life.journal().SealThrough().ok());
    segment = life.journal().segments().back()->name();
    disk_.FlipBit(segment, life.journal().segments().back()->footer().records[0].offset + 70, 3);
    Fill(life, "third");
  }
  {
    Life life(disk_);
    ASSERT_TRUE(life.status().ok()) << life.status();
    made = life.Checkpoint()->name;
  }
  int failed = 0, served = 0;
  for (uint64_t nth = 1; nth <= 8; ++nth) {
    SCOPED_TRACE(nth);
    disk_.Fail({.call = FileCall::kRead, .status = InputOutputError(), .suffix = segment, .nth = nth, .until_cleared = true});
    {
      Life life(disk_);
      if (life.status().ok()) {
        EXPECT_EQ(life.report().checkpoint.name, made);
      }
      (life.status().ok() ? served : failed) += 1;
    }
    disk_.ClearFaults();
    EXPECT_TRUE(ReadWhole(*directory, made, 1 << 20).ok()) << "it is there for the next start";
  }
  EXPECT_GT(failed, 0) << "at its header";
  EXPECT_GT(served, 0);
  disk_.Fail({.call = FileCall::kRead, .status = InputOutputError(), .suffix = segment, .nth = static_cast<uint64_t>(failed) + 1,
              .until_cleared = true});
  Life life(disk_);
  ASSERT_TRUE(life.status().ok()) << life.status();
  EXPECT_THAT(life.report().defects, Contains(Field(&JournalDefect::what, HasSubstr("input/output error"))));
}

TEST_F(CheckpointDamageTest, OneThatWasPutInPlaceAndNotNamedIsUsedAndAnOlderOneIsNot) {
  const std::string old_name = name_;
  const std::vector<std::byte> old_bytes = Bytes();
  std::string new_name;
  {
    Life life(disk_);
    Fill(life, "third");
    new_name = life.Checkpoint()->name;
    described_ = life.Describe("notes");
  }
  const auto directory = disk_.Open();
  const std::vector<std::byte> new_bytes = *ReadWhole(*directory, new_name, 1 << 20);
  PutBack(old_bytes);
  // Named: the old one, damaged. Beside it: the new one.
  disk_.FlipBit(old_name, 50, 1);
  {
    Life life(disk_);
    EXPECT_EQ(life.report().checkpoint.name, new_name);
    EXPECT_EQ(life.journal().checkpoint(), new_name);
    EXPECT_EQ(life.Describe("notes"), described_);
    EXPECT_THAT(CheckpointsOf(disk_), ElementsAre(new_name));
  }
  // Named: the new one, damaged. Beside it: the old one.
  ASSERT_TRUE(ReplaceWhole(*directory, old_name, old_bytes).ok());
  disk_.FlipBit(new_name, 50, 1);
  Life life(disk_);
  EXPECT_EQ(life.report().checkpoint.name, "");
  EXPECT_EQ(life.Describe("notes"), described_);
  EXPECT_THAT(CheckpointsOf(disk_), IsEmpty());
}

TEST_F(CheckpointDamageTest, APowerCutAtEveryOperationOfWritingOneLosesNothing) {
  for (uint64_t cut = 1;; ++cut) {
    FaultyDisk disk;
    std::string described;
    bool reached = false;
    {
      Life life(disk);
      Fill(life, "first");
      ASSERT_TRUE(life.Checkpoint().ok());
      Fill(life, "second");
      described = life.Describe("notes");
      // The journal writes nothing meanwhile but what it prepares ahead, which may be cut as well.
      disk.CutAt(disk.operations() + cut);
      life.Checkpoint().IgnoreError();
      reached = !disk.powered();
      disk.Cut(cut);
    }
    Life life(disk);
    ASSERT_TRUE(life.status().ok()) << life.status() << " cut at " << disk.cut_at();
    EXPECT_NE(life.report().checkpoint.name, "") << "cut at " << disk.cut_at();
    EXPECT_THAT(life.report().defects, IsEmpty()) << "cut at " << disk.cut_at();
    EXPECT_EQ(life.Describe("notes"), described) << "cut at " << disk.cut_at();
    EXPECT_LE(CheckpointsOf(disk).size(), 1u);
    if (!reached) break;
  }
}

TEST_F(CheckpointDamageTest, AFullDiskCostsTheNewCheckpointOnly) {
  Life life(disk_);
  Fill(life, "third");
  disk_.Fail({.call = FileCall::kWrite, .status = DiskIsFull(), .suffix = ".checkpoint.tmp", .until_cleared = true});
  EXPECT_TRUE(absl::IsResourceExhausted(life.Checkpoint().status()));
  EXPECT_THAT(CheckpointsOf(disk_), ElementsAre(name_));
  EXPECT_EQ(life.journal().checkpoint(), name_);
  disk_.ClearFaults();
  EXPECT_TRUE(life.Checkpoint().ok());
}

}  // namespace
}  // namespace engram::testing
