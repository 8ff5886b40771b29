// Streams as the engine's callers see them: sequences, watermarks, resuming, and how a stream ends.
#include "core/engine.h"

#include <cmath>
#include <functional>
#include <limits>
#include <thread>

#include "tests/support/engine_fixture.h"
#include "tests/support/fake_clock.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Between two steps of the thread that made it, once.
class MeddlingClock final : public Clock {
 public:
  MonotonicTime Now() const override {
    if (std::this_thread::get_id() == owner_) {
      if (const auto meddle = std::exchange(meddle_, nullptr)) meddle();
    }
    return real_.Now();
  }
  int64_t WallMicros() const override { return real_.WallMicros(); }
  bool WaitUntil(CondVar& cv, Mutex& mu, MonotonicTime deadline) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return real_.WaitUntil(cv, mu, deadline);
  }
  void AtTheNextLook(std::function<void()> meddle) { meddle_ = std::move(meddle); }

 private:
  const std::thread::id owner_ = std::this_thread::get_id();
  RealClock real_;
  mutable std::function<void()> meddle_;
};

class EngineStreamTest : public EngineFixture {
 protected:
  MeddlingClock& Meddling() {
    clock_ = &meddling_;
    return meddling_;
  }

 private:
  MeddlingClock meddling_;
};

TEST_F(EngineStreamTest, AllBadMovesTheWatermarksToo) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  ASSERT_TRUE(stream.ok());
  (*stream)->Submit(1, Priority::kNormal, MakeBatch({{.id = "x"}, {.id = "y"}}));
  std::vector<Rejected> rejected;
  const StreamProgress progress = AwaitReached(**stream, waker, &rejected);
  EXPECT_EQ(progress.durable_through, 2u);
  EXPECT_EQ(progress.indexed_through, 2u);
  EXPECT_THAT(rejected, SizeIs(2));
}

TEST_F(EngineStreamTest, AGapIsNotUsedUpAndARepeatIsStoredOnce) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes", .stream_id = "s"}, &waker);
  ASSERT_TRUE(stream.ok());
  (*stream)->Submit(1, Priority::kNormal, MakeBatch({{.embedding = {1, 0}}, {.embedding = {0, 1}}}));
  (*stream)->Submit(5, Priority::kNormal, MakeBatch({{.embedding = {1, 1}}}));
  (*stream)->Submit(2, Priority::kNormal, MakeBatch({{.embedding = {0, 1}}, {.embedding = {1, 1}}}));
  std::vector<Rejected> rejected;
  const StreamProgress progress = AwaitReached(**stream, waker, &rejected);
  EXPECT_EQ(progress.durable_through, 3u);
  ASSERT_THAT(rejected, SizeIs(1));
  EXPECT_TRUE(absl::IsOutOfRange(rejected[0].status));
  EXPECT_THAT(rejected[0].status.message(), HasSubstr("begins at sequence 5, the next expected is 3"));
  EXPECT_EQ(engine().GetSpace("notes")->live, 3u);
  const std::vector<std::string> ids = {"s/1", "s/2", "s/3"};
  EXPECT_THAT(engine().Get("notes", ids)->missing, IsEmpty());
}

TEST_F(EngineStreamTest, AStreamGoesOnWhereItStopped) {
  Waker first_waker;
  auto first = engine().OpenStream({.space = "notes", .stream_id = "s"}, &first_waker);
  ASSERT_TRUE(first.ok());
  (*first)->Submit(1, Priority::kNormal, MakeBatch({{.embedding = {1, 0}}}));
  AwaitReached(**first, first_waker);

  Waker second_waker;
  const auto refused = engine().OpenStream({.space = "notes", .stream_id = "s"}, &second_waker);
  EXPECT_TRUE(absl::IsAlreadyExists(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("resume it from 2"));

  const auto second = engine().OpenStream({.space = "notes", .stream_id = "s", .resume = true}, &second_waker);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->first_expected(), 2u);
  EXPECT_TRUE(absl::IsAborted((*first)->TakeProgress().ended));
  // The older connection can neither write nor disturb.
  (*first)->Submit(2, Priority::kNormal, MakeBatch({{.id = "late", .embedding = {1, 0}}}));
  (*first)->Close();
  (*second)->Submit(2, Priority::kNormal, MakeBatch({{.id = "next", .embedding = {0, 1}}}));
  EXPECT_EQ(AwaitReached(**second, second_waker).durable_through, 2u);
  const std::vector<std::string> ids = {"late", "next"};
  EXPECT_THAT(engine().Get("notes", ids)->missing, ElementsAre("late"));
}

