#include "core/journal/restore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"
#include "core/journal/verify.h"
#include "tests/support/faulty_files.h"
#include "tests/support/journal_files.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two sealed segments, one that is not, a checkpoint, and what is not to be brought along.
void MakeSnapshot(Directory& directory) {
  JournalFiles::MakeSmall(directory);
  JournalFiles files(directory);
  files.Begin(6, 0);
  files.AddObservations("notes", 1, "d", 2);
  files.Write(5000);
  files.WriteFile("5.checkpoint", "a checkpoint");
  files.WriteFile("spare-1", "zeros");
  files.WriteFile("LOCK", "");
  files.manifest().sealed_through = 5;
  files.manifest().checkpoint = "5.checkpoint";
  files.WriteManifest();
}

std::vector<std::string> NamesIn(Directory& directory) { return directory.List().value(); }

TEST(Restore, BringsTheLogUnderAnIdentityOfItsOwn) {
  FaultyDisk disk;
  const auto snapshot = disk.Open("snapshot"), target = disk.Open("target");
  MakeSnapshot(*snapshot);
  const RestoreOutcome outcome = Restore(*snapshot, *target, {.journal_id = 4711}).value();
  EXPECT_EQ(outcome.linked, 3u);
  EXPECT_EQ(outcome.copied, 1u) << "what the next start seals must not be shared";
  EXPECT_THAT(NamesIn(*target), ElementsAre("00000000000000000001.journal", "00000000000000000004.journal",
                                            "00000000000000000006.journal", "5.checkpoint", "MANIFEST"));
  const VerifyReport report = VerifyDirectory(*target).value();
  EXPECT_TRUE(report.sound()) << report.defects[0].Describe();
  EXPECT_EQ(report.records, 6u);
  EXPECT_EQ(outcome.bytes, report.bytes + report.checkpoints[0].bytes);
  EXPECT_EQ(report.manifest->journal_id, 4711u);
  EXPECT_EQ(report.manifest->lineage, 77u);
  EXPECT_EQ(report.manifest->checkpoint, "5.checkpoint");
  EXPECT_EQ(ReadManifest(*snapshot)->journal_id, 99u);
}

TEST(Restore, CopiesWhenNothingIsToBeShared) {
  FaultyDisk disk;
  const auto snapshot = disk.Open("snapshot"), target = disk.Open("target");
  MakeSnapshot(*snapshot);
  const RestoreOutcome outcome = Restore(*snapshot, *target, {.journal_id = 1, .link = false}).value();
  EXPECT_EQ(outcome.linked, 0u);
  EXPECT_EQ(outcome.copied, 4u);
  disk.FlipBit("snapshot/00000000000000000001.journal", 8300, 1);
  EXPECT_TRUE(VerifyDirectory(*target)->sound());
}

TEST(Restore, RefusesATargetThatHoldsSomething) {
  FaultyDisk disk;
  const auto snapshot = disk.Open("snapshot"), target = disk.Open("target");
  MakeSnapshot(*snapshot);
  JournalFiles(*target).WriteFile("keep.txt", "x");
  const auto outcome = Restore(*snapshot, *target, {.journal_id = 1});
  EXPECT_TRUE(absl::IsFailedPrecondition(outcome.status()));
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr("target is not empty"));
  EXPECT_THAT(NamesIn(*target), ElementsAre("keep.txt"));
}

TEST(Restore, LeavesNothingBehindWhenTheDiskIsFull) {
  FaultyDisk disk;
  const auto snapshot = disk.Open("snapshot"), target = disk.Open("target");
  MakeSnapshot(*snapshot);
  disk.SetFreeSpace(100);
  EXPECT_TRUE(absl::IsResourceExhausted(Restore(*snapshot, *target, {.journal_id = 1}).status()));
  EXPECT_THAT(NamesIn(*target), IsEmpty());
}

