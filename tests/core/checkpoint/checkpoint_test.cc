#include "core/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "core/space.h"
#include "tests/core/checkpoint/checkpoint_fixture.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

uint64_t Seed() {
  const char* const given = std::getenv("ENGRAM_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

class RandomWalk {
 public:
  explicit RandomWalk(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }

  void Step(Life& life) {
    const std::string space(1, static_cast<char>('a' + Below(3)));
    const uint64_t choice = Below(12);
    ++step_;
    if (choice < 7) {
      std::vector<TestObservation> frame;
      for (uint64_t i = 0, n = 1 + Below(12); i < n; ++i) {
        TestObservation o;
        o.id = "id" + std::to_string((step_ * 17 + i * 7 + Below(3)) % 60);
        const auto angle = static_cast<float>(Below(628)) / 100;
        if (Below(10) != 0) o.embedding = {std::cos(angle), std::sin(angle), 0.25f};
        o.content = Below(5) == 0 ? "" : fmt::format("text {}.{}", step_, i);
        if (Below(2) == 0) o.tags = {{"step", std::to_string(step_)}, {"empty", ""}};
        o.confidence = 0.5f;
        if (Below(4) == 0) o.ttl_us = int64_t{1} << 50;
        frame.push_back(std::move(o));
      }
      life.Stream(space, "s" + std::to_string(Below(2)), std::move(frame));
    } else if (choice < 9) {
      life.engine()
          .Forget({.space = space, .ids = {"id" + std::to_string(Below(60)), "id" + std::to_string(Below(60))}})
          .IgnoreError();
    } else if (choice == 9) {
      SpaceChange change;
      change.ef_search = 20 + static_cast<uint32_t>(Below(100));
      change.max_rate = 1'000'000 + Below(100);
      life.engine().UpdateSpace(space, change).IgnoreError();
    } else if (choice == 10 && Below(3) == 0) {
      life.engine().DeleteSpace(space).IgnoreError();
    }
  }

 private:
  std::mt19937_64 random_;
  uint64_t step_ = 0;
};

std::map<std::string, std::string> DescribeAll(Life& life) {
  std::map<std::string, std::string> all;
  for (const char* name : {"a", "b", "c"}) all[name] = life.Describe(name);
  return all;
}

TEST(CheckpointTest, CheckpointAndSuffixGiveTheAnswersOfTheLiveEngineAndOfTheJournalAlone) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
  for (uint64_t round = 0; round < 6; ++round) {
    RandomWalk walk(seed + round);
    FaultyDisk disk;
    uint64_t checkpoint = 0;
    // Two lives, so that the second checkpoint is of spaces that came from the first one.
    for (int life_number = 0; life_number < 2; ++life_number) {
      Life life(disk);
      ASSERT_TRUE(life.status().ok()) << life.status();
      EXPECT_EQ(life.report().checkpoint.position, checkpoint);
      const uint64_t before = 1 + walk.Below(60);
      for (uint64_t i = 0; i < before; ++i) walk.Step(life);
      const auto written = life.Checkpoint();
      ASSERT_TRUE(written.ok()) << written.status();
      checkpoint = written->position;
      EXPECT_THAT(CheckpointsOf(disk), ElementsAre(written->name));
      for (uint64_t i = 0, n = walk.Below(40); i < n; ++i) walk.Step(life);
      const auto lived = DescribeAll(life);
      if (life_number == 0) continue;
      disk.Cut(seed);
      {
        Life with(disk);
        ASSERT_TRUE(with.status().ok()) << with.status();
        EXPECT_EQ(with.report().checkpoint.name, written->name);
        EXPECT_THAT(with.report().defects, IsEmpty());
        EXPECT_EQ(DescribeAll(with), lived);
        EXPECT_EQ(with.progress().fraction(), 1.0);
      }
      RemoveAllCheckpoints(disk);
      Life alone(disk);
      ASSERT_TRUE(alone.status().ok()) << alone.status();
      EXPECT_EQ(alone.report().checkpoint.name, "");
      EXPECT_EQ(DescribeAll(alone), lived);
    }
  }
}

TEST(CheckpointTest, ReplacingAndForgettingGoOnBehindACheckpoint) {
  FaultyDisk disk;
  {
    Life life(disk);
    ASSERT_TRUE(life.Observe("notes", {{.id = "id1", .embedding = {1, 0, 0}, .content = "old"},
                                       {.id = "id2", .embedding = {0, 1, 0}, .content = "two"}})
                    .ok());
    ASSERT_TRUE(life.Observe("notes", {{.id = "id1", .embedding = {1, 0, 0}, .content = "new"}}).ok());
    ASSERT_TRUE(life.Checkpoint().ok());
  }
  std::string described;
  {
    Life life(disk);
    ASSERT_EQ(life.report().records, 0u);
    const std::vector<std::string> ids = {"id1"};
    EXPECT_EQ(life.engine().Get("notes", ids)->observations.at(0).content, "new");
    ASSERT_TRUE(life.Observe("notes", {{.id = "id2", .embedding = {0, 1, 0}, .content = "newer"}}).ok());
    EXPECT_EQ(life.engine().Forget({.space = "notes", .ids = {"id1"}})->forgotten, 1u);
    EXPECT_EQ(life.engine().GetSpace("notes")->live, 1u);
    described = life.Describe("notes");
  }
  Life life(disk);
  EXPECT_GT(life.report().records, 0u);
  EXPECT_EQ(life.Describe("notes"), described);
}

TEST(CheckpointTest, WhatOutlivesItsTimeBehindACheckpointIsForgottenInTheLog) {
  FakeClock clock;
  LifeOptions options;
  options.clock = &clock;
  options.settings.idle_sleep_ms = std::chrono::milliseconds(0);
  FaultyDisk disk;
  {
    Life life(disk, options);
    ASSERT_TRUE(life.Observe("notes", {{.id = "hidden", .embedding = {1, 0}, .ttl_us = 1000},
                                       {.id = "later", .embedding = {1, 0}, .ttl_us = 5000},
                                       {.id = "stays", .embedding = {1, 0}}})
                    .ok());
    clock.Advance(Duration{2000});
    // Hidden, and nothing in the log says so yet.
    ASSERT_EQ(life.engine().GetSpace("notes")->live, 2u);
    ASSERT_TRUE(life.Checkpoint().ok());
    disk.Crash();
  }
  uint64_t through = 0;
  {
    Life life(disk, options);
    ASSERT_NE(life.report().checkpoint.name, "");
    EXPECT_EQ(life.engine().GetSpace("notes")->live, 2u);
    clock.Advance(Duration{4000});
    EXPECT_EQ(life.engine().GetSpace("notes")->live, 1u);
    ASSERT_TRUE(life.engine().Housekeep().ok());
    ASSERT_TRUE(life.engine().AwaitDrained(MonotonicTime::max()));
    through = life.journal().last();
  }
  // To a clock for which nothing has expired yet, from the journal alone: both were forgotten there.
  RemoveAllCheckpoints(disk);
  FakeClock early;
  options.clock = &early;
  Life life(disk, options);
  EXPECT_EQ(life.report().position, through);
  const std::vector<std::string> ids = {"hidden", "later", "stays"};
  EXPECT_THAT(life.engine().Get("notes", ids)->missing, ElementsAre("hidden", "later"));
}

TEST(CheckpointTest, ARecordOfASpaceDroppedBeforeTheCheckpointDoesNotBringItBack) {
  FaultyDisk disk;
  {
    Life life(disk);
    ASSERT_TRUE(life.Observe("notes", {{.id = "id1", .embedding = {1, 0, 0}}}).ok());
    ASSERT_EQ((*life.engine().registry().Find("notes"))->id(), 1u);
    ASSERT_TRUE(life.engine().DeleteSpace("notes").ok());
    ASSERT_TRUE(life.Checkpoint().ok());
  }
  Life life(disk);
  // It was on its way when the space was dropped.
  JournalRecord late;
  late.space = "notes";
  late.space_id = 1;
  const std::vector<float> vector = {1, 0, 0};
  ObservationView view;
  view.id = "late";
  view.embedding = ViewOf(vector);
  late.observations = {&view, 1};
  ASSERT_TRUE(life.engine().Replay(late, life.journal().last() + 1).ok());
  EXPECT_TRUE(absl::IsNotFound(life.engine().GetSpace("notes").status()));
}

TEST(CheckpointTest, GraphsAreAttachedBehindTheServingAndNobodyLinksBefore) {
  LifeOptions options;
  options.settings.index_flat_threshold = 50;
  options.attach = false;
  FaultyDisk disk;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto some = [&](int count) {
    std::vector<TestObservation> observations;
    for (int i = 0; i < count; ++i) {
      TestObservation o;
      for (int d = 0; d < 8; ++d) o.embedding.push_back(normal(random));
      observations.push_back(std::move(o));
    }
    return observations;
  };
  const auto await_linked = [](Life& life) {
    const auto outcome =
        life.engine().Observe("notes", MakeBatch({{.id = "last", .embedding = {1, 2, 3, 4, 5, 6, 7, 8}}}),
                              Priority::kNormal, AckLevel::kIndexed, Soon());
    ASSERT_TRUE(outcome.ok()) << outcome.status();
  };
  {
    Life life(disk, options);
    ASSERT_TRUE(life.Observe("notes", some(300)).ok());
    await_linked(life);
    ASSERT_TRUE(life.Checkpoint().ok());
  }
  {
    Life life(disk, options);
    ASSERT_EQ(life.report().checkpoint.graphs.size(), 1u);
    ASSERT_TRUE(life.Observe("notes", some(20)).ok());
    auto info = life.engine().GetSpace("notes");
    EXPECT_EQ(info->linked, 0u);
    EXPECT_FALSE(info->has_graph);
    life.Attach();
    EXPECT_THAT(life.graph_defects(), IsEmpty());
    EXPECT_GE(life.engine().GetSpace("notes")->linked, 301u);
    await_linked(life);
    EXPECT_EQ(life.engine().GetSpace("notes")->link_backlog, 0u);
  }
  // A graph that is damaged costs itself only.
  const std::string name = CheckpointsOf(disk).at(0);
  const auto file = *CheckpointFile::Open(*disk.Open(), name);
  ASSERT_EQ(file->sections().back().type, SectionType::kGraph);
  disk.FlipBit(name, file->sections().back().offset + 100, 3);
  Life life(disk, options);
  EXPECT_EQ(life.report().checkpoint.name, name);
  life.Attach();
  ASSERT_THAT(life.graph_defects(), SizeIs(1));
  EXPECT_THAT(life.graph_defects()[0].what, HasSubstr("crc"));
  await_linked(life);
  EXPECT_TRUE(life.engine().GetSpace("notes")->has_graph);
}

TEST(CheckpointTest, ACheckpointWrittenWhileObservationsPourInIsWhole) {
  FaultyDisk disk;
  std::map<std::string, std::string> lived;
  {
    Life life(disk);
    std::vector<std::jthread> writers;
    std::atomic<int> running{3};
    for (int t = 0; t < 3; ++t) {
      writers.emplace_back([&, t] {
        RandomWalk walk(static_cast<uint64_t>(t) + 100);
        for (int i = 0; i < 60; ++i) {
          std::vector<TestObservation> frame;
          for (int n = 0; n < 8; ++n) {
            const auto angle = static_cast<float>(walk.Below(628)) / 100;
            frame.push_back({.id = "id" + std::to_string(walk.Below(60)),
                             .embedding = {std::cos(angle), std::sin(angle), 0.5f},
                             .content = fmt::format("{}/{}", t, i)});
          }
          const std::string space(1, static_cast<char>('a' + walk.Below(2)));
          life.Stream(space, t < 2 ? "s" + std::to_string(t) : "s0-other", std::move(frame));
          if (i % 5 == 0)
            life.engine().Forget({.space = space, .ids = {"id" + std::to_string(walk.Below(60))}}).IgnoreError();
          if (t == 2 && i % 20 == 19) life.engine().DeleteSpace("b").IgnoreError();
        }
        running.fetch_sub(1);
      });
    }
    int checkpoints = 0;
    while (running.load() > 0) {
      const auto written = life.Checkpoint();
      ASSERT_TRUE(written.ok()) << written.status();
      ++checkpoints;
    }
    writers.clear();
    EXPECT_GT(checkpoints, 0);
    ASSERT_TRUE(life.engine().AwaitDrained(MonotonicTime::max()));
    lived = DescribeAll(life);
  }
  {
    Life with(disk);
    ASSERT_TRUE(with.status().ok()) << with.status();
    EXPECT_NE(with.report().checkpoint.name, "");
    EXPECT_EQ(DescribeAll(with), lived);
  }
  RemoveAllCheckpoints(disk);
  Life alone(disk);
  EXPECT_EQ(DescribeAll(alone), lived);
}

}  // namespace
}  // namespace engram::testing
