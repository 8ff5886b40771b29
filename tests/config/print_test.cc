#include "config/print.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "config/loader.h"
#include "config/profiles.h"
#include "config/relations.h"
#include "config/setting_table.h"
#include "core/base/check.h"

namespace engram {
namespace {

LoadResult LoadBack(const std::string& text) {
  LoadRequest request;
  request.cores = 64;
  return LoadConfigText("printed.yaml", text, request);
}

// A text that the row accepts, often at the edge of its range.
std::string AnyValue(const SettingRow& row, std::mt19937_64& random) {
  const auto pick = [&](std::initializer_list<const char*> texts) {
    return *(texts.begin() + random() % texts.size());
  };
  for (int tries = 0; tries < 10000; ++tries) {
    std::string text;
    switch (row.type) {
      case SettingType::kCount:
      case SettingType::kMillis:
        text = std::to_string(random() >> (random() % 64));
        break;
      case SettingType::kBytes:
        text = std::to_string(random() >> (20 + random() % 44)) + pick({"", "B", "KiB", "MiB", "GiB"});
        break;
      case SettingType::kMicros:
        text = std::to_string(random() >> (30 + random() % 34)) + pick({"us", "ms", "s", "m"});
        break;
      case SettingType::kRatio:
        text = "0." + std::to_string(random() >> (random() % 64));
        break;
      case SettingType::kFlag:
        text = pick({"true", "false"});
        break;
      case SettingType::kChoice:
        text = pick({"debug", "info", "warning", "error", "text", "json", "fsync", "interval", "memory"});
        break;
      case SettingType::kAddress:
        text = pick({"", "[::1]:9464", "localhost:0", "0.0.0.0:65535"});
        break;
      case SettingType::kAddresses:
        text = pick({"[::]:1,unix:/tmp/a b\"c\\d.sock", "localhost:0", "unix:#not: a comment", "unix:h\xC3\xB6lle"});
        break;
      case SettingType::kText:
        text = pick(
            {"plain", "with \"quotes\" and \\", "# not a comment", "null", "key: value", "h\xC3\xB6lle", "- a", ""});
        break;
    }
    Settings scratch;
    if (row.parse(text, scratch).ok()) return text;
  }
  return row.default_text;
}

Settings AnySettings(std::mt19937_64& random) {
  while (true) {
    Settings settings;
    settings.profile = ShippedProfiles()[random() % ShippedProfiles().size()].name;
    for (const SettingRow& row : SettingTable()) {
      if (random() % 4 != 0) ENGRAM_CHECK(row.parse(AnyValue(row, random), settings).ok());
    }
    bool consistent = true;
    for (const BrokenRelation& broken : BrokenRelations(settings)) consistent = consistent && broken.only_warning;
    if (consistent) return settings;
  }
}

TEST(Print, LoadsBackAsItself) {
  const uint64_t seed = 4711;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 300; ++i) {
    const Settings settings = AnySettings(random);
    std::map<std::string, std::string> origins;
    for (const SettingRow& row : SettingTable())
      origins[std::string(row.path)] = "dir/with\nnewline: \"#'\x01.yaml:3:5";

    const std::string yaml = RenderYaml(settings, origins);
    const LoadResult from_yaml = LoadBack(yaml);
    ASSERT_TRUE(from_yaml.ok()) << RenderFaults(from_yaml.faults) << yaml;
    ASSERT_EQ(from_yaml.settings, settings) << yaml;

    // Of the JSON, the object under "settings" is a configuration; JSON is YAML.
    const std::string json = RenderJson(settings, origins);
    const size_t begin = json.find("\"settings\": ") + 12;
    const size_t end = json.find(",\n  \"origins\"");
    LoadResult from_json = LoadBack(json.substr(begin, end - begin));
    ASSERT_TRUE(from_json.ok()) << RenderFaults(from_json.faults) << json;
    from_json.settings.profile = settings.profile;
    ASSERT_EQ(from_json.settings, settings) << json;
  }
}

TEST(Print, ShowsWhereAValueComesFrom) {
  LoadRequest request;
  request.assignments = {"queue.max_wait=2m"};
  const LoadResult result = LoadConfigText("e.yaml", "num_workers: 1\n", request);
  const std::string yaml = RenderYaml(result.settings, result.origins);
  EXPECT_NE(yaml.find("\nnum_workers: 1                  # e.yaml:1:14\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("\nsteal_threshold: 1000           # profile balanced\n"), std::string::npos) << yaml;
  EXPECT_EQ(yaml.find("2m"), std::string::npos) << "refused, above its limit";
  const std::string json = RenderJson(result.settings, result.origins);
  EXPECT_NE(json.find("\"num_workers\": \"e.yaml:1:14\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"max_content_bytes\": 65536"), std::string::npos) << json;
  // Without origins nothing is said about them.
  EXPECT_EQ(RenderYaml(result.settings, {}).find('#'), std::string::npos);
}

}  // namespace
}  // namespace engram
