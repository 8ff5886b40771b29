// What a follower reads of the journal, and what it says when it cannot: each row is compared once, at any batch size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/recall_follow.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/recording_journal.h"
#include "tests/support/watched_journal.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class RecallFollowReadsTest : public EngineFixture {
 protected:
  RecallFollowReadsTest() {
    journal_ = std::make_unique<WatchedJournal>(std::make_unique<RecordingJournal>(std::make_shared<RecordedLog>()),
                                                reads_);
  }

  RecallQuery Query(std::optional<float> least = std::nullopt) const {
    RecallQuery query;
    query.space = "s";
    query.embedding = ViewOf(cue_);
    query.k = 1000;
    query.min_similarity = least;
    return query;
  }
  RecallQuery ById(const std::string& id) const {
    RecallQuery query = Query(0.9f);
    query.embedding = {};
    query.id = id;
    return query;
  }
  std::unique_ptr<RecallFollow> MustFollow(const RecallQuery& query) {
    auto follow = engine().Follow(query, {.through = {77, 0}});
    EXPECT_TRUE(follow.ok()) << follow.status();
    return *std::move(follow);
  }
  struct Drained {
    std::vector<std::string> ids;
    std::vector<size_t> sizes;
    uint64_t unreadable = 0;
  };
  Drained Drain(RecallFollow& follow, size_t most) {
    Drained drained;
    while (true) {
      const auto batch = follow.Next(most, (clock_ != nullptr ? clock_ : &real_clock_)->Now());
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || (batch->hits.empty() && batch->unreadable == 0)) return drained;
      for (const ObservationHit& hit : batch->hits) drained.ids.emplace_back(hit.id);
      drained.sizes.push_back(batch->hits.size());
      drained.unreadable += batch->unreadable;
    }
  }
  static std::vector<TestObservation> Many(int first, int count) {
    std::vector<TestObservation> many;
    for (int i = first; i < first + count; ++i) {
      many.push_back({"n" + std::to_string(i), {1, 0.001f * static_cast<float>(i)}, "text of " + std::to_string(i)});
    }
    return many;
  }

  const std::vector<float> cue_ = {1, 0};
  const std::shared_ptr<WatchedReads> reads_ = std::make_shared<WatchedReads>();
};

TEST_F(RecallFollowReadsTest, EachRowIsComparedOnceHoweverFewHitsAResponseHolds) {
  constexpr int kCount = 700;
  MustObserve("s", Many(0, kCount));
  for (const size_t most : {size_t{1}, size_t{7}, size_t{1000}}) {
    SCOPED_TRACE(most);
    const auto follow = MustFollow(Query());
    reads_->count = 0;
    EXPECT_THAT(Drain(*follow, most).ids, SizeIs(kCount));
    EXPECT_EQ(reads_->count, static_cast<uint64_t>(kCount));
  }
}

TEST_F(RecallFollowReadsTest, WhatAHitShowsIsReadOnceMoreAtMost) {
  constexpr int kCount = 700;
  MustObserve("s", Many(0, kCount));
  RecallQuery query = Query();
  query.include_content = true;
  const auto follow = MustFollow(query);
  EXPECT_THAT(Drain(*follow, 1).ids, SizeIs(kCount));
  EXPECT_LE(reads_->count, 2u * kCount);
}

TEST_F(RecallFollowReadsTest, WhatDiesBetweenTheComparisonAndItsTurnIsLeftOut) {
  clock_ = &fake_clock_;
  // Nobody moves the clock for a worker that gathers.
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  std::vector<TestObservation> some = Many(0, 6);
  some[4].ttl_us = 1000;
  some[4].observed_at_us = fake_clock_.WallMicros();
  MustObserve("s", some);
  const auto follow = MustFollow(Query());
  const auto first = follow->Next(1, fake_clock_.Now());
  ASSERT_TRUE(first.ok());
  ASSERT_THAT(first->hits, SizeIs(1));
  ForgetQuery forget;
  forget.space = "s";
  forget.ids = {"n1"};
  ASSERT_TRUE(engine().Forget(forget).ok());
  MustObserve("s", {{"n3", {1, 0.5f}}});
  fake_clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(Drain(*follow, 1).ids, ElementsAre("n2", "n5", "n3"));
}

TEST_F(RecallFollowReadsTest, ADamagedMatchIsCountedOnceAndInItsPlace) {
  std::atomic<uint64_t> damaged{0};
  reads_->answer = [&](RecordAddress address) {
    return address.position == damaged ? absl::DataLossError("damaged") : absl::OkStatus();
  };
  MustObserve("s", Many(0, 400));
  damaged = MustObserve("s", Many(400, 1)).token.position;
  MustObserve("s", Many(401, 111));
  for (const bool content : {false, true}) {
    RecallQuery query = Query();
    query.include_content = content;
    const auto follow = MustFollow(query);
    const Drained drained = Drain(*follow, 100);
    EXPECT_EQ(drained.unreadable, 1u);
    EXPECT_THAT(drained.sizes, ElementsAre(100, 100, 100, 100, 100, 11));
    // Who goes on before it hears of it again, who goes on behind it does not.
    const auto some = MustFollow(query);
    uint64_t unreadable = 0;
    for (int i = 0; i < 4; ++i) unreadable += some->Next(100, real_clock_.Now())->unreadable;
    EXPECT_EQ(unreadable, 0u);
    EXPECT_EQ(some->Next(100, real_clock_.Now())->unreadable, 1u);
    auto again = engine().Follow(query, some->point());
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(Drain(**again, 100).unreadable, 0u);
  }
}

