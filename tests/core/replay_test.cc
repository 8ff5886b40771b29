// What an engine holds is a function of its log: replayed into another engine, the log gives the same spaces, contents,
// answers and streams. And what each kind of record does, where their order matters.
#include <algorithm>
#include <cmath>
#include <random>
#include <thread>

#include "tests/support/engine_fixture.h"
#include "tests/support/recording_journal.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The seed of a random walk; ENGRAM_SEED replays.
uint64_t Seed() {
  const char* seed = std::getenv("ENGRAM_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : 20250101;
}

class ReplayTest : public EngineFixture {
 protected:
  // A second life of the same log, with a clock and executor of its own.
  struct Life {
    Life(const std::shared_ptr<RecordedLog>& log, Clock* clock) {
      EngineDeps deps;
      deps.clock = clock;
      deps.executor = &executor;
      deps.metrics = &metrics;
      deps.journal = std::make_unique<RecordingJournal>(log);
      engine = Engine::Create(std::make_shared<const Settings>(), std::move(deps));
      log->ReplayInto(*engine);
      engine->Start();
    }
    Metrics metrics{4, 50};
    ThreadExecutor executor{2};
    std::unique_ptr<Engine> engine;
  };

  void SetUp() override { journal_ = std::make_unique<RecordingJournal>(log_); }

  std::vector<RecordType> Types() {
    MutexLock lock(log_->mu);
    std::vector<RecordType> types;
    for (const RecordedRecord& record : log_->records) types.push_back(record.type);
    return types;
  }

  static std::string Describe(Engine& engine, const std::string& space) {
    std::string text;
    const auto info = engine.GetSpace(space);
    if (!info.ok()) return std::string(info.status().message());
    text += std::to_string(info->live) + " of " + std::to_string(info->size) + " ef " +
            std::to_string(info->config.ef_search) + " rate " + std::to_string(info->config.max_rate) + " dim " +
            std::to_string(info->config.dimension) + " at " + std::to_string(info->created_at_us) + "\n";
    for (int i = 0; i < 60; ++i) {
      const std::vector<std::string> ids = {"id" + std::to_string(i)};
      const auto got = engine.Get(space, ids);
      if (!got.ok() || got->observations.empty()) continue;
      const ObservationHit& hit = got->observations[0];
      text += std::string(hit.id) + "=" + std::string(hit.content) + "@" + std::to_string(hit.observed_at_us) + "/" +
              std::to_string(hit.ttl_us) + "/" + std::to_string(hit.confidence);
      for (const TagView& tag : hit.tags) text += " " + std::string(tag.key) + ":" + std::string(tag.value);
      for (const float x : hit.embedding) text += " " + std::to_string(x);
      text += "\n";
    }
    for (int angle = 0; angle < 6; ++angle) {
      const std::vector<float> vector = {std::cos(static_cast<float>(angle)), std::sin(static_cast<float>(angle)),
                                         0.5f};
      RecallQuery query;
      query.space = space;
      query.embedding = ViewOf(vector);
      query.k = 7;
      query.include_content = true;
      const auto answer = engine.Recall(query, MonotonicTime::max());
      if (!answer.ok()) continue;
      for (const ObservationHit& hit : answer->hits) text += std::string(hit.id) + "~" + std::string(hit.content) + " ";
    }
    return text;
  }

  const std::shared_ptr<RecordedLog> log_ = std::make_shared<RecordedLog>();
};

TEST_F(ReplayTest, TheSecondLifeHoldsWhatTheFirstOneHeld) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); };
  const std::vector<std::string> names = {"a", "b", "c"};
  std::map<std::pair<std::string, std::string>, uint64_t> sent;
  for (int step = 0; step < 400; ++step) {
    const std::string& space = names[below(names.size())];
    const uint64_t choice = below(12);
    if (choice < 7) {
      Waker waker;
      const std::string stream_id = "s" + std::to_string(below(2));
      const auto stream = engine().OpenStream({.space = space, .stream_id = stream_id, .resume = true}, &waker);
      ASSERT_TRUE(stream.ok()) << stream.status();
      uint64_t& next = sent[{space, stream_id}];
      EXPECT_EQ((*stream)->first_expected(), next + 1);
      std::vector<TestObservation> frame;
      std::map<std::string, bool> seen;
      for (uint64_t i = 0, n = 1 + below(12); i < n; ++i) {
        TestObservation o;
        o.id = "id" + std::to_string(below(60));
        if (std::exchange(seen[o.id], true)) continue;
        const auto angle = static_cast<float>(below(628)) / 100;
        // Now and then one that is refused, and a frame of nothing else.
        if (choice != 6 && below(8) != 0) o.embedding = {std::cos(angle), std::sin(angle), 0.25f};
        o.content = below(5) == 0 ? "" : "text " + std::to_string(step) + "." + std::to_string(i);
        o.tags = {{"step", std::to_string(step)}};
        o.confidence = 0.5f;
        frame.push_back(std::move(o));
      }
      (*stream)->Submit(next + 1, Priority::kNormal, MakeBatch(frame));
      next += frame.size();
      EXPECT_EQ(AwaitReached(**stream, waker).durable_through, next);
      (*stream)->Close();
    } else if (choice < 9) {
      engine()
          .Forget({.space = space, .ids = {"id" + std::to_string(below(60)), "id" + std::to_string(below(60))}})
          .IgnoreError();
    } else if (choice == 9) {
      SpaceChange change;
      change.ef_search = 20 + static_cast<uint32_t>(below(100));
      engine().UpdateSpace(space, change).IgnoreError();
    } else if (choice == 10 && below(4) == 0 && engine().DeleteSpace(space).ok()) {
      std::erase_if(sent, [&](const auto& entry) { return entry.first.first == space; });
    }
  }
  std::map<std::string, std::string> first;
  for (const std::string& name : names) first[name] = Describe(engine(), name);
  Life second(log_, &real_clock_);
  for (const std::string& name : names) EXPECT_EQ(Describe(*second.engine, name), first[name]) << name;
  for (const auto& [key, through] : sent) {
    Waker waker;
    const auto stream =
        second.engine->OpenStream({.space = key.first, .stream_id = key.second, .resume = true}, &waker);
    ASSERT_TRUE(stream.ok()) << stream.status();
    EXPECT_EQ((*stream)->first_expected(), through + 1) << key.first << "/" << key.second;
    EXPECT_EQ((*stream)->TakeProgress().durable_through, through);
    (*stream)->Close();
  }
}

