// The engine as its callers see it: what is acknowledged is recallable, what is refused is named, and the rest is kept.
#include "core/engine.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/journal/memory_journal.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/fake_clock.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class EngineTest : public EngineFixture {};

TEST_F(EngineTest, AcknowledgedIsRecallable) {
  const ObserveOutcome outcome = MustObserve(
      "notes", {{.id = "a", .embedding = {1, 0}, .content = "east", .tags = {{"kind", "wind"}}, .confidence = 0.5f},
                {.id = "b", .embedding = {0, 2}, .content = "north"}});
  EXPECT_EQ(outcome.accepted, 2u);
  EXPECT_THAT(outcome.ids, ElementsAre("a", "b"));
  EXPECT_NE(outcome.token, Token{});

  RecallQuery query;
  query.space = "notes";
  const std::vector<float> east = {2, 0.1f};
  query.embedding = ViewOf(east);
  query.k = 10;
  query.include_content = query.include_tags = query.include_embedding = true;
  query.at_least = outcome.token;
  const auto answer = engine().Recall(query, Soon());
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_THAT(answer->hits, SizeIs(2));
  EXPECT_EQ(answer->hits[0].id, "a");
  EXPECT_EQ(answer->hits[0].content, "east");
  EXPECT_EQ(answer->hits[0].tags.at(0).value, "wind");
  EXPECT_FLOAT_EQ(answer->hits[0].confidence, 0.5f);
  EXPECT_NEAR(answer->hits[0].similarity, 2 / std::sqrt(4.01), 1e-6);
  EXPECT_THAT(answer->hits[1].embedding, ElementsAre(0.f, 2.f));
  EXPECT_TRUE(answer->exact);
  EXPECT_EQ(answer->tail_scanned, 2u);
  EXPECT_EQ(answer->live, 2u);
  EXPECT_GE(answer->visible_through.position, outcome.token.position);
}

TEST_F(EngineTest, AssignsIdsAndTellsThem) {
  const ObserveOutcome outcome = MustObserve("notes", {{.embedding = {1, 0}}, {.id = "own", .embedding = {0, 1}}});
  ASSERT_THAT(outcome.ids, SizeIs(2));
  EXPECT_THAT(outcome.ids[0], HasSubstr("/1"));
  EXPECT_EQ(outcome.ids[1], "own");
  EXPECT_THAT(RecallIds("notes", {1, 0}, 1), ElementsAre(outcome.ids[0]));
}

TEST_F(EngineTest, AnIdSeenAgainReplaces) {
  MustObserve("notes", {{.id = "a", .embedding = {1, 0}, .content = "old"}, {.id = "b", .embedding = {0, 1}}});
  MustObserve("notes", {{.id = "a", .embedding = {-1, 0}, .content = "new"}});
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("b", "a"));
  const std::vector<std::string> ids = {"a", "gone"};
  const auto got = engine().Get("notes", ids);
  ASSERT_TRUE(got.ok());
  ASSERT_THAT(got->observations, SizeIs(1));
  EXPECT_EQ(got->observations[0].content, "new");
  EXPECT_THAT(got->missing, ElementsAre("gone"));
  EXPECT_EQ(engine().GetSpace("notes")->live, 2u);
}

TEST_F(EngineTest, BadObservationsAreNamedAndTheRestIsKept) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  std::map<std::string, std::string> many;
  for (int i = 0; i < 33; ++i) many["t" + std::to_string(i)] = "v";
  const ObserveOutcome outcome = MustObserve(
      "notes", {{.id = "first", .embedding = {1, 0}},
                {.id = "wide", .embedding = {1, 0, 0}},
                {.id = "nan", .embedding = {nan, 0}},
                {.id = "inf", .embedding = {0, infinite}},
                {.id = "zero", .embedding = {0, 0}},
                {.id = "none"},
                {.id = "first", .embedding = {0, 1}},
                {.id = std::string(257, 'x'), .embedding = {1, 1}},
                {.id = "bell\a", .embedding = {1, 1}},
                {.id = "tags", .embedding = {1, 1}, .tags = many},
                {.id = "key", .embedding = {1, 1}, .tags = {{"", "v"}}},
                {.id = "long", .embedding = {1, 1}, .content = std::string(65537, 'x')},
                {.id = "sure", .embedding = {1, 1}, .confidence = 1.5f},
                {.id = "ttl", .embedding = {1, 1}, .ttl_us = -1},
                {.id = "last", .embedding = {0, 1}}});
  EXPECT_EQ(outcome.accepted, 2u);
  std::vector<uint64_t> places;
  for (const Rejected& r : outcome.rejected) {
    EXPECT_TRUE(absl::IsInvalidArgument(r.status)) << r.status;
    places.push_back(r.sequence);
  }
  EXPECT_THAT(places, UnorderedElementsAre(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14));
  EXPECT_THAT(outcome.rejected[0].status.message(), HasSubstr("3 dimensions, space 'notes' has 2"));
  EXPECT_THAT(outcome.rejected[5].status.message(), HasSubstr("'first' is twice in one batch, first at sequence 1"));
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("first", "last"));
}