// The older connection has looked where the stream is, and queues behind the newer one.
TEST_F(EngineStreamTest, AFrameThatAnotherConnectionHasOvertakenIsDropped) {
  MeddlingClock& clock = Meddling();
  Waker waker, newer_waker;
  const auto older = engine().OpenStream({.space = "notes", .stream_id = "s"}, &waker);
  std::shared_ptr<ObserveStream> newer;
  clock.AtTheNextLook([&] {
    newer = *engine().OpenStream({.space = "notes", .stream_id = "s", .resume = true}, &newer_waker);
    newer->Submit(1, Priority::kNormal, MakeBatch({{.id = "x", .embedding = {1, 0}}}));
    newer->Submit(2, Priority::kNormal, MakeBatch({{.id = "x", .embedding = {0, 1}, .content = "newer"}}));
  });
  (*older)->Submit(1, Priority::kNormal, MakeBatch({{.id = "x", .embedding = {1, 0}}, {.id = "bad"}}));
  ASSERT_NE(newer, nullptr);
  std::vector<Rejected> rejected;
  EXPECT_EQ(AwaitReached(*newer, newer_waker, &rejected).durable_through, 2u);
  EXPECT_THAT(rejected, IsEmpty());
  ASSERT_TRUE(engine().AwaitDrained(Soon()));
  EXPECT_EQ(engine().GetSpace("notes")->size, 2u) << "each once in the log";
  const std::vector<std::string> ids = {"x"};
  EXPECT_EQ(engine().Get("notes", ids)->observations[0].content, "newer");
}

// The limit was raised between the frame's arrival and its check: the client may send it again, and does.
TEST_F(EngineStreamTest, ABatchThatWasTooLongWhenItCameIsNotUsedUp) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  ObservationBatch batch = MakeBatch({{.id = "a"}, {.id = "b"}});
  batch.too_many = true;
  (*stream)->Submit(1, Priority::kNormal, std::move(batch));
  const StreamProgress progress = (*stream)->TakeProgress();
  EXPECT_EQ(progress.received_through, 0u);
  ASSERT_THAT(progress.rejected, SizeIs(1));
  EXPECT_TRUE(absl::IsOutOfRange(progress.rejected[0].status)) << progress.rejected[0].status;
  EXPECT_EQ(progress.rejected[0].count, 2u);
}

TEST_F(EngineStreamTest, WhatIsInvalidBeforeWhatIsRefusedForTheMomentIsNamed) {
  ASSERT_TRUE(engine().CreateSpace("notes", {.quota_observations = 1}).ok());
  MustObserve("notes", {{.id = "full", .embedding = {1, 0}}});
  const auto outcome = engine().Observe("notes", MakeBatch({{.id = "bad"}, {.id = "good", .embedding = {1, 0}}}),
                                        Priority::kNormal, AckLevel::kDurable, Soon());
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->accepted, 0u);
  EXPECT_THAT(outcome->ids, ElementsAre("", ""));
  ASSERT_THAT(outcome->rejected, SizeIs(2));
  EXPECT_TRUE(absl::IsInvalidArgument(outcome->rejected[0].status)) << outcome->rejected[0].status;
  EXPECT_TRUE(absl::IsResourceExhausted(outcome->rejected[1].status)) << outcome->rejected[1].status;
}

