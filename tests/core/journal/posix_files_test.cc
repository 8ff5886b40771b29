// What only a real file system does.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "tests/core/journal/files_text.h"

namespace engram::testing {
namespace {

using Mode = Directory::Mode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixFilesTest : public ::testing::Test {
 protected:
  PosixFilesTest() {
    std::string path = ::testing::TempDir() + "posix_files_test.XXXXXX";
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    root_ = path;
  }
  ~PosixFilesTest() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<Directory> Open(const std::filesystem::path& path) {
    auto directory = OpenPosixDirectory(path, true);
    EXPECT_TRUE(directory.ok()) << directory.status();
    return *std::move(directory);
  }

  // What `child` answers in a process of its own.
  int InChild(const std::function<int()>& child) {
    const pid_t pid = fork();
    if (pid == 0) _exit(child());
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::filesystem::path root_;
};

TEST_F(PosixFilesTest, TheLockNamesTheProcessThatHoldsItAndGoesWithIt) {
  const auto directory = Open(root_);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto own = OpenPosixDirectory(root_, false);
    const auto lock = (*own)->Lock("LOCK");
    [[maybe_unused]] const ssize_t written = write(ready[1], lock.ok() ? "y" : "n", 1);
    while (true) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const absl::Status refused = directory->Lock("LOCK").status();
  EXPECT_EQ(directory->LockHolder("LOCK").value(), fmt::format("process {}", child));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(refused.message(), fmt::format("{0} is in use: process {1} holds {0}/LOCK", root_.string(), child));
  // Its pid is still in the file, and that is all.
  EXPECT_EQ(directory->LockHolder("LOCK").value(), "");
  const auto lock = directory->Lock("LOCK");
  EXPECT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ(Text(*directory, "LOCK"), fmt::format("{}\n", getpid()));
}

// In a container the pid of a daemon that was killed is another process's by the next start, and 1 always is one.
TEST_F(PosixFilesTest, APidInTheFileHoldsNoLock) {
  const auto directory = Open(root_);
  for (const int pid : {1, getpid()}) {
    std::ofstream(root_ / "LOCK") << pid << "\n";
    EXPECT_EQ(directory->LockHolder("LOCK").value(), "");
  }
}

TEST_F(PosixFilesTest, WhoOnlyAsksForTheHolderRefusesNobodyTheLock) {
  const auto directory = Open(root_);
  ASSERT_TRUE(directory->Lock("LOCK").ok());
  std::jthread asking([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) EXPECT_TRUE(directory->LockHolder("LOCK").ok());
  });
  for (int i = 0; i < 2000; ++i) {
    const absl::Status taken = directory->Lock("LOCK").status();
    ASSERT_TRUE(taken.ok()) << taken << " after " << i;
  }
}

TEST_F(PosixFilesTest, AnotherLockFileOfThatNameIsAnotherLock) {
  const auto directory = Open(root_);
  const auto first = directory->Lock("LOCK");
  EXPECT_EQ(directory->Remove("LOCK"), absl::OkStatus());
  EXPECT_TRUE(directory->Lock("LOCK").ok());
}

TEST_F(PosixFilesTest, AFullDiskIsResourceExhausted) {
  auto devices = OpenPosixDirectory("/dev", false);
  ASSERT_TRUE(devices.ok()) << devices.status();
  const auto full = Opened(**devices, "full", Mode::kReadWrite);
  ASSERT_NE(full, nullptr);
  const absl::Status status = full->WriteAt(0, BytesOf("x"));
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(), "write /dev/full: No space left on device");
}

TEST_F(PosixFilesTest, GoesOnAfterAShortWriteUntilThereIsAnError) {
  const auto directory = Open(root_);
  const auto file = Made(*directory, "a");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  // The kernel writes what fits and answers how much; only the second call fails.
  const absl::Status written = file->WriteAt(1000, BytesOf(std::string(5000, 'x')));
  const absl::Status truncated = file->Truncate(5000);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old);
  EXPECT_TRUE(absl::IsInternal(written));
  EXPECT_EQ(written.message(), fmt::format("write {}/a: File too large", root_.string()));
  EXPECT_TRUE(absl::IsInternal(truncated)) << truncated;
  EXPECT_EQ(*file->Size(), 4096u);
}

