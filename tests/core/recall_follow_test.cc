// Recalls that go on: what a follower is sent, against an exact model; going on from every point; writers that do not wait.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "core/recall_follow.h"
#include "tests/support/engine_fixture.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RecallFollowTest : public EngineFixture {
 protected:
  static RecallQuery Query(const std::vector<float>& cue, std::optional<float> least = std::nullopt) {
    RecallQuery query;
    query.space = "s";
    query.embedding = ViewOf(cue);
    query.k = 1000;
    query.min_similarity = least;
    return query;
  }
  // A point before everything.
  FollowPoint Beginning() {
    auto answer = engine().Recall(Query({1, 0}), Soon());
    EXPECT_TRUE(answer.ok()) << answer.status();
    return {.through = {answer->visible_through.journal, 0}};
  }
  std::unique_ptr<RecallFollow> MustFollow(const RecallQuery& query, const FollowPoint& after) {
    auto follow = engine().Follow(query, after);
    EXPECT_TRUE(follow.ok()) << follow.status();
    return follow.ok() ? *std::move(follow) : nullptr;
  }
  // What there is by now.
  std::vector<std::string> Drain(RecallFollow& follow, size_t most = 100, std::vector<FollowPoint>* points = nullptr) {
    std::vector<std::string> ids;
    while (true) {
      const auto batch = follow.Next(most, (clock_ != nullptr ? clock_ : &real_clock_)->Now());
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || batch->hits.empty()) return ids;
      EXPECT_LE(batch->hits.size(), most);
      for (const ObservationHit& hit : batch->hits) {
        ids.emplace_back(hit.id);
        if (points != nullptr) points->push_back(batch->point);
      }
    }
  }
  std::vector<TestObservation> Many(int first, int count) {
    std::vector<TestObservation> many;
    for (int i = first; i < first + count; ++i) many.push_back({"n" + std::to_string(i), {1, 0.001f * static_cast<float>(i)}});
    return many;
  }
};

TEST_F(RecallFollowTest, SendsWhatIsNewAndSimilarEnoughInTheOrderOfTheJournal) {
  MustObserve("s", {{"old", {1, 0}}});
  const std::vector<float> cue = {1, 0};
  const RecallQuery query = Query(cue, 0.9f);
  const auto answer = engine().Recall(query, Soon());
  ASSERT_TRUE(answer.ok());
  const auto follow = MustFollow(query, {.through = answer->visible_through});
  EXPECT_THAT(Drain(*follow), IsEmpty()) << "the snapshot's hits are not sent again";
  MustObserve("s", {{"b", {1, 0.2f}}, {"far", {0, 1}}, {"a", {1, 0.1f}}});
  MustObserve("s", {{"old", {1, 0.1f}}});
  EXPECT_THAT(Drain(*follow), ElementsAre("b", "a", "old")) << "a version that replaces one is new";
}

TEST_F(RecallFollowTest, AnObservationWakesAFollowerThatWaits) {
  MustObserve("s", {{"old", {1, 0}}});
  const std::vector<float> cue = {1, 0};
  const auto follow = MustFollow(Query(cue), Beginning());
  EXPECT_THAT(Drain(*follow), ElementsAre("old"));
  std::vector<std::string> ids;
  std::jthread waits([&] {
    const auto batch = follow->Next(10, Soon());
    if (batch.ok()) {
      for (const ObservationHit& hit : batch->hits) ids.emplace_back(hit.id);
    }
  });
  MustObserve("s", {{"new", {1, 0}}});
  waits.join();
  EXPECT_THAT(ids, ElementsAre("new"));
}

TEST_F(RecallFollowTest, WhatIsReplacedForgottenOrExpiredBeforeItWasSentIsLeftOut) {
  clock_ = &fake_clock_;
  // Nobody moves the clock for a worker that gathers.
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  MustObserve("s", {{"kept", {1, 0}}});
  const std::vector<float> cue = {1, 0};
  const auto follow = MustFollow(Query(cue), Beginning());
  TestObservation mortal{"mortal", {1, 0}};
  mortal.ttl_us = 1000;
  mortal.observed_at_us = fake_clock_.WallMicros();
  MustObserve("s", {{"replaced", {1, 0.5f}}, {"forgotten", {1, 0}}, mortal, {"last", {1, 0}}});
  MustObserve("s", {{"replaced", {1, 0}}});
  ForgetQuery forget;
  forget.space = "s";
  forget.ids = {"forgotten"};
  ASSERT_TRUE(engine().Forget(forget).ok());
  fake_clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(Drain(*follow), ElementsAre("kept", "last", "replaced"));
}