TEST_F(EngineStreamTest, ACallWhoseSpaceIsDeletedBeforeItIsTakenSaysSo) {
  MeddlingClock& clock = Meddling();
  ASSERT_TRUE(engine().CreateSpace("notes", {.dimension = 2}).ok());
  bool deleted = false;
  clock.AtTheNextLook([&] { deleted = engine().DeleteSpace("notes").ok(); });
  const auto outcome = engine().Observe("notes", MakeBatch({{.embedding = {1, 0}}}), Priority::kNormal,
                                        AckLevel::kDurable, Soon());
  ASSERT_TRUE(deleted);
  EXPECT_TRUE(absl::IsNotFound(outcome.status())) << outcome.status();
}

TEST_F(EngineStreamTest, WhatWasRefusedIsNamedAgainToWhoComesBack) {
  Waker waker;
  auto stream = engine().OpenStream({.space = "notes", .stream_id = "s"}, &waker);
  (*stream)->Submit(1, Priority::kNormal, MakeBatch({{.embedding = {1, 0}}, {.embedding = {0, 0}}, {.embedding = {0, 1}}}));
  while (!(*stream)->Reached()) ASSERT_TRUE(waker.Await());
  (*stream)->Close();  // Before the refusal was taken.
  stream = engine().OpenStream({.space = "notes", .stream_id = "s", .resume = true}, &waker);
  StreamProgress progress = (*stream)->TakeProgress();
  ASSERT_THAT(progress.rejected, SizeIs(1));
  EXPECT_EQ(progress.rejected[0].sequence, 2u);
  (*stream)->Submit(2, Priority::kNormal, MakeBatch({{.embedding = {0, 0}}, {.embedding = {0, 1}}}));
  progress = (*stream)->TakeProgress();
  EXPECT_TRUE(progress.ack_due);
  ASSERT_THAT(progress.rejected, SizeIs(1));
  EXPECT_EQ(progress.rejected[0].sequence, 2u);
  EXPECT_EQ(engine().GetSpace("notes")->live, 2u);
}

TEST_F(EngineStreamTest, AStreamOpenedWhileDrainingBeginsIsToldSo) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  engine().StopAdmitting();
  EXPECT_TRUE(absl::IsUnavailable((*stream)->TakeProgress().ended));
}

TEST_F(EngineStreamTest, DeletingASpaceEndsItsStreams) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  (*stream)->Submit(1, Priority::kNormal, MakeBatch({{.embedding = {1, 0}}}));
  AwaitReached(**stream, waker);
  EXPECT_EQ(*engine().DeleteSpace("notes"), 1u);
  EXPECT_TRUE(absl::IsNotFound((*stream)->TakeProgress().ended));
  EXPECT_TRUE(absl::IsNotFound(engine().GetSpace("notes").status()));
  EXPECT_TRUE(absl::IsNotFound(engine().DeleteSpace("notes").status()));
  // A new space of the name begins anew.
  MustObserve("notes", {{.id = "fresh", .embedding = {1, 0, 0}}});
  EXPECT_EQ(engine().GetSpace("notes")->live, 1u);
}

TEST_F(EngineStreamTest, DrainingRefusesTheNewAndFinishesTheOld) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  (*stream)->Submit(1, Priority::kNormal, MakeBatch({{.id = "a", .embedding = {1, 0}}}));
  engine().StopAdmitting();
  EXPECT_TRUE(absl::IsUnavailable(engine().OpenStream({.space = "notes"}, &waker).status()));
  EXPECT_TRUE(engine().AwaitDrained(Soon()));
  (*stream)->Submit(2, Priority::kNormal, MakeBatch({{.id = "b", .embedding = {1, 0}}}));
  std::vector<Rejected> rejected;
  StreamProgress progress = AwaitReached(**stream, waker, &rejected);
  EXPECT_EQ(progress.durable_through, 1u);
  ASSERT_THAT(rejected, SizeIs(1));
  EXPECT_TRUE(absl::IsUnavailable(rejected[0].status));
  EXPECT_TRUE(absl::IsUnavailable(progress.ended));
  EXPECT_THAT(RecallIds("notes", {1, 0}, 10), ElementsAre("a"));
  engine().ResumeAdmitting();
  EXPECT_EQ(MustObserve("notes", {{.id = "c", .embedding = {1, 0}}}).accepted, 1u);
}

