// What core/journal/files.h promises, of both implementations.
#include "core/journal/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <latch>
#include <thread>

#include "tests/core/journal/files_text.h"
#include "tests/support/faulty_files.h"

namespace engram::testing {
namespace {

using Mode = Directory::Mode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A place for two directories on one file system, which goes with it.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::unique_ptr<Directory> Open(const std::string& name) = 0;
};

class PosixPlace final : public Place {
 public:
  PosixPlace() {
    std::string path = ::testing::TempDir() + "files_test.XXXXXX";
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    root_ = path;
  }
  ~PosixPlace() override { std::filesystem::remove_all(root_); }
  std::unique_ptr<Directory> Open(const std::string& name) override {
    auto directory = OpenPosixDirectory(root_ / name, true);
    EXPECT_TRUE(directory.ok()) << directory.status();
    return *std::move(directory);
  }

 private:
  std::filesystem::path root_;
};

class FaultyPlace final : public Place {
 public:
  std::unique_ptr<Directory> Open(const std::string& name) override { return disk_.Open(name); }

 private:
  FaultyDisk disk_;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Place>()> make;
};

class FilesTest : public ::testing::TestWithParam<Kind> {
 protected:
  const std::unique_ptr<Place> place_ = GetParam().make();
  const std::unique_ptr<Directory> directory_ = place_->Open("data");
};

INSTANTIATE_TEST_SUITE_P(All, FilesTest,
                         ::testing::Values(Kind{"Posix", [] { return std::make_unique<PosixPlace>(); }},
                                           Kind{"Faulty", [] { return std::make_unique<FaultyPlace>(); }}),
                         [](const auto& info) { return info.param.name; });

TEST_P(FilesTest, ReadsWhatWasWrittenWhereItWasWritten) {
  const auto file = Made(*directory_, "a", "hello");
  EXPECT_EQ(file->WriteAt(3, BytesOf("p me")), absl::OkStatus());
  EXPECT_EQ(*file->Size(), 7u);
  std::vector<std::byte> out(3);
  EXPECT_EQ(*file->ReadAt(2, out), 3u);
  EXPECT_EQ(TextOf(out), "lp ");
  EXPECT_EQ(Text(*directory_, "a"), "help me");
}

TEST_P(FilesTest, ReadsOnlyUpToTheEndOfTheFile) {
  const auto file = Made(*directory_, "a", "hello");
  std::vector<std::byte> out(10);
  EXPECT_EQ(*file->ReadAt(3, out), 2u);
  EXPECT_EQ(*file->ReadAt(5, out), 0u);
  EXPECT_EQ(*file->ReadAt(500, out), 0u);
}

TEST_P(FilesTest, HolesAreZeros) {
  const auto file = Made(*directory_, "a", "x");
  EXPECT_EQ(file->WriteAt(10'000, BytesOf("y")), absl::OkStatus());
  std::string expected(10'001, '\0');
  expected.front() = 'x';
  expected.back() = 'y';
  EXPECT_EQ(Text(*directory_, "a"), expected);
}

TEST_P(FilesTest, WritingNothingChangesNothing) {
  const auto file = Made(*directory_, "a");
  EXPECT_EQ(file->WriteAt(100, {}), absl::OkStatus());
  EXPECT_EQ(*file->Size(), 0u);
}

TEST_P(FilesTest, TruncatingShortensAndLengthensWithZeros) {
  const auto file = Made(*directory_, "a", std::string(5000, 'x'));
  EXPECT_EQ(file->Truncate(3), absl::OkStatus());
  EXPECT_EQ(*file->Size(), 3u);
  EXPECT_EQ(file->Truncate(6000), absl::OkStatus());
  EXPECT_EQ(Text(*directory_, "a"), "xxx" + std::string(5997, '\0'));
}

TEST_P(FilesTest, OpensByMode) {
  EXPECT_TRUE(absl::IsNotFound(directory_->Open("a", Mode::kRead).status()));
  EXPECT_TRUE(absl::IsNotFound(directory_->Open("a", Mode::kReadWrite).status()));
  Made(*directory_, "a", "old");
  const absl::Status again = directory_->Open("a", Mode::kCreate).status();
  EXPECT_TRUE(absl::IsAlreadyExists(again));
  EXPECT_THAT(std::string(again.message()), HasSubstr(directory_->path() + "/a"));
  EXPECT_EQ(Opened(*directory_, "a", Mode::kReadWrite)->WriteAt(0, BytesOf("n")), absl::OkStatus());
  EXPECT_EQ(Text(*directory_, "a"), "nld");
}

TEST_P(FilesTest, AFileOpenedForReadingCannotBeChanged) {
  Made(*directory_, "a", "old");
  const auto file = Opened(*directory_, "a", Mode::kRead);
  EXPECT_TRUE(absl::IsInternal(file->WriteAt(0, BytesOf("n"))));
  EXPECT_TRUE(absl::IsInternal(file->Truncate(0)));
  EXPECT_EQ(Text(*directory_, "a"), "old");
}

TEST_P(FilesTest, NamesThatLeadElsewhereAreRefused) {
  Made(*directory_, "a");
  for (const std::string_view name : {std::string_view(""), std::string_view("."), std::string_view(".."),
                                      std::string_view("x/y"), std::string_view("/x"), std::string_view("x\0y", 3)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(directory_->Open(name, Mode::kCreate).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(directory_->Rename("a", name))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(directory_->Rename(name, "a"))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(directory_->Remove(name))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(directory_->Link("a", name))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(directory_->Lock(name).status())) << name;
  }
  const std::string longest(255, 'n');
  EXPECT_TRUE(directory_->Open(longest, Mode::kCreate).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(directory_->Open(longest + "n", Mode::kCreate).status()));
  EXPECT_THAT(Listed(*directory_), ElementsAre("a", longest));
}

TEST_P(FilesTest, RenamingReplaces) {
  Made(*directory_, "a", "new");
  Made(*directory_, "b", "old");
  const auto old = Opened(*directory_, "b", Mode::kRead);
  EXPECT_EQ(directory_->Rename("a", "b"), absl::OkStatus());
  EXPECT_THAT(Listed(*directory_), ElementsAre("b"));
  EXPECT_EQ(Text(*directory_, "b"), "new");
  std::vector<std::byte> out(3);
  EXPECT_EQ(*old->ReadAt(0, out), 3u);
  EXPECT_EQ(TextOf(out), "old");
  EXPECT_TRUE(absl::IsNotFound(directory_->Rename("a", "b")));
}

TEST_P(FilesTest, AFileStaysUsableWhenItsNameAndItsDirectoryGo) {
  auto directory = place_->Open("data");
  const auto file = Made(*directory, "a", "text");
  EXPECT_EQ(directory->Remove("a"), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(directory->Remove("a")));
  EXPECT_THAT(Listed(*directory), IsEmpty());
  directory.reset();
  EXPECT_EQ(file->WriteAt(4, BytesOf("ure")), absl::OkStatus());
  EXPECT_EQ(file->Sync(), absl::OkStatus());
  EXPECT_EQ(*file->Size(), 7u);
}

TEST_P(FilesTest, ALinkIsTheSameFile) {
  const auto file = Made(*directory_, "a", "one");
  const auto other = place_->Open("backup");
  EXPECT_EQ(directory_->Link("a", "b"), absl::OkStatus());
  EXPECT_EQ(directory_->LinkInto("a", *other, "c"), absl::OkStatus());
  EXPECT_EQ(directory_->LinkCount("a").value(), 3u);
  EXPECT_TRUE(absl::IsNotFound(directory_->LinkCount("gone").status()));
  EXPECT_EQ(file->WriteAt(0, BytesOf("two")), absl::OkStatus());
  EXPECT_EQ(Text(*directory_, "b"), "two");
  EXPECT_EQ(Text(*other, "c"), "two");
  EXPECT_TRUE(absl::IsAlreadyExists(directory_->Link("a", "b")));
  EXPECT_TRUE(absl::IsAlreadyExists(directory_->LinkInto("a", *other, "c")));
  EXPECT_TRUE(absl::IsNotFound(directory_->Link("gone", "d")));
  EXPECT_EQ(directory_->Rename("a", "b"), absl::OkStatus());
  EXPECT_THAT(Listed(*directory_), ElementsAre("a", "b"));
  EXPECT_EQ(directory_->Remove("a"), absl::OkStatus());
  EXPECT_EQ(Text(*directory_, "b"), "two");
}

TEST_P(FilesTest, LinkingIntoAnotherFileSystemSaysSo) {
  Made(*directory_, "a");
  FaultyDisk elsewhere;
  const auto target = elsewhere.Open("backup");
  EXPECT_TRUE(absl::IsFailedPrecondition(directory_->LinkInto("a", *target, "a")));
}

TEST_P(FilesTest, ListsInTheOrderOfNames) {
  for (const char* name : {"b", "00000000000000000010", "a", "00000000000000000009"}) Made(*directory_, name);
  EXPECT_THAT(Listed(*directory_), ElementsAre("00000000000000000009", "00000000000000000010", "a", "b"));
  EXPECT_EQ(Listed(*directory_).size(), 4u);
}

TEST_P(FilesTest, SyncsAndTellsOfItsSpace) {
  MadeSafe(*directory_, "a", "x");
  const auto space = directory_->Space();
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_GT(space->free_bytes, 0u);
  EXPECT_GE(space->total_bytes, space->free_bytes);
}

TEST_P(FilesTest, LocksOnceAtATimeAndNamesTheOwner) {
  EXPECT_TRUE(absl::IsNotFound(directory_->LockHolder("LOCK").status()));
  auto lock = directory_->Lock("LOCK");
  ASSERT_TRUE(lock.ok()) << lock.status();
  const auto again = place_->Open("data")->Lock("LOCK");
  EXPECT_TRUE(absl::IsFailedPrecondition(again.status()));
  EXPECT_THAT(std::string(again.status().message()), HasSubstr(std::to_string(getpid())));
  EXPECT_EQ(directory_->LockHolder("LOCK").value(), "process " + std::to_string(getpid()));
  lock->reset();
  EXPECT_EQ(directory_->LockHolder("LOCK").value(), "");
  EXPECT_TRUE(directory_->Lock("LOCK").ok());
  EXPECT_THAT(Listed(*directory_), ElementsAre("LOCK"));
}

TEST_P(FilesTest, ReadsWholeFilesUpToABound) {
  Made(*directory_, "a", "12345");
  EXPECT_EQ(ReadWhole(*directory_, "a", 5)->size(), 5u);
  const absl::Status beyond = ReadWhole(*directory_, "a", 4).status();
  EXPECT_TRUE(absl::IsDataLoss(beyond));
  EXPECT_THAT(std::string(beyond.message()), HasSubstr("/a is longer than it should be: 5 of at most 4 bytes"));
  EXPECT_TRUE(absl::IsNotFound(ReadWhole(*directory_, "b", 4).status()));
  Made(*directory_, "empty");
  EXPECT_TRUE(ReadWhole(*directory_, "empty", 0)->empty());
}

TEST_P(FilesTest, ReplacesWholeFilesAlsoAfterAnAttemptThatWasLeftHalfWay) {
  EXPECT_EQ(ReplaceWhole(*directory_, "a", BytesOf("first, and longer")), absl::OkStatus());
  Made(*directory_, "a.tmp", "half of something that was longer still");
  EXPECT_EQ(directory_->Link("a.tmp", "b"), absl::OkStatus());
  EXPECT_EQ(ReplaceWhole(*directory_, "a", BytesOf("second")), absl::OkStatus());
  EXPECT_EQ(Text(*directory_, "a"), "second");
  EXPECT_EQ(Text(*directory_, "b"), "half of something that was longer still");
  EXPECT_THAT(Listed(*directory_), ElementsAre("a", "b"));
}

TEST_P(FilesTest, ManyThreadsReadWhileOneWrites) {
  const auto file = Made(*directory_, "a", std::string(64 * 1024, 'a'));
  std::latch ready(4);
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      std::vector<std::byte> out(1024);
      ready.arrive_and_wait();
      for (uint64_t n = 0; n < 200; ++n) {
        const auto read = file->ReadAt(n % 64 * 1024, out);
        EXPECT_EQ(read.value_or(0), out.size());
        EXPECT_TRUE(TextOf(out).find_first_not_of('a') == std::string::npos);
      }
    });
  }
  ready.arrive_and_wait();
  for (uint64_t n = 0; n < 200; ++n) EXPECT_EQ(file->WriteAt(64 * 1024 + n, BytesOf("b")), absl::OkStatus());
}

}  // namespace
}  // namespace engram::testing