TEST_F(ReplayTest, ReplayingTwiceIsReplayingOnce) {
  MustObserve("notes",
              {{.id = "id1", .embedding = {1, 0, 0}, .content = "one"}, {.id = "id2", .embedding = {0, 1, 0}}});
  ASSERT_TRUE(engine().Forget({.space = "notes", .ids = {"id2"}}).ok());
  const std::string once = Describe(engine(), "notes");
  EngineDeps deps;
  Metrics metrics(4, 50);
  ThreadExecutor executor(2);
  deps.clock = &real_clock_;
  deps.executor = &executor;
  deps.metrics = &metrics;
  deps.journal = std::make_unique<RecordingJournal>(log_);
  const auto twice = Engine::Create(std::make_shared<const Settings>(), std::move(deps));
  log_->ReplayInto(*twice);
  log_->ReplayInto(*twice);
  twice->Start();
  EXPECT_EQ(Describe(*twice, "notes"), once);
}

TEST_F(ReplayTest, TheSecondLifeGoesOnWithPositionsAndTokens) {
  const Token token = MustObserve("notes", {{.id = "id1", .embedding = {1, 0, 0}}}).token;
  Life second(log_, &real_clock_);
  RecallQuery query;
  query.space = "notes";
  query.id = "id1";
  query.k = 1;
  query.at_least = token;
  EXPECT_TRUE(second.engine->Recall(query, Soon()).ok());
  const auto more = second.engine->Observe("notes", MakeBatch({{.id = "id2", .embedding = {0, 1, 0}}}),
                                           Priority::kNormal, AckLevel::kDurable, Soon());
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->token.position, token.position + 1);
}

