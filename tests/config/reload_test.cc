#include "config/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/setting_table.h"

namespace engram {
namespace {

std::vector<std::string> Lines(const std::vector<SettingChange>& changes) {
  std::vector<std::string> lines;
  for (const SettingChange& change : changes) lines.push_back(change.Render());
  return lines;
}

TEST(Reload, NothingChanged) {
  const ReloadPlan plan = PlanReload(Settings(), Settings());
  EXPECT_TRUE(plan.applied.empty());
  EXPECT_TRUE(plan.needs_restart.empty());
  EXPECT_EQ(plan.settings, Settings());
}

TEST(Reload, SplitsLiveFromRestart) {
  Settings in_force;
  in_force.log_format = "json";
  Settings loaded = in_force;
  loaded.profile = "low_latency";
  loaded.num_workers = 8;
  loaded.max_batch_size = 50;
  loaded.queue_max_wait = std::chrono::milliseconds(1500);
  loaded.metrics_address = "";
  loaded.spaces_auto_create = false;
  const ReloadPlan plan = PlanReload(in_force, loaded);
  EXPECT_THAT(Lines(plan.applied),
              ::testing::ElementsAre("profile: balanced -> low_latency", "max_batch_size: 500 -> 50",
                                     "queue.max_wait: 1s -> 1500ms", "spaces.auto_create: true -> false"));
  EXPECT_THAT(Lines(plan.needs_restart),
              ::testing::ElementsAre("num_workers: 4 -> 8", "metrics.address: 127.0.0.1:9464 -> \"\""));
  EXPECT_TRUE(plan.faults.empty());

  Settings expected = in_force;
  expected.profile = "low_latency";
  expected.max_batch_size = 50;
  expected.queue_max_wait = std::chrono::milliseconds(1500);
  expected.spaces_auto_create = false;
  EXPECT_EQ(plan.settings, expected);

  // The next reload still knows what waits for a restart.
  const ReloadPlan next = PlanReload(plan.settings, loaded);
  EXPECT_TRUE(next.applied.empty());
  EXPECT_EQ(next.needs_restart, plan.needs_restart);
}

TEST(Reload, RefusesALiveValueThatContradictsAnOldOne) {
  Settings in_force;
  in_force.server_max_message_bytes = 131072;
  Settings loaded;
  loaded.limits_max_content_bytes = 1 << 20;
  const ReloadPlan plan = PlanReload(in_force, loaded);
  EXPECT_EQ(
      RenderFaults(plan.faults),
      "reload: limits.max_content_bytes: 1MiB does not go with server.max_message_bytes 128KiB, which stays in force "
      "until a restart; allowed: less than server.max_message_bytes, which carries it\n");
}

TEST(Reload, EverySettingIsOnOneSide) {
  for (const SettingRow& row : SettingTable()) {
    // Some other value than the default.
    Settings loaded;
    for (const char* text : {"17", "15", "2048", "65537", "0.3", "2s", "false", "true", "error", "json", "localhost:1", "memory", "48MiB", "f16", "elsewhere"}) {
      if (row.parse(text, loaded).ok() && row.format(loaded) != row.default_text) break;
    }
    ASSERT_NE(loaded, Settings()) << row.path;
    const ReloadPlan plan = PlanReload(Settings(), loaded);
    const bool live = row.apply == SettingApply::kLive;
    EXPECT_EQ(plan.applied.size(), live ? 1u : 0u) << row.path;
    EXPECT_EQ(plan.needs_restart.size(), live ? 0u : 1u) << row.path;
    EXPECT_EQ(plan.settings, live ? loaded : Settings()) << row.path;
  }
}

}  // namespace
}  // namespace engram
