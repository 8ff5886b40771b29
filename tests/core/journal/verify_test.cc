#include "core/journal/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/faulty_files.h"
#include "tests/support/journal_files.h"

namespace engram::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kFirst[] = "00000000000000000001.journal";
constexpr char kSecond[] = "00000000000000000004.journal";

class VerifyTest : public ::testing::Test {
 protected:
  VerifyReport Verify() {
    absl::StatusOr<VerifyReport> report = VerifyDirectory(*directory_);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : VerifyReport();
  }
  std::vector<std::string> Defects() {
    std::vector<std::string> out;
    for (const VerifyDefect& defect : Verify().defects) out.push_back(defect.Describe());
    return out;
  }
  std::vector<std::byte> Content(const std::string& name) {
    return ReadWhole(*directory_, name, uint64_t{1} << 30).value();
  }
  void Put(const std::string& name, std::span<const std::byte> bytes) {
    ASSERT_TRUE(ReplaceWhole(*directory_, name, bytes).ok());
  }

  FaultyDisk disk_;
  std::unique_ptr<Directory> directory_ = disk_.Open();
};

TEST_F(VerifyTest, ASoundDirectoryIsCountedAndNothingIsSaidAgainstIt) {
  JournalFiles::MakeSmall(*directory_);
  uint64_t done = 0, total = 0;
  const VerifyReport report =
      VerifyDirectory(*directory_, [&](uint64_t d, uint64_t t) { done = d, total = t; }).value();
  EXPECT_TRUE(report.sound()) << report.defects[0].Describe();
  EXPECT_THAT(report.remarks, IsEmpty());
  EXPECT_EQ(report.manifest->sealed_through, 5u);
  EXPECT_EQ(report.records, 5u);
  EXPECT_EQ(report.observations, 6u);
  EXPECT_EQ(report.first_position, 1u);
  EXPECT_EQ(report.last_position, 5u);
  EXPECT_EQ(report.bytes, Content(kFirst).size() + Content(kSecond).size());
  EXPECT_EQ(done, report.bytes);
  EXPECT_EQ(total, report.bytes);
  ASSERT_THAT(report.spaces, SizeIs(1));
  EXPECT_EQ(report.spaces.at(1).name, "notes");
  EXPECT_EQ(report.spaces.at(1).records, 5u);
  EXPECT_EQ(report.spaces.at(1).observations, 6u);
  ASSERT_THAT(report.segments, SizeIs(2));
  EXPECT_EQ(report.segments[1].file, kSecond);
  EXPECT_EQ(report.segments[1].first_position, 4u);
  EXPECT_EQ(report.segments[1].last_position, 5u);
  EXPECT_TRUE(report.segments[1].sealed);
  EXPECT_EQ(report.in_use_by, "");
}

TEST_F(VerifyTest, EveryFlippedBitIsNamedWithItsFile) {
  JournalFiles::MakeSmall(*directory_);
  for (const std::string name : {"MANIFEST", kFirst, kSecond}) {
    const std::vector<std::byte> sound = Content(name);
    // Of the headers' zeros a few are as good as all.
    for (size_t at = 0; at<sound.size(); at += at> 80 && at + 200 < kHeaderBlockBytes ? 97 : 1) {
      std::vector<std::byte> damaged = sound;
      damaged[at] ^= std::byte{0x10};
      Put(name, damaged);
      const VerifyReport report = Verify();
      ASSERT_FALSE(report.sound()) << name << " at " << at;
      ASSERT_EQ(report.defects[0].file, name) << "at " << at << ": " << report.defects[0].Describe();
    }
    Put(name, sound);
  }
  EXPECT_THAT(Defects(), IsEmpty());
}

TEST_F(VerifyTest, EveryTruncationIsNamed) {
  JournalFiles::MakeSmall(*directory_);
  for (const std::string name : {"MANIFEST", kFirst, kSecond}) {
    const std::vector<std::byte> sound = Content(name);
    for (size_t size = 0; size<sound.size(); size += size> 80 && size + 200 < kHeaderBlockBytes ? 97 : 1) {
      Put(name, std::span(sound).first(size));
      ASSERT_FALSE(Verify().sound()) << name << " cut to " << size;
    }
    Put(name, sound);
  }
}

TEST_F(VerifyTest, ADamagedRecordCostsItselfAndIsNamedByItsPosition) {
  JournalFiles files(*directory_);
  const uint64_t notes = files.AddSpace("notes");
  files.AddObservations("notes", notes, "a", 3);
  files.AddObservations("notes", notes, "b", 2);
  const uint64_t offset = files.records()[1].offset;
  const std::string name = files.Seal();
  files.WriteManifest();
  disk_.FlipBit(name, offset + 100, 3);
  const VerifyReport report = Verify();
  ASSERT_THAT(report.defects, SizeIs(1));
  EXPECT_EQ(report.defects[0].offset, offset);
  EXPECT_EQ(report.defects[0].first_missing, 2u);
  EXPECT_EQ(report.defects[0].last_missing, 2u);
  EXPECT_THAT(report.defects[0].Describe(), AllOf(HasSubstr(name), HasSubstr("lost is position 2")));
  EXPECT_EQ(report.records, 2u);
  EXPECT_EQ(report.last_position, 3u);
}