TEST_F(ReplayTest, ATombstoneKillsUpToItsPositionOnly) {
  MustObserve("notes", {{.id = "x", .embedding = {1, 0}}, {.id = "y", .embedding = {1, 0}}});
  const uint64_t old = 2;
  MustObserve("notes", {{.id = "x", .embedding = {0, 1}, .content = "newer"}});
  {
    MutexLock lock(log_->mu);
    RecordedRecord stones = log_->records[1];
    stones.type = RecordType::kTombstones;
    stones.observations.clear();
    stones.tombstones = {{"x", old}, {"y", old - 1}, {"nobody", old}};
    log_->records.push_back(stones);
  }
  Life second(log_, &real_clock_);
  const std::vector<std::string> ids = {"x", "y"};
  const auto got = second.engine->Get("notes", ids);
  ASSERT_THAT(got->observations, SizeIs(2));
  EXPECT_EQ(got->observations[0].content, "newer");
  ASSERT_EQ(second.engine->Forget({.space = "notes", .ids = {"x"}})->forgotten, 1u);
  EXPECT_THAT(second.engine->Get("notes", ids)->missing, ElementsAre("x"));
}

TEST_F(ReplayTest, ASpaceWhoseCreationIsLostIsMadeFromItsRecords) {
  ASSERT_TRUE(engine().CreateSpace("points", {.metric = Metric::kL2}).ok());
  MustObserve("points", {{.id = "p", .embedding = {3, 4}, .content = "far"}});
  engine().AwaitDrained(Soon());
  Metrics metrics(4, 50);
  ThreadExecutor executor(2);
  EngineDeps deps;
  deps.clock = &real_clock_;
  deps.executor = &executor;
  deps.metrics = &metrics;
  deps.journal = std::make_unique<RecordingJournal>(log_);
  const auto second = Engine::Create(std::make_shared<const Settings>(), std::move(deps));
  {
    MutexLock lock(log_->mu);
    ASSERT_TRUE(log_->records[1].ReplayInto(*second, 2).ok());
  }
  second->Start();
  const auto info = second->GetSpace("points");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->config.metric, Metric::kL2);
  EXPECT_EQ(info->config.dimension, 2u);
  const std::vector<std::string> ids = {"p"};
  EXPECT_EQ(second->Get("points", ids)->observations.at(0).content, "far");
}

TEST_F(ReplayTest, OfTwoCreationsOfANameTheFirstCounts) {
  ASSERT_TRUE(engine().CreateSpace("notes", {.ef_search = 33}).ok());
  {
    MutexLock lock(log_->mu);
    RecordedRecord again = log_->records[0];
    again.config.ef_search = 44;
    log_->records.push_back(again);
  }
  Life second(log_, &real_clock_);
  EXPECT_EQ(second.engine->GetSpace("notes")->config.ef_search, 33u);
}

TEST_F(ReplayTest, RecordsOfADroppedSpaceDoNotComeBackWithTheNextOneOfItsName) {
  MustObserve("notes", {{.id = "old", .embedding = {1, 0}}});
  ASSERT_TRUE(engine().DeleteSpace("notes").ok());
  MustObserve("notes", {{.id = "new", .embedding = {1, 0, 0}}});
  {
    MutexLock lock(log_->mu);
    log_->records.push_back(log_->records[1]);  // It was on its way when the space was dropped.
  }
  Life second(log_, &real_clock_);
  const std::vector<std::string> ids = {"old", "new"};
  EXPECT_THAT(second.engine->Get("notes", ids)->missing, ElementsAre("old"));
}

TEST_F(ReplayTest, CreatorsAndDroppersOfOneNameLeaveOneLog) {
  engine();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 40; ++i) {
        if ((i + t) % 3 == 0) {
          engine().DeleteSpace("one").IgnoreError();
        } else {
          engine()
              .Observe("one", MakeBatch({{.id = "id" + std::to_string(t), .embedding = {1, 0, 0}}}), Priority::kNormal,
                       AckLevel::kDurable, Soon())
              .IgnoreError();
        }
      }
    });
  }
  threads.clear();
  ASSERT_TRUE(engine().AwaitDrained(Soon()));
  Life second(log_, &real_clock_);
  EXPECT_EQ(Describe(*second.engine, "one"), Describe(engine(), "one"));
}