TEST_F(EngineTest, WhatExpiredHoldsNoQuota) {
  FakeClock& clock = fake_clock_;
  clock_ = &clock;
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  SpaceConfig config;
  config.quota_observations = 2;
  ASSERT_TRUE(engine().CreateSpace("brief", config).ok());
  const std::vector<TestObservation> two = {{.embedding = {1, 0}, .ttl_us = 1000}, {.embedding = {0, 1}, .ttl_us = 1000}};
  EXPECT_EQ(MustObserve("brief", two).accepted, 2u);
  EXPECT_EQ(MustObserve("brief", two).accepted, 0u);
  clock.Advance(Duration{1000});
  EXPECT_EQ(engine().GetSpace("brief")->live, 0u);
  EXPECT_EQ(MustObserve("brief", two).accepted, 2u);
}

TEST_F(EngineTest, ForgetsByIdAndByFilter) {
  MustObserve("notes", {{.id = "a", .embedding = {1, 0}, .tags = {{"color", "red"}}, .observed_at_us = 10},
                        {.id = "b", .embedding = {1, 1}, .tags = {{"color", "blue"}}, .observed_at_us = 20},
                        {.id = "c", .embedding = {0, 1}, .tags = {{"color", "blue"}}, .observed_at_us = 30}});
  auto answer = engine().Forget({.space = "notes", .ids = {"a", "x"}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->forgotten, 1u);
  EXPECT_THAT(answer->missing, ElementsAre("x"));
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("b", "c"));

  FilterSpec blue;
  blue.all_tags = {{"color", "blue"}};
  blue.observed_from_us = 25;
  EXPECT_EQ(engine().Forget({.space = "notes", .filter = blue, .dry_run = true})->forgotten, 1u);
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("b", "c"));
  EXPECT_EQ(engine().Forget({.space = "notes", .filter = blue})->forgotten, 1u);
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("b"));

  EXPECT_TRUE(absl::IsInvalidArgument(engine().Forget({.space = "notes", .filter = FilterSpec{}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(engine().Forget({.space = "notes"}).status()));
  EXPECT_TRUE(absl::IsNotFound(engine().Forget({.space = "nowhere", .ids = {"a"}}).status()));
}

TEST_F(EngineTest, FiltersFindKWheneverKExist) {
  std::vector<TestObservation> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back({.id = std::to_string(i), .embedding = {std::cos(i * 0.01f), std::sin(i * 0.01f)},
                   .tags = {{"third", std::to_string(i % 3)}}, .confidence = i >= 290 ? 0.9f : 0.1f});
  }
  MustObserve("notes", all);
  FilterSpec filter;
  filter.min_confidence = 0.5f;
  filter.any_tags = {{"third", "0"}, {"third", "1"}};
  filter.no_tags = {{"third", "1"}};
  filter.exclude_ids = {"294"};
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10, filter), ElementsAre("291", "297"));
}

TEST_F(EngineTest, RecallByIdLeavesItOut) {
  MustObserve("notes", {{.id = "a", .embedding = {1, 0}}, {.id = "b", .embedding = {1, 0.1f}},
                        {.id = "c", .embedding = {0, 1}}});
  RecallQuery query;
  query.space = "notes";
  query.id = "a";
  query.k = 1;
  const auto answer = engine().Recall(query, Soon());
  ASSERT_TRUE(answer.ok());
  ASSERT_THAT(answer->hits, SizeIs(1));
  EXPECT_EQ(answer->hits[0].id, "b");
  query.id = "nobody";
  EXPECT_TRUE(absl::IsNotFound(engine().Recall(query, Soon()).status()));
}