// Gone, or with any of its bytes rotten: the segments know the journal they are of and how far it was sealed.
TEST(Restore, AManifestThatIsLostIsMadeAgainOutOfTheSegmentsWhenDamageIsAccepted) {
  for (const bool gone : {true, false}) {
    SCOPED_TRACE(gone);
    FaultyDisk disk;
    const auto snapshot = disk.Open("snapshot"), target = disk.Open("target");
    MakeSnapshot(*snapshot);
    if (gone) {
      ASSERT_TRUE(snapshot->Remove("MANIFEST").ok());
    } else {
      disk.FlipBit("snapshot/MANIFEST", 30, 2);
    }
    const absl::Status refused = Restore(*snapshot, *target, {.journal_id = 4711}).status();
    EXPECT_EQ(refused.code(), gone ? absl::StatusCode::kNotFound : absl::StatusCode::kDataLoss) << refused;
    EXPECT_THAT(NamesIn(*target), IsEmpty());
    const auto outcome = Restore(*snapshot, *target, {.journal_id = 4711, .accept_damage = true});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(outcome->manifest, (Manifest{.lineage = 77, .journal_id = 4711, .sealed_through = 5, .checkpoint = ""}));
    const VerifyReport report = VerifyDirectory(*target).value();
    EXPECT_TRUE(report.sound()) << report.defects[0].Describe();
    EXPECT_EQ(report.records, 6u);
    EXPECT_EQ(report.manifest, outcome->manifest);
  }
}

TEST(Restore, AManifestIsNotMadeAgainOutOfNothingNorInThePlaceOfANewerOne) {
  FaultyDisk disk;
  const auto empty = disk.Open("empty"), target = disk.Open("target"), snapshot = disk.Open("snapshot");
  const RestorePlan plan = {.journal_id = 4711, .accept_damage = true};
  EXPECT_TRUE(absl::IsNotFound(Restore(*empty, *target, plan).status()));
  MakeSnapshot(*snapshot);
  disk.Fail({.call = FileCall::kOpen, .status = AccessDenied(), .suffix = "MANIFEST"});
  EXPECT_TRUE(absl::IsPermissionDenied(Restore(*snapshot, *target, plan).status()));
  std::vector<std::byte> bytes = EncodeManifest(*ReadManifest(*snapshot)).value();
  bytes[8] = std::byte{kManifestVersion + 1};
  StoreLe(bytes.data() + 16, Crc32c(Crc32c(0, std::span(bytes).first(16)), std::span(bytes).subspan(20)));
  JournalFiles(*snapshot).WriteFile("MANIFEST", bytes);
  EXPECT_TRUE(absl::IsFailedPrecondition(Restore(*snapshot, *target, plan).status()));
  EXPECT_THAT(NamesIn(*target), IsEmpty());
}

TEST(Restore, APowerCutAtAnyMomentLeavesNothingThatPassesForTheWhole) {
  uint64_t complete = 0;
  for (uint64_t nth = 1;; ++nth) {
    FaultyDisk disk;
    {
      const auto snapshot = disk.Open("snapshot"), target = disk.Open("target");
      MakeSnapshot(*snapshot);
      ASSERT_TRUE(snapshot->Sync().ok());
      disk.CutAt(disk.operations() + nth);
      if (Restore(*snapshot, *target, {.journal_id = 4711}).ok()) break;
    }
    const std::string moment = disk.cut_at();
    disk.PowerOn(nth);
    const auto target = disk.Open("target");
    const VerifyReport report = VerifyDirectory(*target).value();
    if (report.manifest.has_value()) {
      ++complete;
      EXPECT_TRUE(report.sound()) << moment << ": " << report.defects[0].Describe();
      EXPECT_EQ(report.records, 6u) << moment;
    } else if (!report.segments.empty() && report.segments.front().first_position == 1) {
      // A daemon makes the manifest again out of what it finds here, so all must be here.
      EXPECT_EQ(report.records, 6u) << moment;
    }
  }
  EXPECT_GT(complete, 0u) << "no cut came after the last change";
}

}  // namespace
}  // namespace engram::testing
