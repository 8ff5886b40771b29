// What a power cut leaves on the disk of faulty_files.h: nothing that was synced is lost, and everything else can be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "tests/core/journal/files_text.h"
#include "tests/support/faulty_files.h"

namespace engram::testing {
namespace {

using Mode = Directory::Mode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr size_t kSector = SectorFile::kSector;

// What `look` sees after `act` and a cut, over many seeds.
std::set<std::string> Survivals(const std::function<void(Directory&)>& act,
                                const std::function<std::string(Directory&)>& look, FaultyDisk::Options options = {}) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    FaultyDisk disk(options);
    const auto directory = disk.Open();
    act(*directory);
    disk.Cut(seed);
    const auto after = disk.Open();
    seen.insert(look(*after));
  }
  return seen;
}

std::string TextOfA(Directory& directory) { return Text(directory, "a"); }

// One letter per sector; '?' for one that is of several.
std::string Sectors(Directory& directory) {
  const std::string text = Text(directory, "a");
  std::string letters;
  for (size_t i = 0; i < text.size(); i += kSector) {
    const std::string sector = text.substr(i, kSector);
    const bool uniform = sector.find_first_not_of(sector.front()) == std::string::npos;
    letters += !uniform ? '?' : sector.front() == '\0' ? '0' : sector.front();
  }
  return letters;
}

std::string OfSectors(std::string_view letters) {
  std::string text;
  for (const char letter : letters) text += std::string(kSector, letter);
  return text;
}

TEST(PowerCutTest, WhatWasSyncedSurvives) {
  EXPECT_THAT(Survivals([](Directory& d) { MadeSafe(d, "a", "text"); }, TextOfA), ElementsAre("text"));
}

TEST(PowerCutTest, AFileWhoseNameWasNotSyncedMayBeGone) {
  const auto seen = Survivals([](Directory& d) { EXPECT_EQ(Made(d, "a", "text")->Sync(), absl::OkStatus()); },
                              [](Directory& d) { return Listed(d).empty() ? "gone" : Text(d, "a"); });
  EXPECT_THAT(seen, ElementsAre("gone", "text"));
}

TEST(PowerCutTest, EachSectorThatWasNotSyncedIsOldOrNew) {
  const auto seen = Survivals(
      [](Directory& d) {
        const auto file = MadeSafe(d, "a", OfSectors("oooo"));
        EXPECT_EQ(file->WriteAt(kSector, BytesOf(OfSectors("nnn"))), absl::OkStatus());
      },
      Sectors);
  EXPECT_THAT(seen, UnorderedElementsAre("oooo", "onoo", "oono", "ooon", "onno", "onon", "oonn", "onnn"));
}

TEST(PowerCutTest, OnlyWhenAskedIsASectorPartlyNew) {
  const auto act = [](Directory& d) {
    const auto file = MadeSafe(d, "a", OfSectors("oo"));
    EXPECT_EQ(file->WriteAt(0, BytesOf(OfSectors("nn"))), absl::OkStatus());
  };
  EXPECT_THAT(Survivals(act, Sectors), UnorderedElementsAre("oo", "on", "no", "nn"));
  EXPECT_THAT(Survivals(act, Sectors, {.tear_sectors = true}), Contains("?n"));
}

TEST(PowerCutTest, AFileThatGrewIsOfTheOldLengthTheNewOrOneBetweenAndMayHoldZeros) {
  const auto seen = Survivals(
      [](Directory& d) {
        const auto file = MadeSafe(d, "a", OfSectors("o"));
        EXPECT_EQ(file->WriteAt(kSector, BytesOf(OfSectors("nn"))), absl::OkStatus());
      },
      Sectors);
  EXPECT_THAT(seen, UnorderedElementsAre("o", "on", "o0", "onn", "on0", "o0n", "o00"));
}

TEST(PowerCutTest, AFileThatWasCutOffComesBackAsItWasOrShorter) {
  const auto seen = Survivals(
      [](Directory& d) {
        const auto file = MadeSafe(d, "a", OfSectors("abc"));
        EXPECT_EQ(file->Truncate(kSector), absl::OkStatus());
      },
      Sectors);
  EXPECT_THAT(seen, UnorderedElementsAre("a", "ab", "abc"));
}

TEST(PowerCutTest, ALengthThatWasSyncedStays) {
  const auto seen = Survivals(
      [](Directory& d) {
        const auto file = MadeSafe(d, "a", OfSectors("abc"));
        EXPECT_EQ(file->Truncate(kSector), absl::OkStatus());
        EXPECT_EQ(file->Truncate(2 * kSector), absl::OkStatus());
        EXPECT_EQ(file->Sync(), absl::OkStatus());
      },
      Sectors);
  EXPECT_THAT(seen, ElementsAre("a0"));
}

TEST(PowerCutTest, OfUnsyncedNamesTheFirstFewChangesSurvive) {
  const auto seen = Survivals(
      [](Directory& d) {
        MadeSafe(d, "a", "old");
        Made(d, "b", "new");
        EXPECT_EQ(Opened(d, "b", Mode::kReadWrite)->Sync(), absl::OkStatus());
        EXPECT_EQ(d.Rename("b", "a"), absl::OkStatus());
        EXPECT_EQ(d.Link("a", "c"), absl::OkStatus());
        EXPECT_EQ(d.Remove("a"), absl::OkStatus());
      },
      [](Directory& d) {
        std::string all;
        for (const auto& name : Listed(d)) all += name + "=" + Text(d, name) + " ";
        return all;
      });
  EXPECT_THAT(seen, UnorderedElementsAre("a=old ", "a=old b=new ", "a=new ", "a=new c=new ", "c=new "));
}