TEST_F(VerifyTest, AMissingSegmentIsMissedAtTheBeginningInTheMiddleAndAtTheEnd) {
  const auto without = [&](int gone) {
    JournalFiles files(*directory_);
    const uint64_t notes = files.AddSpace("notes");
    std::vector<std::string> names;
    for (int i = 0; i < 3; ++i) {
      files.AddObservations("notes", notes, "a", 1);
      names.push_back(files.Seal());
    }
    files.WriteManifest();
    EXPECT_TRUE(directory_->Remove(names[gone]).ok());
    return Defects();
  };
  EXPECT_THAT(without(0), ElementsAre("a segment is missing; lost are positions 1 to 2"));
  EXPECT_THAT(without(1), ElementsAre("a segment is missing; lost is position 3"));
  EXPECT_THAT(without(2), ElementsAre("the segments end before what the manifest says is sealed; lost is position 4"));
}

TEST_F(VerifyTest, AManifestThatIsMissingOrOfANewerVersionIsNamed) {
  JournalFiles::MakeSmall(*directory_);
  ASSERT_TRUE(directory_->Remove("MANIFEST").ok());
  EXPECT_THAT(Defects(), ElementsAre(HasSubstr("MANIFEST: it is missing")));
  EXPECT_EQ(Verify().records, 5u);
}

TEST_F(VerifyTest, ASegmentOfAnotherJournalOrAnotherPlaceIsNotCounted) {
  JournalFiles::MakeSmall(*directory_);
  JournalFiles other(*directory_, /*lineage=*/78);
  const uint64_t notes = other.AddSpace("notes");
  other.AddObservations("notes", notes, "x", 1);
  other.AddObservations("notes", notes, "y", 1);
  other.Seal();
  EXPECT_THAT(Defects(), ElementsAre(AllOf(HasSubstr("it is of journal 000000000000004e, this directory's is "
                                                     "000000000000004d"),
                                           HasSubstr("lost are positions 1 to 3"))));
  EXPECT_EQ(Verify().records, 2u);

  JournalFiles::MakeSmall(*directory_);
  Put(kSecond, Content(kFirst));
  EXPECT_THAT(Defects(), ElementsAre(AllOf(HasSubstr("its header says that it begins at position 1"),
                                           HasSubstr("lost are positions 4 to 5"))));
}

TEST_F(VerifyTest, AFooterThatTellsWhatIsNotSoIsNamed) {
  const auto with = [&](const std::function<void(SegmentFooter&)>& change) {
    JournalFiles files(*directory_);
    const uint64_t notes = files.AddSpace("notes");
    files.AddObservations("notes", notes, "a", 3);
    files.Seal(change);
    files.WriteManifest();
    return Defects();
  };
  EXPECT_THAT(with([](SegmentFooter&) {}), IsEmpty());
  EXPECT_THAT(with([](SegmentFooter& f) { ++f.observations; }), ElementsAre(HasSubstr("says 4 observations")));
  EXPECT_THAT(with([](SegmentFooter& f) { f.records.pop_back(); }), ElementsAre(HasSubstr("lists 1 records")));
  EXPECT_THAT(with([](SegmentFooter& f) { f.records[1].offset += 8; }), ElementsAre(HasSubstr("lists 2 records")));
  EXPECT_THAT(with([](SegmentFooter& f) { f.max_observed_at_us = 7; }), ElementsAre(HasSubstr("says times from")));
  EXPECT_THAT(with([](SegmentFooter& f) { f.spaces[0].observations = 9; }), ElementsAre(HasSubstr("of 1 spaces")));
}

TEST_F(VerifyTest, ATailThatWasNeverAcknowledgedIsRemarkedAndNotDamage) {
  JournalFiles files(*directory_);
  const uint64_t notes = files.AddSpace("notes");
  files.AddObservations("notes", notes, "a", 3);
  files.Seal();
  files.AddObservations("notes", notes, "b", 2);
  files.AddObservations("notes", notes, "c", 2);
  files.AddObservations("notes", notes, "d", 2);
  const std::vector<SegmentFooter::RecordPlace> places = files.records();
  const std::string name = files.Write(100'000);
  files.WriteManifest();
  EXPECT_THAT(Verify().remarks, ElementsAre(name + " was not sealed: the daemon did not end in order"));
  EXPECT_TRUE(Verify().sound());
  EXPECT_EQ(Verify().last_position, 5u);

  // The last one torn.
  disk_.FlipBit(name, places[2].offset + 90, 1);
  EXPECT_TRUE(Verify().sound());
  EXPECT_EQ(Verify().last_position, 4u);
  // And then one before it, which nobody knew to be synced.
  disk_.FlipBit(name, places[2].offset + 90, 1);
  disk_.FlipBit(name, places[1].offset + 90, 1);
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.sound()) << report.defects[0].Describe();
  EXPECT_THAT(report.remarks, Contains(HasSubstr("was never acknowledged")));
  EXPECT_EQ(report.records, 3u);
  EXPECT_EQ(report.last_position, 3u);
}

