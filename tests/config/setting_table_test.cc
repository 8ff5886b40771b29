#include "config/setting_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "config/fault.h"

namespace engram {
namespace {

TEST(SettingTable, NamesAreUnique) {
  std::set<std::string> paths, variables;
  for (const SettingRow& row : SettingTable()) {
    EXPECT_TRUE(paths.insert(std::string(row.path)).second) << row.path;
    EXPECT_TRUE(variables.insert(row.environment).second) << row.environment;
    EXPECT_FALSE(IsSettingGroup(row.path)) << row.path;
    EXPECT_NE(row.environment, "ENGRAM_CONFIG");
    EXPECT_NE(row.environment, "ENGRAM_PROFILE");
  }
  EXPECT_EQ(EnvironmentName("limits.per_space_quotas.bytes"), "ENGRAM_LIMITS_PER_SPACE_QUOTAS_BYTES");
}

TEST(SettingTable, DefaultsAreAcceptedAndPrintAsThemselves) {
  Settings settings;
  for (const SettingRow& row : SettingTable()) {
    const absl::Status status = row.parse(row.default_text, settings);
    EXPECT_TRUE(status.ok()) << row.path << ": " << status;
    EXPECT_EQ(row.format(settings), row.default_text) << row.path;
    EXPECT_FALSE(row.help.empty()) << row.path;
  }
  EXPECT_EQ(settings, Settings());
}

TEST(SettingTable, RefusalSaysWhatIsAllowedAndChangesNothing) {
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {"num_workers", "17", R"("17" is above the limit; allowed: a whole number from 1 to 16)"},
      {"num_workers", "0", R"("0" is below the limit; allowed: a whole number from 1 to 16)"},
      {"queue.high_priority_ratio", "0.51", R"("0.51" is above the limit; allowed: a number from 0 to 0.5)"},
      {"idle_sleep_ms", "101",
       R"("101" is above the limit; allowed: 0 to 100 in whole milliseconds, or with a unit: us, ms, s or m)"},
      {"idle_sleep_ms", "250us",
       "\"250us\" is finer than a millisecond; allowed: 0 to 100 in whole milliseconds, or with a unit: us, ms, s or "
       "m"},
      {"queue.max_wait", "61s", R"("61s" is above the limit; allowed: 0s to 1m, with a unit: us, ms, s or m)"},
      {"limits.max_id_bytes", "2KiB",
       R"("2KiB" is above the limit; allowed: 16 to 1KiB, in bytes or with B, KiB, MiB, GiB or TiB)"},
      {"spaces.auto_create", "yes", R"("yes" is not a flag; write true; allowed: true or false)"},
      {"log.level", "", "is empty; allowed: debug, info, warning or error"},
      {"log.level", "waring",
       R"("waring" is none of the choices; allowed: debug, info, warning or error; did you mean warning?)"},
      {"metrics.address", "9464", R"("9464" has no port; allowed: IPV4:PORT, [IPV6]:PORT or HOST:PORT)"},
  };
  for (const auto& [path, text, message] : cases) {
    Settings settings;
    const absl::Status status = FindSetting(path)->parse(text, settings);
    ASSERT_FALSE(status.ok()) << path << " " << text;
    EXPECT_EQ(MessageOf(status), message);
    EXPECT_EQ(settings, Settings());
  }
}

TEST(SettingTable, FindsPathsAndGroups) {
  EXPECT_NE(FindSetting("queue.capacity"), nullptr);
  EXPECT_EQ(FindSetting("queue"), nullptr);
  EXPECT_TRUE(IsSettingGroup("queue"));
  EXPECT_TRUE(IsSettingGroup("limits.per_space_quotas"));
  EXPECT_FALSE(IsSettingGroup("que"));
  EXPECT_FALSE(IsSettingGroup("queue.capacity"));
  EXPECT_FALSE(IsSettingGroup(""));
}

TEST(SettingTable, CopyMovesOneSetting) {
  for (const SettingRow& row : SettingTable()) {
    Settings from, to;
    from.num_workers = 7;
    row.copy(from, to);
    EXPECT_EQ(to.num_workers, row.path == "num_workers" ? 7u : 4u) << row.path;
  }
}

}  // namespace
}  // namespace engram