TEST_F(RecallFollowTest, GoesOnFromEveryPointWithoutAGapAndWithoutAgain) {
  for (int i = 0; i < 10; ++i) MustObserve("s", Many(i * 7, 7));
  const std::vector<float> cue = {1, 0};
  for (const size_t most : {size_t{1}, size_t{3}, size_t{1000}}) {
    const auto follow = MustFollow(Query(cue), Beginning());
    std::vector<FollowPoint> points;
    const std::vector<std::string> all = Drain(*follow, most, &points);
    ASSERT_EQ(all.size(), 70u);
    for (size_t i = 0; i < all.size(); ++i) {
      // A point comes with the last hit of its batch.
      if (i + 1 < points.size() && points[i + 1] == points[i]) continue;
      const auto again = MustFollow(Query(cue), points[i]);
      const std::vector<std::string> rest = Drain(*again);
      EXPECT_EQ(rest, std::vector<std::string>(all.begin() + static_cast<ptrdiff_t>(i) + 1, all.end())) << "after " << i;
    }
  }
}

TEST_F(RecallFollowTest, ThePointMovesWhileNothingMatches) {
  MustObserve("s", {{"a", {1, 0}}});
  const std::vector<float> cue = {1, 0};
  const auto follow = MustFollow(Query(cue, 0.9f), Beginning());
  Drain(*follow);
  const uint64_t before = follow->point().through.position;
  const Token token = MustObserve("elsewhere", {{"b", {1, 0}}}).token;
  Drain(*follow);
  EXPECT_GE(follow->point().through.position, token.position);
  EXPECT_GT(token.position, before);
}

