#include "core/filter.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "core/tag_index.h"
#include "tests/core/filter_world.h"
#include "tests/index/memory_image.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

uint64_t Seed() {
  const char* const seed = std::getenv("ENGRAM_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : 1;
}

std::vector<Ordinal> All(const OrdinalSet& set, Ordinal end) {
  std::vector<Ordinal> all;
  std::vector<Ordinal> some(7);
  for (size_t count = some.size(), from = 0; count == some.size();) {
    count = set.List(static_cast<Ordinal>(from), end, some);
    all.insert(all.end(), some.begin(), some.begin() + static_cast<ptrdiff_t>(count));
    if (count != 0) from = some[count - 1] + 1;
  }
  return all;
}

void ExpectAsTheModelSays(FilterWorld& world, int filters) {
  const IndexView view = world.index().Pin();
  for (int i = 0; i < filters; ++i) {
    const FilterSpec spec = world.AnyFilter();
    std::optional<int64_t> now_us;
    if (world.Below(2) == 0) now_us = static_cast<int64_t>(world.Below(world.rows() * 10 + 20'000));
    const Filter filter(spec, world.records(), world.index(), view, now_us);
    std::vector<Ordinal> expected;
    for (Ordinal ordinal = 0; ordinal < view.visible; ++ordinal) {
      // An id is excluded in the version the view shows; others are not live, so nobody asks for them.
      if (!world.index().Live(ordinal, view)) continue;
      const bool matches = world.Matches(spec, ordinal, now_us);
      ASSERT_EQ(filter.Matches(ordinal), matches) << ordinal;
      if (matches) expected.push_back(ordinal);
    }
    std::vector<Ordinal> listed = All(filter, view.visible);
    ASSERT_TRUE(std::is_sorted(listed.begin(), listed.end()));
    std::erase_if(listed, [&](Ordinal ordinal) { return !world.index().Live(ordinal, view); });
    ASSERT_EQ(listed, expected);

    const std::vector<float> cue = world.Any().embedding;
    const std::vector<Ordinal> ranked = world.Ranked(spec, cue, now_us);
    SearchRequest request;
    request.query = cue;
    request.k = static_cast<uint32_t>(1 + world.Below(20));
    request.exact = world.Below(2) == 0;
    request.filter = &filter;
    const SearchResult result = world.index().Search(request, view);
    ASSERT_EQ(result.hits.size(), std::min<size_t>(request.k, ranked.size()));
    for (size_t h = 0; h < result.hits.size(); ++h) {
      if (result.exact) {
        const auto expected_vector = world.index().KeptRow(ranked[h]);
        ASSERT_NEAR(result.hits[h].similarity,
                    ExactSimilarity(Metric::kCosine, cue, {expected_vector.begin(), expected_vector.end()}), 1e-5);
      } else {
        ASSERT_NE(std::find(ranked.begin(), ranked.end(), result.hits[h].ordinal), ranked.end());
      }
    }
  }
}

TEST(FilterTest, AgreesWithThePlainModelWhateverIsReplacedAndForgotten) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(fmt::format("ENGRAM_SEED={}", seed));
  FilterWorld world(seed, 300);
  for (int step = 0; step < 60; ++step) {
    std::vector<TestObservation> observations(1 + world.Below(300));
    for (TestObservation& one : observations) one = world.Any();
    if (world.Below(5) == 0) {
      // Staged, and given up: what comes at the same ordinals has other tags.
      std::vector<TestObservation> others(1 + world.Below(100));
      for (TestObservation& one : others) one = world.Any();
      world.Stage(MakeBatch(std::move(others)));
    }
    world.Append(std::move(observations));
    for (int i = 0; i < 20; ++i) world.Forget(std::to_string(world.Below(2000)));
    world.index().Link(200, nullptr);
    ExpectAsTheModelSays(world, 10);
  }
}

TEST(FilterTest, AManyTimesRepeatedTagIsFoundAcrossSealedBitmaps) {
  FilterWorld world(2, UINT64_MAX);
  for (int step = 0; step < 75; ++step) {
    std::vector<TestObservation> observations(1000);
    for (TestObservation& one : observations) {
      one.id = fmt::format("{}", world.Below(1'000'000'000));
      one.embedding = {1, 0, 0, 0, 0, 0, 0, 0};
      one.tags = {{"all", "same"}, {"half", std::to_string(world.Below(2))}};
    }
    world.Append(std::move(observations));
  }
  const IndexView view = world.index().Pin();
  FilterSpec spec;
  spec.all_tags = {{"all", "same"}};
  EXPECT_EQ(Filter(spec, world.records(), world.index(), view, std::nullopt).estimate(), 75'000u);
  spec.no_tags = {{"half", "0"}};
  const Filter filter(spec, world.records(), world.index(), view, std::nullopt);
  for (Ordinal ordinal = 0; ordinal < view.visible; ++ordinal) {
    ASSERT_EQ(filter.Matches(ordinal), world.Matches(spec, ordinal, std::nullopt)) << ordinal;
  }
}

TEST(FilterTest, TheTagsOfAnImageAreFoundAgain) {
  FilterWorld world(3, UINT64_MAX);
  for (int step = 0; step < 10; ++step) {
    std::vector<TestObservation> observations(500);
    for (TestObservation& one : observations) one = world.Any();
    world.Append(std::move(observations));
  }
  MemorySink image;
  ASSERT_TRUE(world.records().Save(5000, image).ok());
  RecordStore loaded(true);
  MemorySource source(image.bytes());
  ASSERT_TRUE(loaded.Load(5000, source).ok());
  const IndexView view = world.index().Pin();
  for (int i = 0; i < 100; ++i) {
    const FilterSpec spec = world.AnyFilter();
    EXPECT_EQ(All(Filter(spec, loaded, world.index(), view, std::nullopt), view.visible),
              All(Filter(spec, world.records(), world.index(), view, std::nullopt), view.visible));
  }
  EXPECT_GT(loaded.tags().bytes(), 0u);
  EXPECT_GE(loaded.bytes(), loaded.tags().bytes());
}

TEST(FilterTest, TheEstimateOfWhatColumnsDecideIsNear) {
  FilterWorld world(4, UINT64_MAX);
  std::vector<TestObservation> observations(20'000);
  for (TestObservation& one : observations) {
    one = world.Any();
    one.id = fmt::format("{}", world.Below(1'000'000'000));
  }
  world.Append(std::move(observations));
  FilterSpec spec;
  spec.min_confidence = 0.65f;  // Four of eleven.
  const Filter filter(spec, world.records(), world.index(), world.index().Pin(), std::nullopt);
  EXPECT_NEAR(static_cast<double>(filter.estimate()), 20'000 * 4.0 / 11, 2000);
}

TEST(TagIndexTest, BeyondItsMostValuesTheRowsAreLookedAt) {
  RecordStore rows(true);
  TagIndex tags(rows, 10);
  std::vector<TestObservation> observations(100);
  for (size_t i = 0; i < observations.size(); ++i) {
    observations[i].tags = {{"early", "yes"}, {"request", std::to_string(i % 50)}};
  }
  const ObservationBatch batch = MakeBatch(observations);
  rows.Append(0, batch.observations, 1, {});
  tags.Append(0, batch.observations);
  const auto with = [&](std::string_view key, std::string_view value, Ordinal visible = 100) {
    OrdinalBitmap found;
    tags.Collect(key, value, visible, found);
    std::vector<Ordinal> all(200);
    all.resize(found.List(0, visible, all));
    return all;
  };
  EXPECT_EQ(with("early", "yes").size(), 100u);
  EXPECT_THAT(with("request", "3"), ElementsAre(3, 53));
  EXPECT_THAT(with("request", "49"), ElementsAre(49, 99));
  EXPECT_THAT(with("request", "49", 60), ElementsAre(49));
  EXPECT_THAT(with("request", "50"), IsEmpty());
}

TEST(TagIndexTest, ValuesSeenOnceCostAFewBytesEach) {
  RecordStore rows(false);
  uint64_t next = 0;
  for (int step = 0; step < 200; ++step) {
    std::vector<TestObservation> observations(500);
    for (TestObservation& one : observations) one.tags = {{"request", fmt::format("request {}", next++)}};
    const ObservationBatch batch = MakeBatch(std::move(observations));
    rows.Append(static_cast<Ordinal>(step * 500), batch.observations, 1, {});
  }
  RecordProperty("bytes_each", std::to_string(rows.tags().bytes() / next));
  EXPECT_LE(rows.tags().bytes(), next * 22);
}

TEST(FilterConcurrencyTest, ReadersFindWhatTheirViewShowsWhileAWriterGoesOn) {
  FilterWorld world(Seed(), 300);
  std::atomic<bool> stop{false};
  std::vector<std::jthread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      FilterSpec spec;
      spec.all_tags = {{"own", "yes"}};
      spec.no_tags = {{"third", std::to_string(r)}};
      spec.min_confidence = 0.5f;
      const std::vector<float> cue(FilterWorld::kDimension, 1);
      while (!stop.load()) {
        const IndexView view = world.index().Pin();
        const Filter filter(spec, world.records(), world.index(), view, std::nullopt);
        for (Ordinal ordinal = 0; ordinal < view.visible; ordinal += 1 + ordinal / 20) {
          const bool matches = ordinal % 2 == 0 && ordinal % 3 != static_cast<Ordinal>(r) && ordinal % 5 != 0;
          ASSERT_EQ(filter.Matches(ordinal), matches) << ordinal;
        }
        SearchRequest request;
        request.query = cue;
        request.k = 5;
        request.filter = &filter;
        for (const SearchHit& hit : world.index().Search(request, view).hits) ASSERT_TRUE(filter.Matches(hit.ordinal));
      }
    });
  }
  Ordinal next = 0;
  for (int step = 0; step < 40; ++step) {
    std::vector<TestObservation> observations(1 + world.Below(200));
    for (TestObservation& one : observations) {
      one = world.Any();
      one.id = std::to_string(next);
      one.tags["own"] = next % 2 == 0 ? "yes" : "no";
      one.tags["third"] = std::to_string(next % 3);
      one.confidence = next % 5 == 0 ? 0.1f : 0.9f;
      ++next;
    }
    world.Append(std::move(observations));
    world.index().Link(30, nullptr);
  }
  stop.store(true);
}

}  // namespace
}  // namespace engram::testing
