// The engine when disk or memory is full: what is sent is refused by name, what is there can be recalled and forgotten,
// and all of it goes on by itself once there is room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/engine_fixture.h"
#include "tests/support/made_up_machine.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A base of its own, so that it outlives the engine.
struct Surroundings {
  MadeUpMachine machine_;
  MadeUpDisk disk_;
};

class EngineLimits : public Surroundings, public EngineFixture {
 protected:
  EngineLimits() {
    clock_ = &fake_clock_;
    settings_.storage_soft_free_bytes = 4000;
    settings_.storage_hard_free_bytes = 1000;
    machine_.Write("proc/meminfo", "MemTotal: 1000 kB\n");
    machine_.UseMemory(100);
    directory_ = &disk_;
    system_root_ = machine_.root();
  }

  void HaveDisk(uint64_t free) {
    disk_.free = free;
    fake_clock_.Advance(std::chrono::milliseconds(100));
  }
  void UseMemory(uint64_t kilobytes) {
    machine_.UseMemory(kilobytes);
    fake_clock_.Advance(std::chrono::milliseconds(100));
  }
  absl::StatusOr<ObserveOutcome> Observe(const std::string& space, std::vector<TestObservation> observations) {
    // High, so that workers wake without waiting for time, which stands still.
    return engine().Observe(space, MakeBatch(std::move(observations)), Priority::kHigh, AckLevel::kDurable,
                            fake_clock_.Now() + std::chrono::minutes(1));
  }
  void MustTake(const std::string& space, std::vector<TestObservation> observations) {
    const size_t count = observations.size();
    const auto outcome = Observe(space, std::move(observations));
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(outcome->accepted, count);
  }
  std::vector<std::string> Recalled(const std::string& space) {
    RecallQuery query;
    query.space = space;
    const std::vector<float> east = {1, 0};
    query.embedding = ViewOf(east);
    query.k = 10;
    const auto answer = engine().Recall(query, fake_clock_.Now() + std::chrono::minutes(1));
    EXPECT_TRUE(answer.ok()) << answer.status();
    std::vector<std::string> ids;
    if (answer.ok()) {
      for (const ObservationHit& hit : answer->hits) ids.emplace_back(hit.id);
    }
    return ids;
  }
  uint64_t Refused(RejectReason reason) {
    const auto families = metrics().Collect();
    const Metrics::Family& family = families[static_cast<size_t>(MetricId::kRejected)];
    double sum = 0;
    for (const Metrics::Sample& sample : family.samples) {
      const std::string_view word = SecondLabelValues(LabelSet::kSpaceReason)[SecondOf(reason)];
      if (sample.labels.back().second == word) sum += sample.value;
    }
    return static_cast<uint64_t>(sum);
  }

  // Spaces 'notes' of a and b and 'old' are there; then `fill`, and after `clear` all is well again.
  template <typename Fill, typename Clear>
  void ExpectReadOnlyBetween(Fill fill, Clear clear, RejectReason reason, const std::string& message) {
    MustTake("notes", {{.id = "a", .embedding = {1, 0}}, {.id = "b", .embedding = {1, 1}}});
    MustTake("old", {{.id = "x", .embedding = {1, 0}}});
    fill();
    const auto refused = Observe("notes", {{.id = "c", .embedding = {0, 1}}, {.id = "d", .embedding = {0, 1}}});
    ASSERT_TRUE(refused.ok()) << refused.status();
    EXPECT_EQ(refused->accepted, 0u);
    ASSERT_THAT(refused->rejected, SizeIs(1));
    EXPECT_EQ(refused->rejected[0].sequence, 1u);
    EXPECT_EQ(refused->rejected[0].count, 2u);
    EXPECT_EQ(refused->rejected[0].status, absl::ResourceExhaustedError(message));
    EXPECT_EQ(refused->rejected[0].retry_after, std::chrono::seconds(1));
    EXPECT_EQ(Refused(reason), 2u);

    EXPECT_EQ(Observe("new", {{.embedding = {1, 0}}}).status(), absl::ResourceExhaustedError(message));
    EXPECT_EQ(engine().CreateSpace("new", {}).status(), absl::ResourceExhaustedError(message));
    EXPECT_EQ(engine().UpdateSpace("notes", {.ef_search = 50}).status(), absl::ResourceExhaustedError(message));
    EXPECT_TRUE(absl::IsNotFound(engine().GetSpace("new").status()));

    EXPECT_THAT(Recalled("notes"), ElementsAre("a", "b"));
    EXPECT_EQ(engine().Forget({.space = "notes", .ids = {"a"}})->forgotten, 1u);
    EXPECT_THAT(Recalled("notes"), ElementsAre("b"));
    EXPECT_TRUE(engine().DeleteSpace("old").ok());

    clear();
    MustTake("notes", {{.id = "c", .embedding = {0, 1}}});
    EXPECT_THAT(Recalled("notes"), ElementsAre("b", "c"));
    EXPECT_TRUE(engine().CreateSpace("new", {}).ok());
    EXPECT_TRUE(engine().UpdateSpace("notes", {.ef_search = 50}).ok());
    EXPECT_EQ(Refused(reason), 2u);
  }
};

