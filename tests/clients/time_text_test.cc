#include "clients/cli/time_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace engram {
namespace {

TEST(ParseDuration, ReadsEveryUnitAndSumsThem) {
  EXPECT_EQ(ParseDuration("7us").value(), 7);
  EXPECT_EQ(ParseDuration("250ms").value(), 250'000);
  EXPECT_EQ(ParseDuration("10s").value(), 10'000'000);
  EXPECT_EQ(ParseDuration("1h30m").value(), 5'400'000'000);
  EXPECT_EQ(ParseDuration("2d").value(), 172'800'000'000);
  EXPECT_EQ(ParseDuration("1.5s").value(), 1'500'000);
  EXPECT_EQ(ParseDuration("0").value(), 0);
}

TEST(ParseDuration, NamesTheTextItRefuses) {
  for (const char* text : {"", "10", "s", "-5s", "10x", "1h30", "1e3s", "nan s", "9999999999999d", "1 s"}) {
    const auto status = ParseDuration(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(std::string(status.message()).find("\"" + std::string(text) + "\""), std::string::npos) << status;
  }
}

TEST(FormatDuration, IsReadBackExactly) {
  EXPECT_EQ(FormatDuration(5'400'000'000), "1h30m");
  EXPECT_EQ(FormatDuration(0), "0");
  std::mt19937_64 random(11);
  for (int i = 0; i < 1000; ++i) {
    const int64_t micros = static_cast<int64_t>(random() >> (12 + random() % 50));
    EXPECT_EQ(ParseDuration(FormatDuration(micros)).value(), micros) << FormatDuration(micros);
  }
}

TEST(FormatDurationRough, HasThreeFigures) {
  EXPECT_EQ(FormatDurationRough(640), "640 us");
  EXPECT_EQ(FormatDurationRough(1'240), "1.24 ms");
  EXPECT_EQ(FormatDurationRough(12'300'000), "12.3 s");
  EXPECT_EQ(FormatDurationRough(75'000'000), "1 m 15 s");
  EXPECT_EQ(FormatDurationRough(8'000'000'000), "2 h 13 m");
}

TEST(ParseInstant, ReadsTheFormsPeopleWrite) {
  constexpr int64_t kNow = 1'800'000'000'000'000;
  EXPECT_EQ(ParseInstant("1970-01-02", kNow).value(), 86'400'000'000);
  EXPECT_EQ(ParseInstant("2026-03-01T12:00:00Z", kNow).value(), 1'772'366'400'000'000);
  EXPECT_EQ(ParseInstant("2026-03-01T12:00:00", kNow).value(), 1'772'366'400'000'000);
  EXPECT_EQ(ParseInstant("2026-03-01 14:00:00+02:00", kNow).value(), 1'772'366'400'000'000);
  EXPECT_EQ(ParseInstant("2026-03-01T06:30:00-0530", kNow).value(), 1'772'366'400'000'000);
  EXPECT_EQ(ParseInstant("2026-03-01T12:00:00.000001Z", kNow).value(), 1'772'366'400'000'001);
  EXPECT_EQ(ParseInstant("2024-02-29", kNow).value(), 1'709'164'800'000'000);
  EXPECT_EQ(ParseInstant("now", kNow).value(), kNow);
  EXPECT_EQ(ParseInstant("-24h", kNow).value(), kNow - 86'400'000'000);
  EXPECT_EQ(ParseInstant("1772366400000000", kNow).value(), 1'772'366'400'000'000);
}

TEST(ParseInstant, RefusesWhatIsNoTime) {
  for (const char* text : {"", "yesterday", "2026-13-01", "2026-02-29", "2026-03-01X", "2026-03-01T25:00:00Z",
                           "2026-03-01T12", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00+2", "26-03-01", "-24"}) {
    const auto parsed = ParseInstant(text, 0);
    if (std::string(text) == "-24") {
      EXPECT_EQ(parsed.value(), -24) << "whole numbers are microseconds";
    } else {
      EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    }
  }
}

TEST(FormatLatency, ClaimsNothingBelowTheFirstBound) {
  EXPECT_EQ(FormatLatency(0), "< 1 ms");
  EXPECT_EQ(FormatLatency(999), "< 1 ms");
  EXPECT_EQ(FormatLatency(1000), FormatDurationRough(1000));
  EXPECT_EQ(FormatLatency(2500), FormatDurationRough(2500));
}

TEST(FormatInstant, IsReadBackExactly) {
  EXPECT_EQ(FormatInstant(1'772'366'400'000'000), "2026-03-01T12:00:00Z");
  EXPECT_EQ(FormatInstant(1'772'366'400'500'000), "2026-03-01T12:00:00.500Z");
  EXPECT_EQ(FormatInstant(-1), "1969-12-31T23:59:59.999999Z");
  std::mt19937_64 random(12);
  for (int i = 0; i < 1000; ++i) {
    const int64_t micros = static_cast<int64_t>(random() % 8'000'000'000'000'000);
    EXPECT_EQ(ParseInstant(FormatInstant(micros), 0).value(), micros) << FormatInstant(micros);
  }
}

}  // namespace
}  // namespace engram
