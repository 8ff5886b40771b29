#include "core/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/support/engine_fixture.h"
#include "tests/support/recording_journal.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kHour = 3'600'000'000;

TEST(RankingScoreTest, IsTheDocumentedFormula) {
  Ranking ranking;
  EXPECT_FALSE(ranking.enabled());
  ranking.recency_half_life_us = kHour;
  EXPECT_FLOAT_EQ(RankingScore(ranking, 0.8f, 0, 0.1f, kHour), 0.4f);
  EXPECT_FLOAT_EQ(RankingScore(ranking, 0.8f, 0, 0.1f, 3 * kHour), 0.1f);
  EXPECT_FLOAT_EQ(RankingScore(ranking, -0.8f, 0, 1, kHour), -1.2f);
  // From the future is as good as new.
  EXPECT_FLOAT_EQ(RankingScore(ranking, 0.8f, 5 * kHour, 1, kHour), 0.8f);
  EXPECT_FLOAT_EQ(RankingScore(ranking, 0.8f, std::numeric_limits<int64_t>::min(), 1, kHour), 0.0f);
  ranking.confidence_weight = 0.5f;
  EXPECT_FLOAT_EQ(RankingScore(ranking, 0.8f, 0, 0.5f, kHour), 0.8f * 0.5f * 0.75f);
  ranking.recency_half_life_us = 0;
  EXPECT_FLOAT_EQ(RankingScore(ranking, 0.8f, 0, 0, kHour), 0.4f);
  ranking.confidence_weight = 1;
  EXPECT_FLOAT_EQ(RankingScore(ranking, -2, 0, 0, kHour), -4.0f);
}

TEST(RankingScoreTest, NamesWhatIsOutOfRange) {
  EXPECT_TRUE(CheckRanking({}).ok());
  EXPECT_TRUE(CheckRanking({.recency_half_life_us = 1, .confidence_weight = 1, .oversample = 100}).ok());
  EXPECT_THAT(CheckRanking({.recency_half_life_us = -5}).message(), HasSubstr("recency_half_life_us -5 is negative"));
  EXPECT_THAT(CheckRanking({.confidence_weight = 1.5f}).message(), HasSubstr("confidence_weight 1.5 is not in 0..1"));
  EXPECT_FALSE(CheckRanking({.confidence_weight = std::nanf("")}).ok());
  EXPECT_THAT(CheckRanking({.oversample = 101}).message(), HasSubstr("oversample 101 is not in 0..100"));
}

class RankingTest : public EngineFixture {
 protected:
  std::vector<ObservationHit> Recall(Ranking ranking, uint32_t k, bool exact = false, std::string id = "") {
    RecallQuery query;
    query.space = "notes";
    if (id.empty()) query.embedding = ViewOf(cue_);
    query.id = std::move(id);
    query.k = k;
    query.ranking = ranking;
    query.exact = exact;
    query.include_content = true;
    auto answer = engine().Recall(query, Soon());
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return {};
    pins_.push_back(answer->pin);
    return answer->hits;
  }
  static std::vector<std::string> Ids(const std::vector<ObservationHit>& hits) {
    std::vector<std::string> ids;
    for (const ObservationHit& hit : hits) ids.emplace_back(hit.id);
    return ids;
  }
  // i-th: less similar, and more confident.
  void ObserveHundred() {
    std::vector<TestObservation> all;
    for (int i = 0; i < 100; ++i) {
      all.push_back({.id = std::to_string(i), .embedding = {std::cos(i * 0.01f), std::sin(i * 0.01f)},
                     .confidence = static_cast<float>(i) / 100});
    }
    MustObserve("notes", all);
  }

  std::vector<float> cue_ = {1, 0};
  std::vector<std::shared_ptr<const void>> pins_;
};

TEST_F(RankingTest, OffMeansSimilarityAlone) {
  ObserveHundred();
  const auto hits = Recall({.oversample = 50}, 3);
  EXPECT_THAT(Ids(hits), ElementsAre("0", "1", "2"));
  for (const ObservationHit& hit : hits) EXPECT_EQ(hit.score, hit.similarity);
}

TEST_F(RankingTest, TheBestByScoreAmongOversampleTimesKAreTheHits) {
  ObserveHundred();
  // Among the 12 most similar, confidence decides.
  const auto hits = Recall({.confidence_weight = 1}, 3);
  EXPECT_THAT(Ids(hits), ElementsAre("11", "10", "9"));
  EXPECT_FLOAT_EQ(hits[0].similarity, std::cos(0.11f));
  EXPECT_FLOAT_EQ(hits[0].score, std::cos(0.11f) * 0.11f);
  EXPECT_THAT(Ids(Recall({.confidence_weight = 1, .oversample = 1}, 3)), ElementsAre("2", "1", "0"));
  EXPECT_THAT(Ids(Recall({.confidence_weight = 1, .oversample = 10}, 2)), ElementsAre("19", "18"));
}