TEST_F(EngineLimits, AFullDiskIsReadOnlyUntilThereIsSpaceAgain) {
  ExpectReadOnlyBetween([&] { HaveDisk(5); }, [&] { HaveDisk(uint64_t{1} << 39); }, RejectReason::kDiskFull,
                        "the disk of '/data' has 5 bytes free, storage.hard_free_bytes is 1000; nothing new is taken "
                        "until 1100 are free");
}

TEST_F(EngineLimits, FullMemoryIsReadOnlyUntilThereIsRoomAgain) {
  ExpectReadOnlyBetween(
      [&] { UseMemory(950); }, [&] { UseMemory(100); }, RejectReason::kMemoryFull,
      "972800 bytes of memory are in use, limits.memory_hard allows 921600 of 1024000; nothing new is "
      "taken until less than 875520 are");
}

TEST_F(EngineLimits, AnotherLimitIsInForceWithTheSettings) {
  MustTake("notes", {{.id = "a", .embedding = {1, 0}}});
  UseMemory(950);
  EXPECT_EQ(Observe("notes", {{.embedding = {1, 0}}})->accepted, 0u);
  Settings more = settings_;
  more.limits_memory_bytes = uint64_t{1} << 30;
  engine().ApplySettings(std::make_shared<const Settings>(more));
  MustTake("notes", {{.id = "b", .embedding = {1, 1}}});
}

TEST_F(EngineLimits, WhatAFullDiskRefusedIsTakenWhenItIsSentAgain) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes", .stream_id = "s"}, &waker);
  ASSERT_TRUE(stream.ok()) << stream.status();
  HaveDisk(0);
  // Of another width than what comes later: a refused observation leaves the space open.
  (*stream)->Submit(1, Priority::kHigh, MakeBatch({{.id = "a", .embedding = {1, 0, 0}}}));
  StreamProgress progress = (*stream)->TakeProgress();
  EXPECT_EQ(progress.received_through, 0u);
  ASSERT_THAT(progress.rejected, SizeIs(1));
  EXPECT_THAT(std::string(progress.rejected[0].status.message()), HasSubstr("'/data' has 0 bytes free"));
  HaveDisk(1 << 20);
  (*stream)->Submit(1, Priority::kHigh, MakeBatch({{.id = "a", .embedding = {1, 0}}}));
  EXPECT_EQ(AwaitReached(**stream, waker).durable_through, 1u);
  EXPECT_THAT(Recalled("notes"), ElementsAre("a"));
}

TEST_F(EngineLimits, StreamsHearOfPressureAlsoWhileTheyAreIdle) {
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_FALSE((*stream)->TakeProgress().pressure_due);
  const auto expect_told = [&](PressureLevel level) {
    EXPECT_EQ(engine().ReadStatus().pressure, level);
    const StreamProgress progress = (*stream)->TakeProgress();
    EXPECT_TRUE(progress.pressure_due);
    EXPECT_EQ(progress.pressure.level, level);
    EXPECT_FALSE((*stream)->TakeProgress().pressure_due);
  };
  HaveDisk(3000);
  expect_told(PressureLevel::kWarning);
  HaveDisk(10);
  expect_told(PressureLevel::kOverloaded);
  HaveDisk(3000);
  expect_told(PressureLevel::kWarning);
  HaveDisk(1 << 20);
  expect_told(PressureLevel::kNormal);
  UseMemory(850);
  expect_told(PressureLevel::kWarning);
}

TEST_F(EngineLimits, AStreamOpenedOnAFullDiskIsTold) {
  MustTake("notes", {{.id = "a", .embedding = {1, 0}}});
  HaveDisk(0);
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes"}, &waker);
  ASSERT_TRUE(stream.ok()) << stream.status();
  const StreamProgress progress = (*stream)->TakeProgress();
  EXPECT_TRUE(progress.pressure_due);
  EXPECT_EQ(progress.pressure.level, PressureLevel::kOverloaded);
  EXPECT_GE(progress.pressure.retry_after, std::chrono::seconds(1));
}

}  // namespace
}  // namespace engram::testing
