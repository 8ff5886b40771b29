// The disk that fails on demand: faults, room, damage.
#include "tests/support/faulty_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/core/journal/files_text.h"

namespace engram::testing {
namespace {

using Mode = Directory::Mode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FaultyFilesTest, TheNthMatchingCallFailsOnce) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  const auto file = Made(*directory, "a.journal");
  const auto other = Made(*directory, "MANIFEST");
  disk.Fail({.call = FileCall::kSync, .status = InputOutputError(), .suffix = ".journal", .nth = 2});
  EXPECT_EQ(file->Sync(), absl::OkStatus());
  EXPECT_EQ(other->Sync(), absl::OkStatus());
  EXPECT_EQ(other->Sync(), absl::OkStatus());
  EXPECT_EQ(file->Sync(), InputOutputError());
  EXPECT_EQ(file->Sync(), absl::OkStatus());
}

TEST(FaultyFilesTest, AFaultMayLastUntilItIsCleared) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  const auto file = Made(*directory, "a", "0123456789");
  disk.Fail({.call = FileCall::kWrite, .status = DiskIsFull(), .nth = 2, .until_cleared = true});
  EXPECT_EQ(file->WriteAt(0, BytesOf("x")), absl::OkStatus());
  EXPECT_EQ(file->WriteAt(0, BytesOf("x")), DiskIsFull());
  EXPECT_EQ(file->WriteAt(0, BytesOf("x")), DiskIsFull());
  disk.ClearFaults();
  EXPECT_EQ(file->WriteAt(0, BytesOf("x")), absl::OkStatus());
}

TEST(FaultyFilesTest, AWriteThatFailsMayHaveWrittenAnyPart) {
  std::set<size_t> parts;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    FaultyDisk disk({.seed = seed});
    const auto directory = disk.Open();
    const auto file = Made(*directory, "a", "....");
    disk.Fail({.call = FileCall::kWrite, .status = DiskIsFull()});
    EXPECT_EQ(file->WriteAt(0, BytesOf("xxxx")), DiskIsFull());
    const std::string text = Text(*directory, "a");
    const size_t part = text.find_first_not_of('x');
    parts.insert(part == std::string::npos ? 4 : part);
    EXPECT_EQ(text.find('x', part), std::string::npos);
  }
  EXPECT_THAT(parts, ElementsAre(0, 1, 2, 3, 4));
}

TEST(FaultyFilesTest, EveryKindOfCallCanFailAndThenHasNoEffect) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  const auto file = Made(*directory, "a", "text");
  const auto fail = [&](FileCall call) { disk.Fail({.call = call, .status = AccessDenied()}); };
  std::vector<std::byte> out(4);
  fail(FileCall::kCreate);
  EXPECT_EQ(directory->Open("b", Mode::kCreate).status(), AccessDenied());
  fail(FileCall::kOpen);
  EXPECT_EQ(directory->Open("a", Mode::kRead).status(), AccessDenied());
  fail(FileCall::kRead);
  EXPECT_EQ(file->ReadAt(0, out).status(), AccessDenied());
  fail(FileCall::kTruncate);
  EXPECT_EQ(file->Truncate(1), AccessDenied());
  fail(FileCall::kRename);
  EXPECT_EQ(directory->Rename("a", "b"), AccessDenied());
  fail(FileCall::kLink);
  EXPECT_EQ(directory->Link("a", "b"), AccessDenied());
  fail(FileCall::kRemove);
  EXPECT_EQ(directory->Remove("a"), AccessDenied());
  fail(FileCall::kList);
  EXPECT_EQ(directory->List().status(), AccessDenied());
  fail(FileCall::kSyncDirectory);
  EXPECT_EQ(directory->Sync(), AccessDenied());
  EXPECT_THAT(Listed(*directory), ElementsAre("a"));
  EXPECT_EQ(Text(*directory, "a"), "text");
}

TEST(FaultyFilesTest, ReplacingAFileLeavesTheOldOneWhenAnyCallFails) {
  for (const FileCall call : {FileCall::kCreate, FileCall::kWrite, FileCall::kSync, FileCall::kRename}) {
    FaultyDisk disk;
    const auto directory = disk.Open();
    Made(*directory, "a", "old");
    disk.Fail({.call = call, .status = DiskIsFull()});
    EXPECT_EQ(ReplaceWhole(*directory, "a", BytesOf("new")), DiskIsFull());
    EXPECT_EQ(Text(*directory, "a"), "old");
    EXPECT_THAT(Listed(*directory), ElementsAre("a")) << "the one written aside was left";
  }
}