TEST_F(RecallFollowTest, SaysWhyItCannotGoOn) {
  MustObserve("s", {{"a", {1, 0}}});
  const std::vector<float> cue = {1, 0};
  const FollowPoint beginning = Beginning();
  FollowPoint other = beginning;
  ++other.through.journal;
  EXPECT_EQ(engine().Follow(Query(cue), other).status().code(), absl::StatusCode::kFailedPrecondition);
  FollowPoint beyond = beginning;
  beyond.through.position = 1000;
  EXPECT_EQ(engine().Follow(Query(cue), beyond).status().code(), absl::StatusCode::kOutOfRange);
  const std::vector<float> wide = {1, 0, 0};
  EXPECT_EQ(engine().Follow(Query(wide), beginning).status().code(), absl::StatusCode::kInvalidArgument);
  RecallQuery nowhere = Query(cue);
  nowhere.space = "absent";
  EXPECT_EQ(engine().Follow(nowhere, beginning).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RecallFollowTest, EndsWhenTheSpaceIsDeletedAndWhenTheEngineDrains) {
  MustObserve("s", {{"a", {1, 0}}});
  const std::vector<float> cue = {1, 0};
  const FollowPoint beginning = Beginning();
  MustObserve("t", {{"a", {1, 0}}});
  RecallQuery query = Query(cue);
  const auto deleted = MustFollow(query, beginning);
  query.space = "t";
  const auto drained = MustFollow(query, beginning);
  absl::Status of_deleted, of_drained;
  const auto run = [](RecallFollow& follow, absl::Status& status) {
    while (status.ok()) status = follow.Next(10, Soon()).status();
  };
  std::jthread first([&] { run(*deleted, of_deleted); });
  std::jthread second([&] { run(*drained, of_drained); });
  ASSERT_TRUE(engine().DeleteSpace("s").ok());
  first.join();
  EXPECT_EQ(of_deleted.code(), absl::StatusCode::kNotFound);
  engine().StopAdmitting();
  second.join();
  EXPECT_EQ(of_drained.code(), absl::StatusCode::kUnavailable);
}

TEST_F(RecallFollowTest, AFollowerThatDoesNotReadHoldsUpNobodyAndMissesNothing) {
  MustObserve("s", Many(0, 1));
  const std::vector<float> cue = {1, 0};
  const auto follow = MustFollow(Query(cue), Beginning());
  // The queue holds 10 000: were anything kept for the follower, this would not end.
  constexpr int kCount = 30000;
  for (int i = 1; i < kCount; i += 3000) MustObserve("s", Many(i, std::min(3000, kCount - i)));
  const auto gauge = [&](MetricId id) {
    for (const Metrics::Family& family : metrics().Collect()) {
      if (family.row->id != id) continue;
      double worst = 0;
      for (const Metrics::Sample& sample : family.samples) worst = std::max(worst, sample.value);
      return worst;
    }
    return -1.0;
  };
  EXPECT_EQ(gauge(MetricId::kRecallFollowers), 1);
  EXPECT_EQ(gauge(MetricId::kRecallFollowLag), kCount);
  const std::vector<std::string> ids = Drain(*follow, 1000);
  ASSERT_EQ(ids.size(), static_cast<size_t>(kCount));
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(ids[static_cast<size_t>(i)], "n" + std::to_string(i));
  EXPECT_EQ(gauge(MetricId::kRecallFollowLag), 0);
  EXPECT_EQ(gauge(MetricId::kRecallFollowHits), kCount);
}

// What a follower must send, worked out from the steps alone.
class Model {
 public:
  void Observe(const TestObservation& observation) {
    Forget(observation.id);
    versions_.push_back(observation);
    newest_[observation.id] = versions_.size() - 1;
  }
  void Forget(const std::string& id) {
    const auto at = newest_.find(id);
    if (at == newest_.end()) return;
    dead_.insert(at->second);
    newest_.erase(at);
  }
  size_t size() const { return versions_.size(); }
  // Of the versions from `first` on.
  std::vector<std::string> Matches(size_t first, const std::vector<float>& cue, float least, const FilterSpec& filter) const {
    std::vector<std::string> ids;
    for (size_t i = first; i < versions_.size(); ++i) {
      const TestObservation& o = versions_[i];
      const float cosine = (o.embedding[0] * cue[0] + o.embedding[1] * cue[1]) /
                           (std::hypot(o.embedding[0], o.embedding[1]) * std::hypot(cue[0], cue[1]));
      if (!dead_.contains(i) && cosine >= least && Passes(o, filter)) ids.push_back(o.id);
    }
    return ids;
  }

 private:
  static bool Passes(const TestObservation& o, const FilterSpec& filter) {
    const auto has = [&](const auto& tag) {
      const auto at = o.tags.find(tag.first);
      return at != o.tags.end() && at->second == tag.second;
    };
    const auto& excluded = filter.exclude_ids;
    return std::all_of(filter.all_tags.begin(), filter.all_tags.end(), has) &&
           (filter.any_tags.empty() || std::any_of(filter.any_tags.begin(), filter.any_tags.end(), has)) &&
           std::none_of(filter.no_tags.begin(), filter.no_tags.end(), has) && o.confidence >= filter.min_confidence &&
           (filter.observed_from_us == 0 || o.observed_at_us >= filter.observed_from_us) &&
           (filter.observed_to_us == 0 || o.observed_at_us < filter.observed_to_us) &&
           std::find(excluded.begin(), excluded.end(), o.id) == excluded.end();
  }

  std::vector<TestObservation> versions_;
  std::set<size_t> dead_;
  std::map<std::string, size_t> newest_;
};

TEST_F(RecallFollowTest, SendsWhatTheModelSaysAndFiltersAsRecallsDo) {
  for (const uint64_t seed : {1, 2, 3}) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t end) { return static_cast<uint32_t>(random() % end); };
    const auto tag = [&] { return std::pair<std::string, std::string>(std::string(1, static_cast<char>('a' + below(2))), std::to_string(below(3))); };
    const std::string space = "m" + std::to_string(seed);
    Model model;
    const auto observe = [&] {
      std::vector<TestObservation> batch;
      // An id twice in one batch is refused.
      std::set<uint32_t> ids;
      for (uint32_t i = 0; i < 10; ++i) ids.insert(below(120));
      for (const uint32_t id : ids) {
        // Angles far enough from the threshold for any arithmetic.
        const float angle = 0.01f + 0.02f * static_cast<float>(below(150));
        TestObservation o{"n" + std::to_string(id), {std::cos(angle), std::sin(angle)}};
        o.tags = {tag(), tag()};
        o.confidence = static_cast<float>(below(5)) / 4;
        o.observed_at_us = 1000 + below(10);
        batch.push_back(o);
      }
      for (const TestObservation& o : batch) model.Observe(o);
      const ObserveOutcome outcome = MustObserve(space, batch);
      ASSERT_THAT(outcome.rejected, IsEmpty()) << outcome.rejected.front().status;
    };
    observe();
    struct Following {
      std::vector<float> cue;
      RecallQuery query;
      std::unique_ptr<RecallFollow> follow;
      size_t seen = 0;
    };
    const uint64_t journal = [&] {
      const std::vector<float> cue = {1, 0};
      RecallQuery query = Query(cue);
      query.space = space;
      return engine().Recall(query, Soon())->visible_through.journal;
    }();
    std::vector<std::unique_ptr<Following>> all;
    for (int i = 0; i < 12; ++i) {
      auto one = std::make_unique<Following>();
      one->cue = {1, 0};
      one->query = Query(one->cue, i == 0 ? -1.0f : std::cos(0.02f * static_cast<float>(below(150))));
      one->query.space = space;
      FilterSpec& filter = one->query.filter;
      if (below(3) == 0) filter.all_tags = {tag()};
      if (below(3) == 0) filter.any_tags = {tag(), tag()};
      if (below(3) == 0) filter.no_tags = {tag()};
      if (below(3) == 0) filter.observed_from_us = 1000 + below(8);
      if (below(3) == 0) filter.observed_to_us = 1009;
      if (below(3) == 0) filter.min_confidence = 0.5f;
      if (below(3) == 0) filter.exclude_ids = {"n1", "n2", "n3", "n4"};
      one->follow = MustFollow(one->query, {.through = {journal, 0}});
      all.push_back(std::move(one));
    }
    for (int step = 0; step < 200; ++step) {
      const uint32_t what = below(10);
      if (what < 5) {
        observe();
      } else if (what < 7) {
        ForgetQuery forget;
        forget.space = space;
        forget.ids = {"n" + std::to_string(below(120))};
        ASSERT_TRUE(engine().Forget(forget).ok());
        model.Forget(forget.ids[0]);
      } else {
        Following& one = *all[below(all.size())];
        if (below(4) == 0) one.follow = MustFollow(one.query, one.follow->point());
        EXPECT_EQ(Drain(*one.follow, 1 + below(8)),
                  model.Matches(one.seen, one.cue, *one.query.min_similarity, one.query.filter));
        one.seen = model.size();
      }
    }
    for (const auto& one : all) {
      // From the beginning a follower sends what an exact recall finds.
      auto sent = Drain(*MustFollow(one->query, {.through = {journal, 0}}));
      RecallQuery query = one->query;
      query.exact = true;
      std::vector<std::string> found;
      const auto answer = engine().Recall(query, Soon());
      for (const ObservationHit& hit : answer->hits) found.emplace_back(hit.id);
      std::sort(sent.begin(), sent.end());
      std::sort(found.begin(), found.end());
      EXPECT_EQ(sent, found);
    }
  }
}

