#include "config/relations.h"

#include <gtest/gtest.h>

#include "config/loader.h"
#include "config/setting_table.h"

namespace engram {
namespace {

TEST(Relations, HoldForTheDefaults) { EXPECT_TRUE(BrokenRelations(Settings()).empty()); }

TEST(Relations, EachBreaksAlone) {
  void (*const breaks[])(Settings&) = {
      [](Settings& s) { s.min_batch_size = s.max_batch_size + 1; },
      // Out of reach of the ranges as they are; the relation holds when they widen.
      [](Settings& s) { s.max_batch_size = s.queue_capacity + 1; },
      [](Settings& s) { s.hnsw_ef_construction = s.hnsw_max_connections - 1; },
      [](Settings& s) { s.limits_max_content_bytes = s.server_max_message_bytes; },
      [](Settings& s) { s.limits_max_dimension = s.server_max_message_bytes / 4; },
      [](Settings& s) { s.steal_threshold = s.queue_capacity; },
  };
  for (const auto& broken_by : breaks) {
    Settings settings;
    broken_by(settings);
    const std::vector<BrokenRelation> broken = BrokenRelations(settings);
    ASSERT_EQ(broken.size(), 1u);
    EXPECT_NE(FindSetting(broken[0].first), nullptr);
    EXPECT_NE(FindSetting(broken[0].second), nullptr);
  }
}

TEST(Relations, AStealThresholdOutOfReachIsAWarning) {
  LoadRequest request;
  request.cores = 64;
  const LoadResult result = LoadConfigText("e.yaml", "queue.capacity: 1000\n", request);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(
      RenderFaults(result.warnings),
      "e.yaml:1:17: queue.capacity: 1000 does not go with steal_threshold 1000 (profile balanced); allowed: more than "
      "steal_threshold, or no batch is ever stolen\n");
}

}  // namespace
}  // namespace engram