TEST_F(RecallFollowReadsTest, ADamagedOneThatIsForgottenBeforeItsTurnIsNotCounted) {
  std::atomic<uint64_t> damaged{0};
  reads_->answer = [&](RecordAddress address) {
    return address.position == damaged ? absl::DataLossError("damaged") : absl::OkStatus();
  };
  MustObserve("s", Many(0, 2));
  damaged = MustObserve("s", Many(2, 1)).token.position;
  const auto follow = MustFollow(Query());
  const auto first = follow->Next(1, real_clock_.Now());
  ASSERT_THAT(first->hits, SizeIs(1));
  EXPECT_EQ(first->unreadable, 0u);
  ForgetQuery forget;
  forget.space = "s";
  forget.ids = {"n2"};
  ASSERT_TRUE(engine().Forget(forget).ok());
  const Drained drained = Drain(*follow, 1);
  EXPECT_THAT(drained.ids, ElementsAre("n1"));
  EXPECT_EQ(drained.unreadable, 0u);
}

// As when the cue's row is replaced, and rewritten away, between the look at the index and the read.
TEST_F(RecallFollowReadsTest, ACueThatIsReplacedUnderTheReadIsLookedForAgain) {
  std::atomic<bool> replace{false};
  reads_->answer = [&](RecordAddress) {
    if (!replace.exchange(false)) return absl::OkStatus();
    MustObserve("s", {{"cue", {0, 1}}});
    return absl::NotFoundError("rewritten away");
  };
  MustObserve("s", {{"cue", {1, 0}}, {"near the old", {1, 0.1f}}, {"near the new", {0.1f, 1}}});
  replace = true;
  const auto follow = engine().Follow(ById("cue"), {.through = {77, 0}});
  ASSERT_TRUE(follow.ok()) << follow.status();
  EXPECT_THAT(Drain(**follow, 10).ids, ElementsAre("near the new"));
}

TEST_F(RecallFollowReadsTest, AnAnswerAndWhatFollowsItShareSpaceAndCue) {
  MustObserve("s", {{"cue", {1, 0}}, {"old", {1, 0.1f}}});
  const auto both = engine().RecallAndFollow(ById("cue"), Soon());
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_THAT(both->answer.hits, SizeIs(1));
  EXPECT_THAT(both->answer.cue, ElementsAre(1, 0));
  MustObserve("s", {{"cue", {0, 1}}, {"near the new", {0, 1}}, {"near the old", {1, 0.1f}}});
  EXPECT_THAT(Drain(*both->follow, 10).ids, ElementsAre("near the old"));
  ASSERT_TRUE(engine().DeleteSpace("s").ok());
  MustObserve("s", {{"cue", {1, 0}}, {"another", {1, 0.1f}}});
  EXPECT_TRUE(absl::IsNotFound(both->follow->Next(10, Soon()).status()));
}

TEST_F(RecallFollowReadsTest, AFollowerIsNotBehindBeforeItsFirstLook) {
  MustObserve("s", Many(0, 5));
  const auto both = engine().RecallAndFollow(Query(), Soon());
  ASSERT_TRUE(both.ok()) << both.status();
  const auto lag = [&] {
    double most = -1;
    for (const Metrics::Family& family : metrics().Collect()) {
      if (family.row->id != MetricId::kRecallFollowLag) continue;
      for (const Metrics::Sample& sample : family.samples) most = std::max(most, sample.value);
    }
    return most;
  };
  EXPECT_EQ(lag(), 0);
  MustObserve("s", Many(5, 3));
  EXPECT_EQ(lag(), 3);
}

TEST_F(RecallFollowReadsTest, NothingBeginsWhileTheEngineDrains) {
  MustObserve("s", {{"a", {1, 0}}});
  engine().StopAdmitting();
  EXPECT_TRUE(absl::IsUnavailable(engine().RecallAndFollow(Query(), Soon()).status()));
  EXPECT_TRUE(absl::IsUnavailable(engine().Follow(Query(), {.through = {77, 0}}).status()));
  EXPECT_TRUE(engine().Recall(Query(), Soon()).ok());
}

TEST_F(RecallFollowReadsTest, ACueThatCannotBeCaughtIsAnErrorAndNoEmptyAnswer) {
  std::atomic<bool> gone{false};
  reads_->answer = [&](RecordAddress) { return gone ? absl::NotFoundError("rewritten away") : absl::OkStatus(); };
  MustObserve("s", {{"cue", {1, 0}}, {"other", {1, 0.1f}}});
  gone = true;
  const auto answer = engine().Recall(ById("cue"), Soon());
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kAborted) << answer.status();
  EXPECT_EQ(engine().Follow(ById("cue"), {.through = {77, 0}}).status().code(), absl::StatusCode::kAborted);
  gone = false;
  EXPECT_THAT(engine().Recall(ById("cue"), Soon())->hits, SizeIs(1));
}

}  // namespace
}  // namespace engram::testing