TEST_F(ReplayTest, RefusalsOfANamedStreamAreMarkedAndThoseOfAnotherAreNot) {
  Waker waker;
  auto stream = *engine().OpenStream({.space = "notes", .stream_id = "s"}, &waker);
  stream->Submit(1, Priority::kNormal, MakeBatch({{.id = "bad"}, {.id = "worse"}}));
  EXPECT_EQ(AwaitReached(*stream, waker).durable_through, 2u);
  stream->Close();
  EXPECT_THAT(Types(), ElementsAre(RecordType::kSpaceCreated, RecordType::kObservations));
  stream = *engine().OpenStream({.space = "notes"}, &waker);
  stream->Submit(1, Priority::kNormal, MakeBatch({{.id = "bad"}}));
  EXPECT_EQ(AwaitReached(*stream, waker).durable_through, 1u);
  stream->Close();
  EXPECT_THAT(Types(), SizeIs(2));
  Life second(log_, &real_clock_);
  stream = *second.engine->OpenStream({.space = "notes", .stream_id = "s", .resume = true}, &waker);
  EXPECT_EQ(stream->first_expected(), 3u);
  stream->Close();
}

TEST_F(ReplayTest, WhatExpiredIsForgottenInTheLogAndANewerVersionIsNot) {
  clock_ = &fake_clock_;
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  MustObserve("notes", {{.id = "gone", .embedding = {1, 0}, .ttl_us = 1000},
                        {.id = "back", .embedding = {1, 0}, .ttl_us = 1000}});
  fake_clock_.Advance(Duration{2000});
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), IsEmpty());
  MustObserve("notes", {{.id = "back", .embedding = {0, 1}, .content = "newer"}});
  ASSERT_TRUE(engine().Housekeep().ok());
  ASSERT_TRUE(engine().Housekeep().ok());
  ASSERT_TRUE(engine().AwaitDrained(MonotonicTime::max()));
  EXPECT_THAT(Types(), ElementsAre(RecordType::kSpaceCreated, RecordType::kObservations, RecordType::kObservations,
                                   RecordType::kTombstones));
  {
    MutexLock lock(log_->mu);
    EXPECT_THAT(log_->records.back().tombstones, SizeIs(2));
  }
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("back"));
  // Also to a clock for which nothing has expired yet.
  FakeClock early;
  Life second(log_, &early);
  const std::vector<std::string> ids = {"gone", "back"};
  const auto got = second.engine->Get("notes", ids);
  EXPECT_THAT(got->missing, ElementsAre("gone"));
  EXPECT_EQ(got->observations.at(0).content, "newer");
}

TEST_F(ReplayTest, ADamagedRecordCostsItsOwnObservations) {
  const uint64_t damaged = MustObserve("notes", {{.id = "a", .embedding = {1, 0}, .content = "lost"}}).token.position;
  MustObserve("notes", {{.id = "b", .embedding = {1, 0.1f}, .content = "kept"}});
  {
    MutexLock lock(log_->mu);
    log_->damaged.insert(damaged);
  }
  RecallQuery query;
  query.space = "notes";
  const std::vector<float> vector = {1, 0};
  query.embedding = ViewOf(vector);
  query.k = 2;
  query.include_content = true;
  const auto answer = engine().Recall(query, Soon());
  ASSERT_TRUE(answer.ok());
  ASSERT_THAT(answer->hits, SizeIs(1));
  EXPECT_EQ(answer->hits[0].content, "kept");
  EXPECT_EQ(answer->unreadable, 1u);
  // Without its embedding nobody can say how similar it is.
  query.include_content = false;
  const auto without = engine().Recall(query, Soon());
  EXPECT_THAT(without->hits, SizeIs(1));
  EXPECT_EQ(without->unreadable, 1u);
  query.embedding = {};
  query.id = "a";
  EXPECT_TRUE(absl::IsDataLoss(engine().Recall(query, Soon()).status()));
  const std::vector<std::string> ids = {"a", "b"};
  const auto got = engine().Get("notes", ids);
  EXPECT_THAT(got->unreadable, ElementsAre("a"));
  EXPECT_THAT(got->observations, SizeIs(1));
}

TEST_F(ReplayTest, AnEngineEndsThoughItsJournalTakesNothing) {
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  // Never started: every append is refused.
  Metrics metrics(4, 50);
  ThreadExecutor executor(2);
  EngineDeps deps;
  deps.clock = &real_clock_;
  deps.executor = &executor;
  deps.metrics = &metrics;
  deps.journal = std::make_unique<RecordingJournal>(log_);
  const auto engine = Engine::Create(std::make_shared<const Settings>(settings_), std::move(deps));
  EXPECT_TRUE(absl::IsUnavailable(engine->CreateSpace("notes", {}).status()));
  EXPECT_TRUE(engine->AwaitDrained(Soon()));
}

}  // namespace
}  // namespace engram::testing
