#include "config/parse_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "config/fault.h"

namespace engram {
namespace {

using std::chrono::microseconds;

std::string Message(const absl::Status& status) { return std::string(MessageOf(status)); }

TEST(ParseCount, TakesDigits) {
  EXPECT_EQ(*ParseCount("0"), 0u);
  EXPECT_EQ(*ParseCount("500"), 500u);
  EXPECT_EQ(*ParseCount("18446744073709551615"), UINT64_MAX);
}

struct Refused {
  std::string_view text;
  std::string_view message;
};

TEST(ParseCount, RefusesTraps) {
  const Refused cases[] = {
      {"", R"("" is empty)"},
      {"010", R"("010" has a leading zero, which some read as octal)"},
      {"00", R"("00" has a leading zero, which some read as octal)"},
      {"0x10", R"("0x10" is not in decimal)"},
      {"0b1", R"("0b1" is not in decimal)"},
      {"1_000", R"("1_000" has a separator between its digits)"},
      {"1,000", R"("1,000" has a separator between its digits)"},
      {"1'000", R"("1'000" has a separator between its digits)"},
      {"+5", R"("+5" has a sign)"},
      {"-5", R"("-5" has a sign)"},
      {"18446744073709551616", R"("18446744073709551616" is too large)"},
      {"99999999999999999999999999", R"("99999999999999999999999999" is too large)"},
      {"nan", R"("nan" is not a finite number)"},
      {".inf", R"(".inf" is not a finite number)"},
      {"1e3", R"("1e3" has an exponent)"},
      {"1.5", R"("1.5" has a fraction)"},
      {"5ms", R"("5ms" has a unit, and this is a count)"},
      {"5 MiB", R"("5 MiB" has a unit, and this is a count)"},
      {"10%", R"("10%" has a unit, and this is a count)"},
      {" 5", R"(" 5" has a space at its start or end)"},
      {"four", R"("four" is not a whole number)"},
      {"4\n", R"("4\n" is not a whole number)"},
      {"4:30", R"("4:30" is not a whole number)"},
  };
  for (const Refused& refused : cases) {
    const auto parsed = ParseCount(refused.text);
    ASSERT_FALSE(parsed.ok()) << refused.text;
    EXPECT_EQ(Message(parsed.status()), refused.message);
  }
}

TEST(ParseRatio, TakesDecimals) {
  EXPECT_EQ(*ParseRatio("0"), 0.0);
  EXPECT_EQ(*ParseRatio("0.1"), 0.1);
  EXPECT_EQ(*ParseRatio("12.50"), 12.5);
}

TEST(ParseRatio, RefusesTraps) {
  const Refused cases[] = {
      {".5", R"(".5" is not a decimal number)"},
      {"1.", R"("1." is not a decimal number)"},
      {"1.2.3", R"("1.2.3" is not a decimal number)"},
      {"10%", R"("10%" is a percentage; write 10% as 0.1)"},
      {"1e-1", R"("1e-1" has an exponent)"},
      {"1.5e2", R"("1.5e2" has an exponent)"},
      {".nan", R"(".nan" is not a finite number)"},
      {"-0.1", R"("-0.1" has a sign)"},
      {"0,1", R"("0,1" has a separator between its digits)"},
      {"00.1", R"("00.1" has a leading zero, which some read as octal)"},
  };
  for (const Refused& refused : cases) {
    const auto parsed = ParseRatio(refused.text);
    ASSERT_FALSE(parsed.ok()) << refused.text;
    EXPECT_EQ(Message(parsed.status()), refused.message);
  }
  EXPECT_FALSE(ParseRatio(std::string(400, '9')).ok());
}

TEST(ParseBytes, TakesBinaryUnits) {
  EXPECT_EQ(*ParseBytes("65536"), 65536u);
  EXPECT_EQ(*ParseBytes("7B"), 7u);
  EXPECT_EQ(*ParseBytes("512KiB"), 524288u);
  EXPECT_EQ(*ParseBytes("64MiB"), 67108864u);
  EXPECT_EQ(*ParseBytes("64 MiB"), 67108864u);
  EXPECT_EQ(*ParseBytes("1GiB"), 1073741824u);
  EXPECT_EQ(*ParseBytes("2TiB"), 2199023255552u);
}

TEST(ParseBytes, RefusesTraps) {
  const Refused cases[] = {
      {"64KB", R"("64KB" has the unit KB, which some read as 1000s and some as 1024s; write KiB for 1024s)"},
      {"64k", R"("64k" has the unit k, which some read as 1000s and some as 1024s; write KiB for 1024s)"},
      {"1gb", R"("1gb" has the unit gb, which some read as 1000s and some as 1024s; write GiB for 1024s)"},
      {"64mib", R"("64mib" has the unit mib in the wrong case, which is written MiB)"},
      {"5ms", R"("5ms" has the unit "ms", which is none here)"},
      {"1.5GiB", R"("1.5GiB" has a fraction; write it whole in a smaller unit)"},
      {"64  MiB", R"("64  MiB" has the unit " MiB", which is none here)"},
      {"MiB", R"("MiB" is not a size)"},
      {"16777216TiB", R"("16777216TiB" is too large)"},
      {"18446744073709551616B", R"("18446744073709551616B" is too large)"},
      {"0x10MiB", R"("0x10MiB" is not in decimal)"},
  };
  for (const Refused& refused : cases) {
    const auto parsed = ParseBytes(refused.text);
    ASSERT_FALSE(parsed.ok()) << refused.text;
    EXPECT_EQ(Message(parsed.status()), refused.message);
  }
}

TEST(ParseDuration, TakesUnits) {
  EXPECT_EQ(*ParseDuration("250us", BareNumber::kRefused), microseconds(250));
  EXPECT_EQ(*ParseDuration("5ms", BareNumber::kRefused), microseconds(5000));
  EXPECT_EQ(*ParseDuration("1s", BareNumber::kRefused), microseconds(1000000));
  EXPECT_EQ(*ParseDuration("2 m", BareNumber::kRefused), microseconds(120000000));
  EXPECT_EQ(*ParseDuration("0", BareNumber::kRefused), microseconds(0));
  EXPECT_EQ(*ParseDuration("5", BareNumber::kMillis), microseconds(5000));
  EXPECT_EQ(*ParseDuration("5ms", BareNumber::kMillis), microseconds(5000));
}

TEST(ParseDuration, RefusesTraps) {
  const Refused cases[] = {
      {"5", R"("5" has no unit; write 5us, 5ms, 5s or 5m)"},
      {"5MS", R"("5MS" has the unit MS in the wrong case, which is written ms)"},
      {"5min", R"("5min" has the unit "min", which is none here)"},
      {"5h", R"("5h" has the unit "h", which is none here)"},
      {"5MiB", R"("5MiB" has the unit "MiB", which is none here)"},
      {"1.5s", R"("1.5s" has a fraction; write it whole in a smaller unit)"},
      {"-1s", R"("-1s" has a sign)"},
      {"05s", R"("05s" has a leading zero, which some read as octal)"},
      {"9223372036854775808us", R"("9223372036854775808us" is too large)"},
      {"9223372036854775807m", R"("9223372036854775807m" is too large)"},
      {"ms", R"("ms" is not a duration)"},
  };
  for (const Refused& refused : cases) {
    const auto parsed = ParseDuration(refused.text, BareNumber::kRefused);
    ASSERT_FALSE(parsed.ok()) << refused.text;
    EXPECT_EQ(Message(parsed.status()), refused.message);
  }
}

TEST(ParseFlag, TakesTrueAndFalseAlone) {
  EXPECT_TRUE(*ParseFlag("true"));
  EXPECT_FALSE(*ParseFlag("false"));
  EXPECT_EQ(Message(ParseFlag("yes").status()), R"("yes" is not a flag; write true)");
  EXPECT_EQ(Message(ParseFlag("Off").status()), R"("Off" is not a flag; write false)");
  EXPECT_EQ(Message(ParseFlag("TRUE").status()), R"("TRUE" is not a flag; write true)");
  EXPECT_EQ(Message(ParseFlag("maybe").status()), R"("maybe" is not a flag)");
  EXPECT_EQ(Message(ParseFlag("").status()), R"("" is empty)");
}

TEST(Format, IsShortAndParsesBack) {
  EXPECT_EQ(FormatBytes(0), "0");
  EXPECT_EQ(FormatBytes(256), "256");
  EXPECT_EQ(FormatBytes(65536), "64KiB");
  EXPECT_EQ(FormatBytes(65537), "65537");
  EXPECT_EQ(FormatDuration(microseconds(0)), "0s");
  EXPECT_EQ(FormatDuration(microseconds(1000000)), "1s");
  EXPECT_EQ(FormatDuration(microseconds(90000000)), "90s");
  EXPECT_EQ(FormatDuration(microseconds(1500)), "1500us");
  EXPECT_EQ(FormatRatio(0.1), "0.1");
  EXPECT_EQ(FormatRatio(0), "0");
  EXPECT_EQ(FormatRatio(1e-7), "0.0000001");

  const uint64_t seed = 20240611;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = random() >> (random() % 64);
    EXPECT_EQ(*ParseBytes(FormatBytes(bits)), bits);
    const microseconds duration(static_cast<int64_t>(bits >> 1));
    EXPECT_EQ(*ParseDuration(FormatDuration(duration), BareNumber::kRefused), duration);
    const double ratio = std::uniform_real_distribution<double>(0, 1)(random);
    EXPECT_EQ(*ParseRatio(FormatRatio(ratio)), ratio);
  }
}

}  // namespace
}  // namespace engram
