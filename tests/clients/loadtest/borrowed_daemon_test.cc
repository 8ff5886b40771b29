#include "loadtest/borrowed_daemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using ::testing::HasSubstr;

Scenario Parsed(const std::string& more) {
  return *ParseScenario("name: s\nload: {shape: [{for: 1s, rate: 1}]}\n" + more, false);
}

TEST(CheckForBorrowed, NamesEverythingThatNeedsADaemonOfOnesOwn) {
  const absl::Status status = CheckForBorrowed(Parsed(
      "events: [{at: 1s, kill: 1s}, {at: 2s, freeze: 1s}, {at: 3s, fault: broken-disk}, {at: 4s, fault: full-disk}]"));
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  const std::string message(status.message());
  for (const char* what : {"kill at 1 s", "freeze at 2 s", "fault broken-disk at 3 s"}) {
    EXPECT_THAT(message, HasSubstr(what));
  }
  EXPECT_THAT(message, ::testing::Not(HasSubstr("at 4 s")));
}

TEST(CheckForBorrowed, LetsTheRestBe) {
  EXPECT_TRUE(CheckForBorrowed(Parsed("events: [{at: 1s, fault: slow-disk, delay: 1ms}]")).ok());
  // It is asked as it is, and the caller warned.
  EXPECT_TRUE(CheckForBorrowed(Parsed("pass: {verify_after_kill: true}")).ok());
}

}  // namespace
}  // namespace engram