TEST_F(PosixFilesTest, WhatIsNotOursToOpenIsPermissionDenied) {
  const auto directory = Open(root_);
  Made(*directory, "a", "secret");
  std::filesystem::permissions(root_ / "a", std::filesystem::perms::none);
  EXPECT_EQ(InChild([&] {
              constexpr uid_t kNobody = 65534;
              if (getuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0)) return 2;
              return absl::IsPermissionDenied(directory->Open("a", Mode::kRead).status()) ? 0 : 1;
            }),
            0);
}

TEST_F(PosixFilesTest, MakesMissingDirectoriesWhenAsked) {
  const std::filesystem::path deep = root_ / "x" / "y" / "z";
  const absl::Status missing = OpenPosixDirectory(deep, false).status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_THAT(std::string(missing.message()), HasSubstr(deep.string()));
  const auto directory = Open(deep.string() + "//");
  EXPECT_EQ(directory->path(), deep.string());
  Made(*directory, "a", "text");
  EXPECT_EQ(Text(*Open(deep), "a"), "text");
  EXPECT_TRUE(absl::IsInternal(OpenPosixDirectory(deep / "a", true).status())) << "a file is no directory";
  EXPECT_TRUE(absl::IsInternal(OpenPosixDirectory(deep / "a" / "b", true).status()));
  EXPECT_TRUE(absl::IsNotFound(OpenPosixDirectory("", true).status()));
  EXPECT_TRUE(OpenPosixDirectory("/", true).ok());
}

TEST_F(PosixFilesTest, NobodyElseMayReadWhatItMakes) {
  const mode_t before = umask(0);
  Made(*Open(root_ / "data"), "a");
  umask(before);
  struct stat about;
  ASSERT_EQ(stat((root_ / "data" / "a").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0640u);
  ASSERT_EQ(stat((root_ / "data").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0750u);
}

TEST_F(PosixFilesTest, OnlyRegularFilesAreListedAndOpened) {
  const auto directory = Open(root_);
  Made(*directory, "a");
  std::filesystem::create_directory(root_ / "b");
  std::filesystem::create_symlink("a", root_ / "c");
  ASSERT_EQ(mkfifo((root_ / "d").c_str(), 0600), 0);
  EXPECT_THAT(Listed(*directory), ElementsAre("a"));
  EXPECT_TRUE(absl::IsInternal(directory->Open("c", Mode::kRead).status()));
}

TEST_F(PosixFilesTest, ADirectoryIsTheSameOneAfterItWasMoved) {
  const auto directory = Open(root_ / "data");
  Made(*directory, "a", "text");
  std::filesystem::rename(root_ / "data", root_ / "moved");
  std::filesystem::create_directory(root_ / "data");
  EXPECT_EQ(Text(*directory, "a"), "text");
  EXPECT_EQ(ReplaceWhole(*directory, "b", BytesOf("more")), absl::OkStatus());
  EXPECT_EQ(Text(*Open(root_ / "moved"), "b"), "more");
}

TEST_F(PosixFilesTest, NothingIsInheritedByPrograms) {
  const auto directory = Open(root_);
  const auto file = Made(*directory, "a");
  const auto lock = directory->Lock("LOCK");
  int ours = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), error);
    if (error || !target.string().starts_with(root_.string())) continue;
    ++ours;
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << target;
  }
  EXPECT_EQ(ours, 3);
}

TEST_F(PosixFilesTest, AnotherFileSystemIsFailedPrecondition) {
  const auto directory = Open(root_);
  Made(*directory, "a");
  struct stat here, there;
  if (stat(root_.c_str(), &here) != 0 || stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev) {
    GTEST_SKIP() << "no second file system here";
  }
  auto other = OpenPosixDirectory("/dev/shm", false);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(absl::IsFailedPrecondition(directory->LinkInto("a", **other, root_.filename().string())));
}

}  // namespace
}  // namespace engram::testing