TEST_F(EngineStreamTest, TheQueueNeverHoldsMoreThanItsCapacity) {
  settings_.queue_capacity = 1000;
  settings_.queue_high_priority_ratio = 0;
  settings_.num_workers = 1;
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  uint64_t next = 1;
  for (int frame = 0; frame < 20; ++frame) {
    std::vector<TestObservation> observations(700);
    for (auto& o : observations) o.embedding = {1, static_cast<float>(next)};
    (*stream)->Submit(next, Priority::kNormal, MakeBatch(observations));
    next += 700;
    EXPECT_LE(engine().ReadStatus().queue_depth, 1000u);
  }
  std::vector<Rejected> rejected;
  EXPECT_EQ(AwaitReached(**stream, waker, &rejected).durable_through, 14000u);
  EXPECT_THAT(rejected, IsEmpty());
  EXPECT_EQ(engine().GetSpace("notes")->live, 14000u);
}

TEST_F(EngineStreamTest, TheQueueNeverHoldsMoreBytesThanItMay) {
  settings_.queue_capacity_bytes = 100'000;
  settings_.queue_high_priority_ratio = 0;
  settings_.num_workers = 1;
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  const auto queue_bytes = [&] {
    return metrics().Collect()[static_cast<size_t>(MetricId::kQueueMemory)].samples.at(0).value;
  };
  for (int frame = 0; frame < 20; ++frame) {
    std::vector<TestObservation> observations(50);
    for (size_t i = 0; i < observations.size(); ++i) {
      observations[i].embedding = {1, static_cast<float>(50 * frame + static_cast<int>(i))};
      observations[i].content = std::string(4000, 'x');
    }
    (*stream)->Submit(1 + 50 * static_cast<uint64_t>(frame), Priority::kNormal, MakeBatch(observations));
    EXPECT_THAT(queue_bytes(), ::testing::AllOf(::testing::Ge(0), ::testing::Le(100'000)));
  }
  std::vector<Rejected> rejected;
  EXPECT_EQ(AwaitReached(**stream, waker, &rejected).durable_through, 1000u);
  EXPECT_THAT(rejected, IsEmpty());
  EXPECT_EQ(queue_bytes(), 0);
}

TEST_F(EngineStreamTest, IndexedFollowsTheGraph) {
  SpaceConfig config;
  config.flat_threshold = 0;
  ASSERT_TRUE(engine().CreateSpace("graph", config).ok());
  Waker waker;
  const auto stream = engine().OpenStream({.space = "graph", .ack_level = AckLevel::kIndexed}, &waker);
  for (uint64_t first = 1; first <= 2000; first += 100) {
    std::vector<TestObservation> observations(100);
    for (size_t i = 0; i < observations.size(); ++i) {
      const float angle = static_cast<float>(first + i) * 0.37f;
      observations[i].embedding = {std::cos(angle), std::sin(angle), 0.3f};
    }
    (*stream)->Submit(first, Priority::kNormal, MakeBatch(observations));
  }
  const StreamProgress progress = AwaitReached(**stream, waker);
  EXPECT_EQ(progress.indexed_through, 2000u);
  const auto info = engine().GetSpace("graph");
  EXPECT_TRUE(info->has_graph);
  EXPECT_EQ(info->linked, 2000u);
  EXPECT_EQ(info->link_backlog, 0u);
}

}  // namespace
}  // namespace engram::testing
