#include "loadtest/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kWhole = R"(
name: burst
about: ten times as much
daemon: {profile: low_latency, set: [num_workers=2]}
load:
  shape:
    - {for: 10s, rate: 100}
    - {for: 1m, rate: 100, to: 200}
  spaces: 3
  slow_readers: 1
recalls: {rate: 50, by_id: 2}
events:
  - {at: 5s, fault: slow-disk, delay: 20ms, for: 3s}
  - {at: 6s, kill: 500ms}
  - {at: 7s, freeze: 2s}
pass: {recall_p99: 10ms, observe_p99_at_least: 20ms, memory: 512MiB, recalls_answered: 0.98, verify_after_kill: true}
short:
  load: {shape: [{for: 2s, rate: 10}]}
  events: []
)";

TEST(Scenario, ReadsTheWholeForm) {
  const auto scenario = ParseScenario(kWhole, false);
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  EXPECT_EQ(scenario->name, "burst");
  EXPECT_EQ(scenario->daemon.profile, "low_latency");
  EXPECT_THAT(scenario->daemon.set, ElementsAre("num_workers=2"));
  ASSERT_EQ(scenario->load.shape.size(), 2u);
  EXPECT_EQ(scenario->load.shape[1].seconds, 60);
  EXPECT_EQ(scenario->load.shape[1].to, 200);
  ASSERT_EQ(scenario->events.size(), 3u);
  EXPECT_EQ(scenario->events[0].fault.kind(), v1::SLOW_DISK);
  EXPECT_EQ(scenario->events[0].fault.delay_us(), 20'000);
  EXPECT_EQ(scenario->events[0].fault.duration_us(), 3'000'000);
  EXPECT_EQ(scenario->events[1].kind, LoadEvent::Kind::kKill);
  EXPECT_EQ(scenario->events[1].for_seconds, 0.5);
  EXPECT_EQ(scenario->events[0].goes_on_seconds(), 3);
  EXPECT_EQ(scenario->events[2].goes_on_seconds(), 0);
  EXPECT_EQ(scenario->pass.recall_p99_seconds, 0.01);
  EXPECT_EQ(scenario->pass.observe_p99_at_least_seconds, 0.02);
  EXPECT_EQ(scenario->pass.memory_bytes, uint64_t{512} << 20);
  EXPECT_TRUE(scenario->pass.verify_after_kill);
  EXPECT_EQ(scenario->pass.recalls_answered_share, 0.98);
}

TEST(Scenario, TheShortFormReplacesWhatItNamesAndNothingElse) {
  const auto scenario = ParseScenario(kWhole, true);
  ASSERT_TRUE(scenario.ok()) << scenario.status();
  ASSERT_EQ(scenario->load.shape.size(), 1u);
  EXPECT_EQ(scenario->load.shape[0].seconds, 2);
  EXPECT_EQ(scenario->load.spaces, 3u);
  EXPECT_TRUE(scenario->events.empty());
  EXPECT_EQ(scenario->recalls.by_id, 2u);
}

TEST(Scenario, NamesWhatIsWrongAndWhatIsAllowed) {
  const auto fault_of = [](const std::string& text) {
    return std::string(ParseScenario(text, false).status().message());
  };
  const std::string load = "load: {shape: [{for: 1s, rate: 1}]}\n";
  EXPECT_THAT(fault_of("- 1"), HasSubstr("no map"));
  EXPECT_THAT(fault_of("name: x"), HasSubstr("load: needs a shape"));
  EXPECT_THAT(fault_of(load + "lod: 1"), HasSubstr("lod is not known"));
  EXPECT_THAT(fault_of(load + "pass: {recal_p99: 1s}"), HasSubstr("recal_p99 is not known"));
  EXPECT_THAT(fault_of(load + "pass: {recall_p99: 10}"), HasSubstr("'10' is no number with a unit"));
  EXPECT_THAT(fault_of(load + "pass: {recalls_answered: 1.5}"), HasSubstr("recalls_answered: 1.5; allowed: 0 to 1"));
  EXPECT_EQ(ParseScenario(load, false)->pass.recalls_answered_share, 1);
  EXPECT_THAT(fault_of(load + "recalls: {callers: 0}"), HasSubstr("callers: 0; allowed: 1 to 256"));
  EXPECT_THAT(fault_of(load + "events: [{at: 1s}]"), HasSubstr("needs one of fault, kill, freeze"));
  EXPECT_THAT(fault_of(load + "events: [{at: 1s, fault: rain}]"), HasSubstr("no fault 'rain'; there are stall-workers"));
  EXPECT_THAT(fault_of("load: {shape: [{for: 1s}]}"), HasSubstr("shape 1: needs `for` and `rate`"));
}

TEST(Scenario, EveryShippedOneCanBeReadInBothForms) {
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(ENGRAM_SCENARIOS)) {
    for (const bool brief : {false, true}) {
      const auto scenario = ReadScenario(entry.path(), brief);
      ASSERT_TRUE(scenario.ok()) << scenario.status();
      EXPECT_EQ(scenario->name, entry.path().stem().string());
      // What is acknowledged outlives the daemon, whatever the load was.
      EXPECT_TRUE(scenario->pass.verify_after_kill) << scenario->name;
    }
    ++read;
  }
  EXPECT_GE(read, 10);
}

}  // namespace
}  // namespace engram