TEST_F(RecallFollowTest, SnapshotAndFollowerHaveEachObservationOnceWhileWritersRun) {
  MustObserve("s", {{"first", {1, 0}}});
  constexpr int kWriters = 2;
  constexpr int kBatches = 40;
  constexpr int kBatch = 10;
  constexpr size_t kTotal = 1 + kWriters * kBatches * kBatch;
  const std::vector<float> cue = {1, 0};
  const auto follow_all = [&](std::vector<std::string>& ids) {
    const RecallQuery query = Query(cue);
    const auto answer = engine().Recall(query, Soon());
    for (const ObservationHit& hit : answer->hits) ids.emplace_back(hit.id);
    const auto follow = MustFollow(query, {.through = answer->visible_through});
    while (ids.size() < kTotal && real_clock_.Now() < Soon()) {
      const auto batch = follow->Next(7, Soon());
      ASSERT_TRUE(batch.ok()) << batch.status();
      ASSERT_FALSE(batch->hits.empty());
      for (const ObservationHit& hit : batch->hits) ids.emplace_back(hit.id);
    }
    EXPECT_THAT(Drain(*follow), IsEmpty());
  };
  std::vector<std::vector<std::string>> seen(3);
  {
    std::vector<std::jthread> threads;
    for (int w = 0; w < kWriters; ++w) {
      threads.emplace_back([&, w] {
        for (int b = 0; b < kBatches; ++b) MustObserve("s", Many((w * kBatches + b) * kBatch, kBatch));
      });
    }
    for (auto& ids : seen) threads.emplace_back([&] { follow_all(ids); });
    for (int i = 0; i < 20; ++i) metrics().Collect();
  }
  for (const auto& ids : seen) {
    EXPECT_EQ(ids.size(), kTotal);
    EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), kTotal);
  }
}

}  // namespace
}  // namespace engram::testing
