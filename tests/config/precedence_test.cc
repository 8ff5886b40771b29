// Which source decides, and what each is called.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "config/loader.h"

namespace engram {
namespace {

constexpr const char* kKey = "steal_threshold";

LoadRequest OnManyCores() {
  LoadRequest request;
  request.cores = 64;
  return request;
}

TEST(Precedence, EachSourceBeatsTheNext) {
  LoadRequest request = OnManyCores();
  LoadResult result = LoadConfigText("e.yaml", "", request);
  EXPECT_EQ(result.settings, Settings());
  EXPECT_EQ(result.origins.at("queue.max_wait"), "default");
  EXPECT_EQ(result.origins.at(kKey), "profile balanced");
  EXPECT_EQ(result.origins.at("profile"), "default");

  request.profile = "low_latency";
  result = LoadConfigText("e.yaml", "", request);
  EXPECT_EQ(result.settings.steal_threshold, 100u);
  EXPECT_EQ(result.origins.at(kKey), "profile low_latency");
  EXPECT_EQ(result.origins.at("profile"), "--profile");

  const char* file = "# comment\n\nsteal_threshold: 200\n";
  result = LoadConfigText("e.yaml", file, request);
  EXPECT_EQ(result.settings.steal_threshold, 200u);
  EXPECT_EQ(result.origins.at(kKey), "e.yaml:3:18");

  request.environment["ENGRAM_STEAL_THRESHOLD"] = "300";
  result = LoadConfigText("e.yaml", file, request);
  EXPECT_EQ(result.settings.steal_threshold, 300u);
  EXPECT_EQ(result.origins.at(kKey), "environment ENGRAM_STEAL_THRESHOLD");

  request.assignments = {"steal_threshold=400", "steal_threshold=500"};
  result = LoadConfigText("e.yaml", file, request);
  EXPECT_EQ(result.settings.steal_threshold, 500u);
  EXPECT_EQ(result.origins.at(kKey), "--set");
  EXPECT_TRUE(result.ok()) << RenderFaults(result.faults);
}

TEST(Precedence, ProfileIsNamedByFlagThenEnvironmentThenFile) {
  LoadRequest request = OnManyCores();
  const char* file = "profile: multi_tenant\n";
  LoadResult result = LoadConfigText("e.yaml", file, request);
  EXPECT_EQ(result.settings.profile, "multi_tenant");
  EXPECT_EQ(result.origins.at("profile"), "e.yaml:1:10");

  request.environment["ENGRAM_PROFILE"] = "high_throughput";
  result = LoadConfigText("e.yaml", file, request);
  EXPECT_EQ(result.settings.profile, "high_throughput");
  EXPECT_EQ(result.settings.queue_capacity, 100000u);
  EXPECT_EQ(result.origins.at("profile"), "environment ENGRAM_PROFILE");

  request.profile = "memory_constrained";
  result = LoadConfigText("e.yaml", file, request);
  EXPECT_EQ(result.settings.profile, "memory_constrained");
  EXPECT_EQ(result.origins.at("profile"), "--profile");
  EXPECT_TRUE(result.ok());

  request.profile.reset();
  request.environment["ENGRAM_PROFILE"] = "";
  EXPECT_EQ(LoadConfigText("e.yaml", file, request).settings.profile, "multi_tenant");
}

TEST(Precedence, FileIsNamedByFlagThenEnvironment) {
  LoadRequest request = OnManyCores();
  request.environment["ENGRAM_CONFIG"] = "config/profiles/low_latency.yaml";
  EXPECT_EQ(LoadConfig(request).settings.steal_threshold, 100u);
  EXPECT_EQ(LoadConfig(request).origins.at(kKey), "config/profiles/low_latency.yaml:10:18");
  request.file = "config/profiles/high_throughput.yaml";
  EXPECT_EQ(LoadConfig(request).settings.steal_threshold, 5000u);
  request.file.reset();
  request.environment["ENGRAM_CONFIG"] = "";
  EXPECT_EQ(LoadConfig(request).settings, Settings());
}

TEST(Environment, FaultsAndWarnings) {
  LoadRequest request = OnManyCores();
  request.environment = {{"ENGRAM_QUEUE_CAPACITY", "10"},
                         {"ENGRAM_NUM_WORKERS", ""},
                         {"ENGRAM_METRICS_ADDRESS", ""},
                         {"ENGRAM_PORT", "tcp://10.0.0.1:50051"},
                         {"ENGRAM_NUM_WORKER", "2"},
                         {"ENGRAM_\x01", "2"},
                         {"HOME", "/root"}};
  const LoadResult result = LoadConfig(request);
  EXPECT_EQ(
      RenderFaults(result.faults),
      "environment ENGRAM_NUM_WORKERS: num_workers: \"\" is empty; allowed: a whole number from 1 to 16\n"
      "environment ENGRAM_QUEUE_CAPACITY: queue.capacity: \"10\" is below the limit; allowed: a whole number from "
      "1000 to 1000000\n");
  EXPECT_EQ(RenderFaults(result.warnings),
            "environment ENGRAM_\\x01: names no setting and is ignored\n"
            "environment ENGRAM_NUM_WORKER: names no setting and is ignored; did you mean ENGRAM_NUM_WORKERS?\n"
            "environment ENGRAM_PORT: names no setting and is ignored\n");
  EXPECT_EQ(result.settings.metrics_address, "");
}

TEST(Environment, PassesOverWhatIsTheClientsAndTheTests) {
  LoadRequest request = OnManyCores();
  request.environment = {{"ENGRAM_ADDRESS", "127.0.0.1:50051"}, {"ENGRAM_SEED", "7"}};
  const LoadResult result = LoadConfig(request);
  EXPECT_EQ(RenderFaults(result.faults), "");
  EXPECT_EQ(RenderFaults(result.warnings), "");
  EXPECT_EQ(result.settings, Settings());
}

TEST(Environment, OfTheProcessIsWhatStartsWithEngram) {
  ASSERT_EQ(setenv("ENGRAM_TEST_VARIABLE", "a=b", 1), 0);
  const auto environment = ProcessEnvironment();
  EXPECT_EQ(environment.at("ENGRAM_TEST_VARIABLE"), "a=b");
  EXPECT_EQ(environment.count("PATH"), 0u);
  unsetenv("ENGRAM_TEST_VARIABLE");
}

TEST(Flags, EveryFaultIsNamed) {
  LoadRequest request = OnManyCores();
  request.profile = "low-latency";
  request.assignments = {"queue.capacity",   "=3",      "num_workers=",    "queu.capacity=2000",
                         "profile=balanced", "bogus=1", "metrics.address="};
  const LoadResult result = LoadConfig(request);
  EXPECT_EQ(RenderFaults(result.faults),
            "--profile: profile: \"low-latency\" is no profile; allowed: balanced, low_latency, high_throughput, "
            "memory_constrained or multi_tenant; did you mean low_latency?\n"
            "--set: \"queue.capacity\" is not KEY=VALUE\n"
            "--set: \"=3\" is not KEY=VALUE\n"
            "--set: num_workers: \"\" is empty; allowed: a whole number from 1 to 16\n"
            "--set: queu.capacity: no such setting; did you mean queue.capacity?\n"
            "--set: profile: is not set like this; allowed: --profile NAME\n"
            "--set: bogus: no such setting; engramd --print-config names them all\n");
  EXPECT_EQ(result.settings.metrics_address, "");
  EXPECT_EQ(result.settings.profile, "balanced");
}

TEST(Relations, AreReportedWhereTheStrongerSourceIs) {
  LoadRequest request = OnManyCores();
  request.profile = "low_latency";
  LoadResult result = LoadConfigText("e.yaml", "min_batch_size: 60\n", request);
  EXPECT_EQ(
      RenderFaults(result.faults),
      "e.yaml:1:17: min_batch_size: 60 does not go with max_batch_size 50 (profile low_latency); allowed: at most "
      "max_batch_size\n");

  request.assignments = {"max_batch_size=30"};
  result = LoadConfigText("e.yaml", "min_batch_size: 60\n", request);
  EXPECT_EQ(RenderFaults(result.faults),
            "--set: max_batch_size: 30 does not go with min_batch_size 60 (e.yaml:1:17); allowed: at least "
            "min_batch_size\n");

  // A value that was refused says nothing about its neighbours, until a stronger source gives another.
  request.assignments = {};
  result = LoadConfigText("e.yaml", "min_batch_size: 60\nmax_batch_size: ten\n", request);
  EXPECT_EQ(result.faults.size(), 1u) << RenderFaults(result.faults);
  request.assignments = {"max_batch_size=30"};
  result = LoadConfigText("e.yaml", "min_batch_size: 60\nmax_batch_size: ten\n", request);
  EXPECT_EQ(result.faults.size(), 2u) << RenderFaults(result.faults);
}

TEST(Warnings, WorkersAboveTheCores) {
  LoadRequest request;
  request.cores = 2;
  LoadResult result = LoadConfig(request);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(RenderFaults(result.warnings),
            "profile balanced: num_workers: 4 is above the 2 cores this process may use; workers will take turns\n");
  request.cores = 4;
  EXPECT_TRUE(LoadConfig(request).warnings.empty());
  request.cores = 1;
  request.assignments = {"num_workers=2"};
  EXPECT_EQ(RenderFaults(LoadConfig(request).warnings),
            "--set: num_workers: 2 is above the 1 core this process may use; workers will take turns\n");
}

}  // namespace
}  // namespace engram