TEST(PowerCutTest, ASyncDoesNotVouchForWhatAFailedOneLeftBehind) {
  for (const bool write_again : {false, true}) {
    std::set<std::string> seen;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      FaultyDisk disk;
      const auto file = MadeSafe(*disk.Open(), "a", OfSectors("oo"));
      disk.Fail({.call = FileCall::kSync, .status = InputOutputError()});
      EXPECT_EQ(file->WriteAt(0, BytesOf(OfSectors("n"))), absl::OkStatus());
      EXPECT_EQ(file->Sync(), InputOutputError());
      EXPECT_EQ(file->WriteAt(write_again ? 0 : kSector, BytesOf(OfSectors("n"))), absl::OkStatus());
      EXPECT_EQ(file->WriteAt(kSector, BytesOf(OfSectors("n"))), absl::OkStatus());
      EXPECT_EQ(file->Sync(), absl::OkStatus());
      disk.Cut(seed);
      seen.insert(Sectors(*disk.Open()));
    }
    EXPECT_EQ(seen, write_again ? std::set<std::string>({"nn"}) : std::set<std::string>({"nn", "on"}));
  }
}

TEST(PowerCutTest, HandlesFromBeforeTheCutAreDead) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  const auto file = MadeSafe(*directory, "a", "text");
  auto lock = directory->Lock("LOCK");
  disk.Cut(1);
  std::vector<std::byte> out(1);
  EXPECT_EQ(file->ReadAt(0, out).status(), absl::InternalError("power is cut"));
  EXPECT_EQ(file->Sync(), absl::InternalError("power is cut"));
  EXPECT_EQ(file->Size().status(), absl::InternalError("power is cut"));
  EXPECT_EQ(directory->Open("a", Mode::kRead).status(), absl::InternalError("power is cut"));
  EXPECT_EQ(disk.Open()->LinkInto("a", *directory, "b"), absl::InternalError("power is cut"));
  const auto after = disk.Open();
  auto held = after->Lock("LOCK");
  ASSERT_TRUE(held.ok()) << held.status();
  lock->reset();
  EXPECT_TRUE(absl::IsFailedPrecondition(after->Lock("LOCK").status())) << "a lock of before gave away this one";
}

TEST(PowerCutTest, TheCutComesAtTheCallThatWasNamedAndEverythingFailsUntilPowerIsBack) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  disk.CutAt(3);
  const auto file = Made(*directory, "a", "text");
  EXPECT_TRUE(disk.powered());
  EXPECT_EQ(file->Sync(), absl::InternalError("power is cut"));
  EXPECT_FALSE(disk.powered());
  EXPECT_EQ(disk.cut_at(), "sync data/a");
  EXPECT_EQ(directory->Sync(), absl::InternalError("power is cut"));
  EXPECT_EQ(disk.Open()->List().status(), absl::InternalError("power is cut"));
  EXPECT_EQ(disk.operations(), 3u);
  disk.PowerOn(1);
  EXPECT_THAT(Listed(*disk.Open()), ::testing::AnyOf(IsEmpty(), ElementsAre("a")));
}

TEST(PowerCutTest, TheSameSeedLeavesTheSame) {
  const auto run = [](uint64_t seed) {
    FaultyDisk disk({.seed = 7, .tear_sectors = true});
    const auto directory = disk.Open();
    const auto file = MadeSafe(*directory, "a", OfSectors("oooooooo"));
    disk.CutAt(5);
    EXPECT_FALSE(file->WriteAt(0, BytesOf(OfSectors("nnnnnnnn"))).ok());
    disk.PowerOn(seed);
    return Text(*disk.Open(), "a");
  };
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(run(seed), run(seed));
    outcomes.insert(run(seed));
  }
  EXPECT_GT(outcomes.size(), 5u);
}

// Replaces a file again and again; cut at every call, it holds the last version that was acknowledged or the next one.
TEST(PowerCutTest, AFileThatIsReplacedWholeIsAlwaysWhole) {
  const auto version = [](int n) {
    return std::string(static_cast<size_t>(700 + 300 * n), static_cast<char>('a' + n));
  };
  std::map<std::string, int> cut_at;
  for (uint64_t operation = 1;; ++operation) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      FaultyDisk disk({.seed = seed, .tear_sectors = true});
      disk.CutAt(operation);
      const auto directory = disk.Open();
      int acknowledged = -1;
      while (acknowledged < 3 && ReplaceWhole(*directory, "MANIFEST", BytesOf(version(acknowledged + 1))).ok()) {
        ++acknowledged;
      }
      if (disk.powered()) {
        EXPECT_THAT(cut_at, UnorderedElementsAre(::testing::Pair("remove data/MANIFEST.tmp", 32),
                                                 ::testing::Pair("create data/MANIFEST.tmp", 32),
                                                 ::testing::Pair("write data/MANIFEST.tmp", 32),
                                                 ::testing::Pair("sync data/MANIFEST.tmp", 32),
                                                 ::testing::Pair("rename data/MANIFEST", 32),
                                                 ::testing::Pair("sync directory data", 32)));
        return;
      }
      ++cut_at[disk.cut_at()];
      disk.PowerOn(seed);
      const auto after = disk.Open();
      const auto found = ReadWhole(*after, "MANIFEST", 10'000);
      if (acknowledged < 0 && absl::IsNotFound(found.status())) continue;
      ASSERT_TRUE(found.ok()) << found.status();
      const std::string text = TextOf(*found);
      ASSERT_TRUE(text == version(acknowledged + 1) || (acknowledged >= 0 && text == version(acknowledged)))
          << disk.cut_at() << ", seed " << seed;
      ASSERT_EQ(ReplaceWhole(*after, "MANIFEST", BytesOf("again")), absl::OkStatus());
    }
  }
}

}  // namespace
}  // namespace engram::testing
