#include "config/profiles.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "config/loader.h"

namespace engram {
namespace {

using std::chrono::milliseconds;

Settings Load(std::string_view profile) {
  LoadRequest request;
  request.profile = std::string(profile);
  request.cores = 64;
  const LoadResult result = LoadConfig(request);
  EXPECT_TRUE(result.ok()) << RenderFaults(result.faults);
  EXPECT_EQ(RenderFaults(result.warnings), "");
  EXPECT_EQ(result.origins.at("num_workers"), "profile " + std::string(profile));
  return result.settings;
}

// What a profile is: the defaults with these changed.
Settings With(std::string profile, uint64_t workers, uint64_t least, uint64_t most, int idle_ms, uint64_t capacity,
              double ratio, uint64_t steal) {
  Settings settings;
  settings.profile = std::move(profile);
  settings.num_workers = workers;
  settings.min_batch_size = least;
  settings.max_batch_size = most;
  settings.idle_sleep_ms = milliseconds(idle_ms);
  settings.queue_capacity = capacity;
  settings.queue_high_priority_ratio = ratio;
  settings.steal_threshold = steal;
  return settings;
}

TEST(Profiles, HaveTheirNumbers) {
  EXPECT_EQ(Load("low_latency"), With("low_latency", 8, 10, 50, 0, 10000, 0.2, 100));
  Settings high_throughput = With("high_throughput", 4, 100, 1000, 5, 100000, 0.05, 5000);
  high_throughput.recall_budget_ms = milliseconds(50);
  EXPECT_EQ(Load("high_throughput"), high_throughput);
  EXPECT_EQ(Load("balanced"), With("balanced", 4, 10, 500, 1, 10000, 0.1, 1000));

  Settings memory_constrained = With("memory_constrained", 2, 10, 100, 10, 1000, 0.1, 200);
  memory_constrained.hnsw_max_connections = 8;
  memory_constrained.queue_capacity_bytes = 20 << 20;
  EXPECT_EQ(Load("memory_constrained"), memory_constrained);

  Settings multi_tenant = With("multi_tenant", 8, 10, 100, 1, 50000, 0.15, 500);
  multi_tenant.limits_max_rate_per_tenant = 1000;
  EXPECT_EQ(Load("multi_tenant"), multi_tenant);
}

TEST(Profiles, BalancedIsTheDefault) { EXPECT_EQ(Load("balanced"), Settings()); }

TEST(Profiles, EmbeddedTextIsTheFiles) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator("config/profiles")) {
    files.insert(entry.path().stem());
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const Profile* profile = FindProfile(entry.path().stem().string());
    ASSERT_NE(profile, nullptr) << entry.path();
    EXPECT_EQ(profile->yaml, text) << entry.path();
  }
  EXPECT_EQ(files.size(), ShippedProfiles().size());
}

TEST(Profiles, AFileLoadsAsItself) {
  for (const Profile& profile : ShippedProfiles()) {
    LoadRequest request;
    request.file = "config/profiles/" + std::string(profile.name) + ".yaml";
    request.cores = 64;
    const LoadResult result = LoadConfig(request);
    EXPECT_TRUE(result.ok()) << RenderFaults(result.faults);
    Settings expected = Load(profile.name);
    // Copied into a file of one's own, a profile has only its values, not its name.
    expected.profile = "balanced";
    EXPECT_EQ(result.settings, expected) << profile.name;
  }
}

}  // namespace
}  // namespace engram