TEST_F(EngineTest, BadRecallsAreNamed) {
  MustObserve("notes", {{.id = "a", .embedding = {1, 0}}});
  const auto status = [&](auto change) {
    static const std::vector<float> vector = {1, 0};
    RecallQuery query;
    query.space = "notes";
    query.embedding = ViewOf(vector);
    query.k = 1;
    change(query);
    return engine().Recall(query, Soon()).status();
  };
  static const std::vector<float> three = {1, 0, 0};
  static const std::vector<float> zero = {0, 0};
  EXPECT_TRUE(status([](RecallQuery&) {}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(status([](RecallQuery& q) { q.k = 0; })));
  EXPECT_TRUE(absl::IsInvalidArgument(status([](RecallQuery& q) { q.k = 1001; })));
  EXPECT_TRUE(absl::IsInvalidArgument(status([](RecallQuery& q) { q.ef = 5000; })));
  EXPECT_TRUE(absl::IsInvalidArgument(status([](RecallQuery& q) { q.k = 5, q.ef = 4; })));
  EXPECT_TRUE(absl::IsInvalidArgument(status([](RecallQuery& q) { q.embedding = ViewOf(three); })));
  EXPECT_TRUE(absl::IsInvalidArgument(status([](RecallQuery& q) { q.embedding = ViewOf(zero); })));
  EXPECT_TRUE(absl::IsInvalidArgument(status([](RecallQuery& q) { q.filter.min_confidence = 2; })));
  EXPECT_TRUE(absl::IsNotFound(status([](RecallQuery& q) { q.space = "nowhere"; })));
  EXPECT_TRUE(absl::IsFailedPrecondition(status([](RecallQuery& q) { q.at_least = {1, 1}; })));
}

TEST_F(EngineTest, ATokenBeyondTheJournalIsRefusedAtOnce) {
  const ObserveOutcome outcome = MustObserve("notes", {{.id = "a", .embedding = {1, 0}}});
  RecallQuery query;
  query.space = "notes";
  const std::vector<float> vector = {1, 0};
  query.embedding = ViewOf(vector);
  query.k = 1;
  query.at_least = {outcome.token.journal, outcome.token.position + 5};
  const auto answer = engine().Recall(query, MonotonicTime::max());
  EXPECT_TRUE(absl::IsOutOfRange(answer.status()));
  EXPECT_THAT(answer.status().message(), HasSubstr("ends at 2, at_least asks for 7"));
}

// More than a recall hides by itself: none of it is seen all the same, and the janitor does the rest.
TEST_F(EngineTest, OfMuchThatExpiresAtOnceNothingIsRecalled) {
  clock_ = &fake_clock_;
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  std::vector<TestObservation> brief;
  for (int i = 0; i < 9000; ++i) brief.push_back({.id = std::to_string(i), .embedding = {1, 0}, .ttl_us = 1000});
  for (int i = 0; i < 9; ++i) MustObserve("notes", {brief.begin() + 1000 * i, brief.begin() + 1000 * (i + 1)});
  MustObserve("notes", {{.id = "lasting", .embedding = {0, 1}}});
  // Not so far that the janitor wakes.
  fake_clock_.Advance(Duration{2000});
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("lasting"));
  const uint64_t left = engine().GetSpace("notes")->live;
  EXPECT_GT(left, 1u);
  EXPECT_LT(left, 5000u);
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("lasting"));
  ASSERT_TRUE(engine().Housekeep().ok());
  EXPECT_EQ(engine().GetSpace("notes")->live, 1u);
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("lasting"));
}

TEST_F(EngineTest, WhatOutlivedItsTtlIsGone) {
  FakeClock& clock = fake_clock_;
  clock_ = &clock;
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  MustObserve("notes", {{.id = "brief", .embedding = {1, 0}, .ttl_us = 5'000'000}, {.id = "lasting", .embedding = {0, 1}}});
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("brief", "lasting"));
  clock.Advance(Duration{4'999'999});
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("brief", "lasting"));
  clock.Advance(Duration{1});
  const std::vector<std::string> ids = {"brief"};
  EXPECT_THAT(engine().Get("notes", ids)->missing, ElementsAre("brief"));
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("lasting"));
  EXPECT_EQ(engine().GetSpace("notes")->live, 1u);
}

