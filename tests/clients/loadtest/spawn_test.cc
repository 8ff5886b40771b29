#include "loadtest/spawn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <tuple>

#include "loadtest/pacing.h"

namespace engram {
namespace {

using ::testing::HasSubstr;

class SpawnTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Child>> Shell(const std::string& script) {
    ChildOptions options;
    options.program = "/bin/sh";
    options.arguments = {"-c", script};
    options.ready_prefix = "thing ready ";
    options.log = directory_->path() / "log";
    options.ready_timeout = std::chrono::seconds(10);
    return StartChild(options);
  }

  const std::unique_ptr<TemporaryDirectory> directory_ = *TemporaryDirectory::Create();
};

// Ends at SIGTERM with the exit code given; the trap is in place before the ready line is said.
std::string Waits(const std::string& code, const std::filesystem::path& directory) {
  const std::string fifo = directory / "fifo";
  return "mkfifo " + fifo + "; exec 9<>" + fifo + "; trap 'exit " + code +
         "' TERM; echo hello; echo thing ready grpc=a:1 metrics=b:2; while :; do read line <&9; done";
}

TEST_F(SpawnTest, ReadsTheReadyLineAndStops) {
  auto child = Shell(Waits("0", directory_->path()));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->Ready("grpc"), "a:1");
  EXPECT_EQ((*child)->Ready("metrics"), "b:2");
  EXPECT_EQ((*child)->Ready("other"), "");
  EXPECT_GT((*child)->ResidentBytes(), 0);
  EXPECT_GT((*child)->CpuSeconds(), 0);
  const pid_t pid = (*child)->pid();
  EXPECT_TRUE((*child)->Stop().ok());
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(SpawnTest, TellsABadEnd) {
  auto child = Shell(Waits("7", directory_->path()));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_THAT(std::string((*child)->Stop().message()), HasSubstr("ended with 7"));
}

TEST_F(SpawnTest, DestructionEndsTheProcess) {
  auto child = Shell(Waits("0", directory_->path()));
  ASSERT_TRUE(child.ok()) << child.status();
  const pid_t pid = (*child)->pid();
  child->reset();
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(SpawnTest, AKilledProcessIsGoneAndHadNoTimeToEndInOrder) {
  const int64_t before = NowNanos();
  auto child = Shell(Waits("0", directory_->path()));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_GE((*child)->started(), before);
  EXPECT_LE((*child)->started(), NowNanos());
  const pid_t pid = (*child)->pid();
  EXPECT_TRUE((*child)->Kill().ok());
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_TRUE((*child)->Kill().ok());
  EXPECT_TRUE((*child)->Stop().ok());
}

TEST_F(SpawnTest, KillingTellsThatAProcessHadEndedByItself) {
  const auto child = Shell("echo thing ready a=b; echo out of luck >&2; exit 3");
  ASSERT_TRUE(child.ok()) << child.status();
  siginfo_t ended;
  // Waits for its end and leaves it to be waited for again.
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>((*child)->pid()), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_THAT(std::string((*child)->Kill().message()), HasSubstr("out of luck"));
}

TEST_F(SpawnTest, TellsHowAProcessEndedByItselfAndLeavesItToBeEnded) {
  const auto lives = Shell(Waits("0", directory_->path()));
  ASSERT_TRUE(lives.ok()) << lives.status();
  EXPECT_FALSE((*lives)->EndedByItself().has_value());
  EXPECT_TRUE((*lives)->Stop().ok());
  EXPECT_FALSE((*lives)->EndedByItself().has_value()) << "it was stopped from here";
  for (const auto& [script, code, how] : {std::tuple("exit 74", 74, "ended with 74"),
                                          std::tuple("kill -SEGV $$", -1, "ended by signal 11")}) {
    const auto child = Shell("echo thing ready a=b; echo out of luck >&2; " + std::string(script));
    ASSERT_TRUE(child.ok()) << child.status();
    siginfo_t ended;
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>((*child)->pid()), &ended, WEXITED | WNOWAIT), 0);
    const std::optional<Child::End> end = (*child)->EndedByItself();
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->exit_code, code);
    EXPECT_THAT(end->how, HasSubstr(how));
    EXPECT_THAT(end->how, HasSubstr("out of luck"));
    EXPECT_FALSE((*child)->Kill().ok());
    EXPECT_FALSE((*child)->EndedByItself().has_value());
  }
}

TEST_F(SpawnTest, ADirectoryIsMadeWhereAskedAndNamedWhereItCannotBe) {
  const auto inner = TemporaryDirectory::CreateIn(directory_->path());
  ASSERT_TRUE(inner.ok()) << inner.status();
  EXPECT_EQ((*inner)->path().parent_path(), directory_->path());
  EXPECT_THAT(std::string(TemporaryDirectory::CreateIn(directory_->path() / "absent").status().message()),
              HasSubstr("absent"));
}

TEST_F(SpawnTest, AnEarlyEndShowsTheLog) {
  const auto child = Shell("echo no such luck >&2; exit 3");
  ASSERT_FALSE(child.ok());
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("no such luck"));
}

TEST_F(SpawnTest, NoProgramNoChild) {
  ChildOptions options;
  options.program = directory_->path() / "absent";
  EXPECT_EQ(StartChild(options).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SpawnTest, TheDirectoryGoesWithItsOwner) {
  std::filesystem::path path;
  {
    const auto directory = *TemporaryDirectory::Create();
    path = directory->path();
    std::ofstream(path / "file") << "x";
    EXPECT_TRUE(std::filesystem::exists(path / "file"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace engram