TEST(FaultyFilesTest, WhenRoomRunsOutAWriteFillsItAndFails) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  const auto file = Made(*directory, "a", std::string(100, 'x'));
  disk.SetFreeSpace(10);
  EXPECT_EQ(directory->Space()->free_bytes, 10u);
  EXPECT_EQ(directory->Space()->total_bytes, 110u);
  EXPECT_EQ(file->WriteAt(0, BytesOf(std::string(100, 'y'))), absl::OkStatus());
  EXPECT_EQ(file->WriteAt(95, BytesOf(std::string(10, 'y'))), absl::OkStatus());
  EXPECT_EQ(directory->Space()->free_bytes, 5u);
  EXPECT_TRUE(absl::IsResourceExhausted(file->WriteAt(100, BytesOf(std::string(11, 'z')))));
  EXPECT_EQ(*file->Size(), 110u);
  EXPECT_TRUE(absl::IsResourceExhausted(file->WriteAt(500, BytesOf("z"))));
  EXPECT_TRUE(absl::IsResourceExhausted(file->Truncate(111)));
  EXPECT_EQ(*file->Size(), 110u);
  // A second name takes nothing, and the room comes back with the last one.
  EXPECT_EQ(directory->Link("a", "b"), absl::OkStatus());
  EXPECT_EQ(directory->Remove("a"), absl::OkStatus());
  EXPECT_EQ(directory->Space()->free_bytes, 0u);
  EXPECT_EQ(directory->Remove("b"), absl::OkStatus());
  EXPECT_EQ(directory->Space()->free_bytes, 110u);
}

TEST(FaultyFilesTest, DamageIsDoneToWhatIsOnTheDisk) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  MadeSafe(*directory, "a", "abcdef");
  MadeSafe(*disk.Open("backup"), "a", std::string(2000, 'x'));
  disk.FlipBit("a", 1, 0);
  disk.Chop("data/a", 4);
  disk.Scramble("backup/a", 500, 100, 1);
  disk.Cut(1);
  EXPECT_EQ(Text(*disk.Open(), "a"), "accd");
  const std::string scrambled = Text(*disk.Open("backup"), "a");
  EXPECT_EQ(scrambled.find_first_not_of('x'), 500u);
  EXPECT_EQ(scrambled.find_last_not_of('x'), 599u);
}

TEST(FaultyFilesTest, ACrashOfTheProcessLosesNothingButItsHandles) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  const auto file = Made(*directory, "a", "text");
  const auto lock = directory->Lock("LOCK");
  disk.Crash();
  EXPECT_TRUE(absl::IsInternal(file->WriteAt(0, BytesOf("x"))));
  EXPECT_TRUE(absl::IsInternal(directory->List().status()));
  const auto after = disk.Open();
  EXPECT_EQ(Text(*after, "a"), "text");
  EXPECT_TRUE(after->Lock("LOCK").ok());
}

TEST(FaultyFilesTest, CountsCallsByKindAndChangesTogether) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  MadeSafe(*directory, "a", "text");
  Text(*directory, "a");
  EXPECT_EQ(disk.operations(), 4u) << "create, write, sync, sync of the directory";
  EXPECT_EQ(disk.count(FileCall::kSync), 1u);
  EXPECT_EQ(disk.count(FileCall::kRead), 1u);
  EXPECT_EQ(disk.count(FileCall::kRename), 0u);
}

TEST(FaultyFilesTest, ThreadsMayUseItTogether) {
  FaultyDisk disk;
  const auto directory = disk.Open();
  {
    std::vector<std::jthread> threads;
    for (const char* name : {"a", "b", "c"}) {
      threads.emplace_back([&, name] {
        for (int i = 0; i < 50; ++i) {
          EXPECT_EQ(ReplaceWhole(*directory, name, BytesOf(std::string(1000, *name))), absl::OkStatus());
          EXPECT_EQ(Text(*directory, name), std::string(1000, *name));
        }
      });
    }
  }
  EXPECT_THAT(Listed(*directory), ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace engram::testing