TEST_F(EngineTest, SpacesAreIsolatedAndKeepTheirParameters) {
  SpaceConfig config;
  config.metric = Metric::kL2;
  config.dimension = 3;
  ASSERT_TRUE(engine().CreateSpace("points", config).ok());
  EXPECT_TRUE(engine().CreateSpace("points", config).ok());
  config.dimension = 4;
  EXPECT_TRUE(absl::IsAlreadyExists(engine().CreateSpace("points", config).status()));
  for (const std::string& name : std::vector<std::string>{"", "Upper", "-dash", "a b", std::string(65, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(engine().CreateSpace(name, {}).status())) << name;
  }
  EXPECT_EQ(MustObserve("points", {{.id = "p", .embedding = {1, 0}}}).accepted, 0u);
  MustObserve("points", {{.id = "p", .embedding = {0, 3, 4}}});
  MustObserve("words", {{.id = "p", .embedding = {1, 0}}});
  RecallQuery query;
  query.space = "points";
  const std::vector<float> origin = {0, 0, 0};
  query.embedding = ViewOf(origin);
  query.k = 1;
  EXPECT_FLOAT_EQ(engine().Recall(query, Soon())->hits.at(0).similarity, -5);
  std::vector<std::string> names;
  for (const SpaceInfo& info : engine().ListSpaces("", "", 10)) names.push_back(info.name);
  EXPECT_THAT(names, ElementsAre("points", "words"));
  EXPECT_THAT(engine().ListSpaces("", "points", 10), SizeIs(1));
  EXPECT_THAT(engine().ListSpaces("po", "", 10), SizeIs(1));
}

TEST_F(EngineTest, RateAndQuotaRefuseTheRestForNow) {
  FakeClock& clock = fake_clock_;
  clock_ = &clock;
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  SpaceConfig config;
  config.max_rate = 2;
  config.quota_observations = 4;
  ASSERT_TRUE(engine().CreateSpace("tenant", config).ok());
  const auto three = [](const std::string& prefix) {
    return std::vector<TestObservation>{{.id = prefix + "1", .embedding = {1, 0}},
                                        {.id = prefix + "2", .embedding = {1, 1}},
                                        {.id = prefix + "3", .embedding = {0, 1}}};
  };
  ObserveOutcome outcome = MustObserve("tenant", three("a"));
  EXPECT_EQ(outcome.accepted, 2u);
  ASSERT_THAT(outcome.rejected, SizeIs(1));
  EXPECT_TRUE(absl::IsResourceExhausted(outcome.rejected[0].status));
  EXPECT_THAT(outcome.rejected[0].status.message(), HasSubstr("takes 2 observations a second"));
  EXPECT_GT(outcome.rejected[0].retry_after.count(), 400'000);
  EXPECT_LE(outcome.rejected[0].retry_after.count(), 500'001);
  clock.Advance(Duration{10'000'000});
  EXPECT_EQ(MustObserve("tenant", three("b")).accepted, 2u);
  clock.Advance(Duration{10'000'000});
  outcome = MustObserve("tenant", three("c"));
  EXPECT_EQ(outcome.accepted, 0u);
  EXPECT_THAT(outcome.rejected[0].status.message(), HasSubstr("holds 4 observations of its quota of 4"));
  EXPECT_EQ(outcome.rejected[0].count, 3u);
}

// A journal that cannot take what says "poison".
class PoisonJournal final : public Journal {
 public:
  explicit PoisonJournal(Clock* clock) : inner_(7, clock) {}

  void Start(CommitSink* sink) override { inner_.Start(sink); }
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override {
    for (const ObservationView& o : record.observations) {
      if (o.content == "poison") throw std::runtime_error("poisonous");
      if (o.content == "bitter") return absl::InternalError("bitter");
    }
    return inner_.Append(record, std::move(pending));
  }
  void Close() override { inner_.Close(); }
  uint64_t last() const override { return inner_.last(); }
  Durability durability() const override { return Durability::kMemory; }
  uint64_t id() const override { return 7; }
  bool keeps_records() const override { return false; }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override { return inner_.Read(address, out); }

 private:
  MemoryJournal inner_;
};

TEST_F(EngineTest, OnlyThePoisonousObservationIsRefused) {
  journal_ = std::make_unique<PoisonJournal>(&real_clock_);
  for (int round = 0; round < 50; ++round) {
    const std::string tag = std::to_string(round);
    const ObserveOutcome outcome = MustObserve(
        "notes", {{.id = "a" + tag, .embedding = {1, 0}}, {.id = "p" + tag, .embedding = {1, 1}, .content = "poison"},
                  {.id = "b" + tag, .embedding = {0, 1}}, {.id = "q" + tag, .embedding = {1, 1}, .content = "bitter"}});
    EXPECT_EQ(outcome.accepted, 2u);
    ASSERT_THAT(outcome.rejected, SizeIs(2));
    EXPECT_EQ(outcome.rejected[0].sequence, 2u);
    EXPECT_TRUE(absl::IsInternal(outcome.rejected[0].status));
    EXPECT_EQ(outcome.rejected[1].sequence, 4u);
  }
  EXPECT_EQ(engine().GetSpace("notes")->live, 100u);
}

}  // namespace
}  // namespace engram::testing