TEST_F(RankingTest, ExactRanksEverything) {
  ObserveHundred();
  // The largest cos(i / 100) * i / 100 there is.
  const auto hits = Recall({.confidence_weight = 1}, 2, true);
  EXPECT_THAT(Ids(hits), ElementsAre("86", "87"));
  EXPECT_GE(hits[0].score, hits[1].score);
}

// By what an exact recall without a ranking tells of each, and the documented formula.
TEST_F(RankingTest, ExactIsTheFormulaOverEverythingWhateverItIsWorth) {
  const auto log = std::make_shared<RecordedLog>();
  journal_ = std::make_unique<RecordingJournal>(log);
  clock_ = &fake_clock_;
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  settings_.limits_max_k = 10'000;
  const int64_t now_us = fake_clock_.WallMicros();
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  constexpr size_t kRows = 9000;
  std::vector<TestObservation> all;
  for (size_t i = 0; i < kRows; ++i) {
    TestObservation o{.id = std::to_string(i), .embedding = std::vector<float>(16), .content = "text of " + std::to_string(i)};
    for (float& x : o.embedding) x = normal(random);
    // Ties, what is worth nothing, and what is years old.
    if (i > 0 && random() % 8 == 0) o.embedding = all[random() % i].embedding;
    o.confidence = random() % 4 == 0 ? 0 : static_cast<float>(random() % 5) / 4;
    o.observed_at_us = now_us - static_cast<int64_t>(random() % 4 == 0 ? 3 * 8766 * kHour : random() % (100 * kHour));
    all.push_back(std::move(o));
  }
  for (size_t i = 0; i < kRows; i += 1000) {
    MustObserve("notes", {all.begin() + static_cast<ptrdiff_t>(i), all.begin() + static_cast<ptrdiff_t>(i + 1000)});
  }
  cue_.assign(16, 1);
  const std::vector<ObservationHit> similar = Recall({}, kRows, true);
  ASSERT_EQ(similar.size(), kRows);
  for (const Ranking ranking : {Ranking{.recency_half_life_us = kHour}, Ranking{.confidence_weight = 1},
                                Ranking{.recency_half_life_us = 1000, .confidence_weight = 0.5f},
                                Ranking{.recency_half_life_us = 24 * kHour, .confidence_weight = 1}}) {
    struct Expected {
      float score;
      size_t by_similarity;
    };
    std::vector<Expected> expected;
    for (size_t i = 0; i < kRows; ++i) {
      const ObservationHit& hit = similar[i];
      expected.push_back({RankingScore(ranking, hit.similarity, hit.observed_at_us, hit.confidence, now_us), i});
    }
    std::stable_sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
    for (const uint32_t k : {1u, 10u, 500u}) {
      {
        MutexLock lock(log->mu);
        log->reads = 0;
      }
      const std::vector<ObservationHit> hits = Recall(ranking, k, true);
      ASSERT_EQ(hits.size(), k);
      for (uint32_t i = 0; i < k; ++i) {
        ASSERT_EQ(hits[i].id, similar[expected[i].by_similarity].id) << i << " of " << k;
        EXPECT_EQ(hits[i].score, expected[i].score);
        EXPECT_EQ(hits[i].content, "text of " + std::string(hits[i].id));
      }
      MutexLock lock(log->mu);
      EXPECT_LT(log->reads, 3 * k + 100) << "what cannot be among the hits is not read";
    }
  }
}

TEST_F(RankingTest, RecallByIdLeavesItOutWhateverItsScore) {
  ObserveHundred();
  EXPECT_THAT(Ids(Recall({.confidence_weight = 1, .oversample = 2}, 1, false, "50")), ElementsAre("51"));
  EXPECT_EQ(Recall({.confidence_weight = 1}, 100, true, "50").size(), 99u);
}

TEST_F(RankingTest, TheNewerOfEquallySimilarComesFirst) {
  const int64_t now_us = real_clock_.WallMicros();
  MustObserve("notes", {{.id = "old", .embedding = {1, 0}, .observed_at_us = now_us - 10 * kHour},
                        {.id = "new", .embedding = {1, 0.01f}, .observed_at_us = now_us - kHour}});
  EXPECT_THAT(Ids(Recall({}, 2)), ElementsAre("old", "new"));
  const auto hits = Recall({.recency_half_life_us = kHour}, 2);
  EXPECT_THAT(Ids(hits), ElementsAre("new", "old"));
  EXPECT_NEAR(hits[0].score, 0.5, 0.05);
}

}  // namespace
}  // namespace engram::testing