TEST_F(VerifyTest, DamageThatALaterRecordKnewToBeSyncedIsDamageInTheUnsealedSegmentToo) {
  JournalFiles files(*directory_);
  const uint64_t notes = files.AddSpace("notes");
  files.AddObservations("notes", notes, "a", 3);
  files.SetDurable(2);
  files.AddObservations("notes", notes, "b", 2);
  const uint64_t offset = files.records()[1].offset;
  const std::string name = files.Write(0);
  files.WriteManifest();
  disk_.FlipBit(name, offset + 90, 1);
  EXPECT_THAT(Defects(), ElementsAre(HasSubstr("lost is position 2")));
  EXPECT_EQ(Verify().records, 2u);
}

TEST_F(VerifyTest, ASegmentThatIsFullButNotYetSealedIsRemarkedUntilTheManifestSaysItIsSealed) {
  JournalFiles files(*directory_);
  const uint64_t notes = files.AddSpace("notes");
  files.AddObservations("notes", notes, "a", 3);
  const std::string full = files.Write(4096);
  files.Begin(3, 0);
  files.AddObservations("notes", notes, "b", 1);
  const std::string open = files.Write(4096);
  files.WriteManifest();
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.sound()) << report.defects[0].Describe();
  EXPECT_THAT(report.remarks, ElementsAre(full + ": it is full and not sealed yet", HasSubstr(open)));
  EXPECT_EQ(report.records, 3u);
  files.manifest().sealed_through = 2;
  files.WriteManifest();
  EXPECT_THAT(Defects(), ElementsAre(AllOf(HasSubstr(full), HasSubstr("no record is lost by it"))));
}

TEST_F(VerifyTest, ARewrittenSegmentStandsForItsRangeAndWhatItCoversIsLeftOver) {
  JournalFiles::MakeSmall(*directory_);
  JournalFiles files(*directory_);
  files.Begin(1, 1);
  JournalRecord space;
  space.type = RecordType::kSpaceCreated;
  space.space = "notes";
  const SpaceConfig config;
  space.config = &config;
  files.AddAt(space, 1);
  files.AddAt(ObservationsRecord(1, "notes", "c", 1).record, 5);
  files.Seal();
  files.WriteManifest();
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.sound()) << report.defects[0].Describe();
  EXPECT_EQ(report.records, 2u);
  EXPECT_EQ(report.segments[0].generation, 1u);
  ASSERT_THAT(report.leftovers, SizeIs(1));
  EXPECT_EQ(report.leftovers[0].file, kSecond);
}

TEST_F(VerifyTest, EveryOtherFileIsListedForWhatItIs) {
  JournalFiles::MakeSmall(*directory_);
  JournalFiles files(*directory_);
  files.WriteFile("00000000000000000005.checkpoint", "12345");
  files.WriteFile("spare-7", "1");
  files.WriteFile("MANIFEST.tmp", "half");
  files.WriteFile("notes.txt", "hello");
  files.manifest().sealed_through = 5;
  files.manifest().checkpoint = "00000000000000000004.checkpoint";
  files.WriteManifest();
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.sound());
  ASSERT_THAT(report.checkpoints, SizeIs(1));
  EXPECT_EQ(report.checkpoints[0].bytes, 5u);
  EXPECT_THAT(report.remarks, ElementsAre(HasSubstr("00000000000000000004.checkpoint is not there")));
  std::vector<std::string> leftovers;
  for (const VerifyReport::OtherFile& one : report.leftovers) leftovers.push_back(one.file + ": " + one.what);
  EXPECT_THAT(leftovers, ElementsAre("notes.txt: not of a journal", "spare-7: written ahead, to become a segment"));
}

TEST_F(VerifyTest, AFileThatCannotBeReadIsADefectAndTheRestIsRead) {
  JournalFiles::MakeSmall(*directory_);
  Fault fault;
  fault.call = FileCall::kRead;
  fault.status = InputOutputError();
  fault.suffix = kFirst;
  fault.until_cleared = true;
  disk_.Fail(fault);
  EXPECT_THAT(Defects(), ElementsAre(AllOf(HasSubstr("input/output error"), HasSubstr("positions 1 to 3"))));
  EXPECT_EQ(Verify().records, 2u);
}

TEST_F(VerifyTest, WhoHoldsTheLockIsNamedAndNobodyWhosePidIsLeftInIt) {
  JournalFiles::MakeSmall(*directory_);
  EXPECT_EQ(Verify().in_use_by, "");
  JournalFiles(*directory_).WriteFile("LOCK", "1\n");
  EXPECT_EQ(Verify().in_use_by, "");
  const auto lock = directory_->Lock("LOCK");
  EXPECT_EQ(Verify().in_use_by, fmt::format("process {}", getpid()));
}

}  // namespace
}  // namespace engram::testing
