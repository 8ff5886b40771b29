// What the rewriter is told of real spaces.
#include "core/space_liveness.h"

#include "core/journal/applied_watermark.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/metrics/metrics.h"
#include "core/replica.h"
#include "tests/support/fake_clock.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SpaceLivenessTest : public ::testing::Test {
 protected:
  void Apply(const JournalRecord& record) {
    ASSERT_TRUE(replica_.Apply(record, ++position_).ok());
    applied_.Applied(position_);
  }
  void Create(const std::string& name) { Apply({.type = RecordType::kSpaceCreated, .space = name}); }
  // Into the space that the first record made.
  void Observe(std::vector<std::string> ids, int64_t ttl_us = 0) {
    static constexpr std::array<float, 2> kEmbedding = {1, 2};
    std::vector<ObservationView> views;
    for (const std::string& id : ids) {
      ObservationView& view = views.emplace_back();
      view.id = id;
      view.embedding = {reinterpret_cast<const std::byte*>(kEmbedding.data()), 2, Encoding::kF32};
      view.observed_at_us = 1;
      view.ttl_us = ttl_us;
    }
    Apply({.space_id = 1, .space = "a", .observations = views});
  }
  void Forget(const std::string& id, uint64_t through) {
    const Tombstone tombstone{id, through};
    Apply({.type = RecordType::kTombstones, .space_id = 1, .space = "a", .tombstones = {&tombstone, 1}});
  }
  std::vector<std::string> Live() {
    std::vector<std::string> live;
    liveness_.VisitLive([&](uint64_t space_id, RecordAddress address) {
      live.push_back(fmt::format("{}: {}.{}", space_id, address.position, address.place));
    });
    return live;
  }
  std::vector<uint64_t> Versions(const std::string& id, uint64_t through, size_t most = SIZE_MAX) {
    std::vector<uint64_t> positions;
    liveness_.VisitVersions(1, id, through, [&](RecordAddress address) {
      positions.push_back(address.position);
      return positions.size() < most;
    });
    return positions;
  }

  FakeClock clock_;
  Metrics metrics_{4, 50};
  SpaceRegistry registry_{4, false, &metrics_};
  Replica replica_{&registry_, std::make_shared<const Settings>()};
  AppliedWatermark applied_{&clock_};
  SpaceLiveness liveness_{&registry_, [this] { return applied_.through(); }, [] { return uint64_t{0}; }};
  uint64_t position_ = 0;
};

TEST_F(SpaceLivenessTest, WhatWasReplacedOrForgottenIsNotLive) {
  Create("a");
  EXPECT_THAT(Live(), IsEmpty());
  Observe({"x", "y", "z"});
  Observe({"x"});
  Forget("y", 2);
  EXPECT_THAT(Live(), ElementsAre("1: 2.2", "1: 3.0"));
  EXPECT_EQ(liveness_.applied_through(), 4u);
}

TEST_F(SpaceLivenessTest, WhatHasExpiredIsLiveUntilTheLogSaysSo) {
  Create("a");
  Observe({"x"});
  Observe({"x", "y"}, 10);
  const auto space = registry_.FindById(1);
  ASSERT_TRUE(space->ExpireDue(100));
  ASSERT_EQ(space->index()->live(), 0u);
  EXPECT_THAT(Live(), ElementsAre("1: 3.0", "1: 3.1"));
  Forget("x", 3);
  space->ExpiredRecorded(1);
  EXPECT_THAT(Live(), ElementsAre("1: 3.1"));
}

// Whoever meets it first is not to pay for all of it.
TEST_F(SpaceLivenessTest, MuchThatExpiresAtOnceIsHiddenAPartAtATime) {
  Create("a");
  std::vector<std::string> ids;
  for (int i = 0; i < 10'000; ++i) ids.push_back(std::to_string(i));
  Observe(ids, 10);
  Observe({"x"});
  const auto space = registry_.FindById(1);
  EXPECT_TRUE(space->ExpireDue(5));
  EXPECT_EQ(space->index()->live(), 10'001u);
  uint64_t live = 10'001;
  int parts = 1;
  for (; !space->ExpireDue(100); ++parts) {
    EXPECT_TRUE(space->HasExpired(100));
    ASSERT_LT(space->index()->live(), live);
    EXPECT_LE(live - space->index()->live(), 4096u);
    live = space->index()->live();
  }
  EXPECT_EQ(parts, 3);
  EXPECT_EQ(space->index()->live(), 1u);
  EXPECT_FALSE(space->HasExpired(100));
  EXPECT_EQ(space->Expired(20'000).size(), 10'000u);
}

TEST_F(SpaceLivenessTest, VersionsComeNewestFirstTheDeadAmongThem) {
  Create("a");
  Observe({"x"});
  Observe({"x", "y"});
  Forget("x", 3);
  Observe({"x"});
  EXPECT_THAT(Versions("x", 9), ElementsAre(5, 3, 2));
  EXPECT_THAT(Versions("x", 4), ElementsAre(3, 2));
  EXPECT_THAT(Versions("x", 1), IsEmpty());
  EXPECT_THAT(Versions("never", 9), IsEmpty());
}

TEST_F(SpaceLivenessTest, VersionsAreThoseOfNowWhateverWasAskedBefore) {
  std::mt19937_64 random(5);
  Create("a");
  const std::vector<std::string> ids = {"x", "y", "z"};
  std::map<std::string, std::vector<uint64_t>> written;
  for (int step = 0; step < 3000; ++step) {
    const std::string& id = ids[random() % 10 < 8 ? 0 : random() % ids.size()];
    if (random() % 4 == 0) {
      Observe({id, id});
      written[id].insert(written[id].begin(), 2, position_);
    } else {
      const uint64_t through = random() % (position_ + 3);
      std::vector<uint64_t> expected;
      const size_t most = 1 + random() % 20;
      for (const uint64_t at : written[id]) {
        if (at <= through && expected.size() < most) expected.push_back(at);
      }
      ASSERT_EQ(Versions(id, through, most), expected) << id << " through " << through;
    }
  }
}

// Each tombstone of a hundred thousand of one id asks from where it stands. All the way from the newest down to each
// there would be five thousand million versions: half a minute.
TEST_F(SpaceLivenessTest, ManyTombstonesOfOneIdCostNoMoreThanAsManyOfOthers) {
  constexpr int kVersions = 100'000;
  Create("a");
  for (int i = 0; i < kVersions / 100; ++i) Observe(std::vector<std::string>(100, "x"));
  const uint64_t first = position_ - kVersions / 100 + 1;
  const std::clock_t begin = std::clock();
  for (int i = 0; i < kVersions; ++i) {
    const uint64_t through = first + static_cast<uint64_t>(i) / 100;
    ASSERT_EQ(Versions("x", through, 1), std::vector<uint64_t>{through});
  }
  EXPECT_LT(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC, 5);
}

TEST_F(SpaceLivenessTest, ADroppedSpaceIsGoneOnceNobodyHasItAnyMore) {
  Create("a");
  EXPECT_TRUE(liveness_.HasSpace(1));
  EXPECT_FALSE(liveness_.IsGone(1));
  auto queued = registry_.FindById(1);
  Apply({.type = RecordType::kSpaceDropped, .space_id = 1, .space = "a"});
  EXPECT_FALSE(liveness_.HasSpace(1));
  EXPECT_FALSE(liveness_.IsGone(1));
  queued.reset();
  EXPECT_TRUE(liveness_.IsGone(1));
}

}  // namespace
}  // namespace engram::testing
