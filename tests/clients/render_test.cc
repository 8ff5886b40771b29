#include "clients/cli/render.h"

#include <gtest/gtest.h>

#include <string>

namespace engram {
namespace {

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("gr\u00fc\u00df"), 4u);
  EXPECT_EQ(DisplayWidth("\u8a18\u61b6"), 4u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);
  EXPECT_EQ(DisplayWidth("\U0001f9e0"), 2u);
  EXPECT_EQ(DisplayWidth("\xff\xfe"), 2u);
}

TEST(CutTo, NeverPassesTheWidthNorSplitsACharacter) {
  EXPECT_EQ(CutTo("memory", 6), "memory");
  EXPECT_EQ(CutTo("memory", 5), "memo\u2026");
  EXPECT_EQ(CutTo("memory", 0), "memory");
  EXPECT_EQ(CutTo("\u8a18\u61b6\u8a18\u61b6", 6), "\u8a18\u61b6\u2026");
  for (size_t width = 1; width < 12; ++width) EXPECT_LE(DisplayWidth(CutTo("\u8a18a\u61b6b\u8a18c", width)), width);
}

TEST(Printable, TakesAwayWhatWouldSteerTheTerminal) {
  EXPECT_EQ(Printable("a\nb\t\tc"), "a b c");
  EXPECT_EQ(Printable("\x1b]0;title\x07\x1b[2Jx"), " ]0;title [2Jx");
  EXPECT_EQ(Printable("\xc2\x9b[31m"), " [31m");
  EXPECT_EQ(Printable("a\u202eb"), "a b");
  EXPECT_EQ(Printable("\xffz"), "\xef\xbf\xbdz");
  EXPECT_EQ(Printable("gr\u00fc\u00df \u8a18"), "gr\u00fc\u00df \u8a18");
  EXPECT_EQ(Printable("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd") << "an overlong slash";
}

TEST(Table, AlignsColumnsAndCutsTheLast) {
  Table table({{"#", true}, {"id"}, {"text"}});
  table.Add({"1", "a", "short"});
  table.Add({"10", "\u8a18\u61b6", "a text that is longer than the terminal is wide"});
  EXPECT_EQ(table.Render({}),
            " #  id    text\n 1  a     short\n10  \u8a18\u61b6  a text that is longer than the terminal is wide\n");
  Terminal narrow;
  narrow.width = 24;
  EXPECT_EQ(table.Render(narrow), " #  id    text\n 1  a     short\n10  \u8a18\u61b6  a text that i\u2026\n");
}

TEST(Table, ColoursOnlyWhereAsked) {
  Table table({{"id"}});
  Terminal terminal;
  EXPECT_EQ(table.Render(terminal).find('\x1b'), std::string::npos);
  terminal.colour = true;
  EXPECT_NE(table.Render(terminal).find('\x1b'), std::string::npos);
}

TEST(Figures, AreShortAndTrue) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1234567), "1,234,567");
  EXPECT_EQ(Rough(0), "0");
  EXPECT_EQ(Rough(2.5), "2.5");
  EXPECT_EQ(Rough(1240), "1.24 K");
  EXPECT_EQ(Rough(12'300'000), "12.3 M");
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(3ull << 30), "3.0 GiB");
}

TEST(Bar, FillsByTheShare) {
  EXPECT_EQ(Bar(0, 4), "[....]");
  EXPECT_EQ(Bar(0.5, 4), "[##..]");
  EXPECT_EQ(Bar(1, 4), "[####]");
  EXPECT_EQ(Bar(7, 4), "[####]");
  EXPECT_EQ(Bar(0.001, 4), "[#...]") << "a little is not nothing";
}

}  // namespace
}  // namespace engram
