#include "config/reference.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "config/setting_table.h"

namespace engram {
namespace {

TEST(Reference, CommittedPageIsFresh) {
  std::ifstream in("docs/configuration.md");
  const std::string committed((std::istreambuf_iterator<char>(in)), {});
  EXPECT_TRUE(committed == RenderReference())
      << "docs/configuration.md is stale; run: engramd --print-config-reference > docs/configuration.md";
}

TEST(Reference, NamesEverySetting) {
  const std::string page = RenderReference();
  for (const SettingRow& row : SettingTable()) {
    EXPECT_NE(page.find("| `" + std::string(row.path) + "`<br>`" + row.environment + "` |"), std::string::npos)
        << row.path;
  }
}

}  // namespace
}  // namespace engram
