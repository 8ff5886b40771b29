// Creations on their way: what waits for them, what does not, and what is found meanwhile.
#include "core/space_shaper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/engine_fixture.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;

constexpr std::chrono::milliseconds kAWhile{100};
// Longer than anything takes here.
constexpr std::chrono::seconds kPatience{20};

struct Held {
  Mutex mu;
  CondVar appended;
  // What was appended, as "type space".
  std::vector<std::string> log ABSL_GUARDED_BY(mu);
  std::vector<CommittedRecord> held ABSL_GUARDED_BY(mu);
  CommitSink* sink ABSL_GUARDED_BY(mu) = nullptr;

  std::vector<std::string> Log() {
    MutexLock lock(mu);
    return log;
  }
  // False, and nobody waits any more, when there are not so many in time.
  bool AwaitAppended(size_t count) {
    RealClock clock;
    const MonotonicTime end = clock.Now() + kPatience;
    {
      MutexLock lock(mu);
      while (log.size() < count && clock.WaitUntil(appended, mu, end)) {
      }
      if (log.size() >= count) return true;
    }
    GiveUp();
    return false;
  }
  void Commit(size_t count) {
    MutexLock lock(mu);
    sink->Committed(std::span(held).first(count));
    held.erase(held.begin(), held.begin() + static_cast<ptrdiff_t>(count));
  }
  void GiveUp() {
    std::vector<CommittedRecord> gone;
    MutexLock lock(mu);
    sink = nullptr;
    gone.swap(held);
  }
};

// Commits what and when the test says.
class HoldingJournal final : public Journal {
 public:
  explicit HoldingJournal(std::shared_ptr<Held> held) : held_(std::move(held)) {}

  void Start(CommitSink* sink) override {
    MutexLock lock(held_->mu);
    held_->sink = sink;
  }
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override {
    MutexLock lock(held_->mu);
    if (held_->sink == nullptr) return absl::UnavailableError("closed");
    held_->log.push_back((record.type == RecordType::kSpaceCreated ? "creation " : "other ") + std::string(record.space));
    CommittedRecord& committed = held_->held.emplace_back();
    committed.position = held_->log.size();
    committed.pending = std::move(pending);
    committed.times = CommitTimes::At(std::chrono::steady_clock::now());
    held_->appended.NotifyAll();
    return committed.position;
  }
  void Close() override { held_->GiveUp(); }
  uint64_t last() const override {
    MutexLock lock(held_->mu);
    return held_->log.size();
  }
  Durability durability() const override { return Durability::kFsync; }
  uint64_t id() const override { return 77; }
  bool keeps_records() const override { return false; }
  absl::Status Read(RecordAddress, StoredObservation*) const override { return absl::NotFoundError("nothing is kept"); }

 private:
  const std::shared_ptr<Held> held_;
};

class SpaceShaperTest : public EngineFixture {
 protected:
  SpaceShaperTest() { journal_ = std::make_unique<HoldingJournal>(held_); }

  // Observes one into the space, on a thread of its own.
  std::future<absl::Status> Observe(const std::string& space, AckLevel level = AckLevel::kDurable,
                                    MonotonicTime deadline = Soon()) {
    Engine& engine = this->engine();
    const std::string id = std::to_string(next_id_++);
    return std::async(std::launch::async, [&engine, space, id, level, deadline] {
      return engine.Observe(space, MakeBatch({{id, {1, 2}}}), Priority::kNormal, level, deadline).status();
    });
  }

  // An error for one that never comes.
  absl::Status Await(std::future<absl::Status> answer) {
    if (answer.wait_for(kPatience) != std::future_status::ready) held_->GiveUp();
    return answer.get();
  }

  const std::shared_ptr<Held> held_ = std::make_shared<Held>();
  int next_id_ = 0;
};

TEST_F(SpaceShaperTest, WhatIsObservedFollowsACreationThatIsOnItsWay) {
  auto answer = Observe("new");
  ASSERT_TRUE(held_->AwaitAppended(2)) << "the observation waits for the creation";
  EXPECT_THAT(held_->Log(), ElementsAre("creation new", "other new"));
  EXPECT_TRUE(absl::IsNotFound(engine().GetSpace("new").status())) << "it is not in the log for certain";
  held_->Commit(2);
  EXPECT_EQ(Await(std::move(answer)), absl::OkStatus());
  const auto info = engine().GetSpace("new");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->live, 1u);
  EXPECT_THAT(RecallIds("new", {1, 2}, 5), ElementsAre("0"));
}

TEST_F(SpaceShaperTest, CreationsOfSeveralNamesAreOnTheirWayTogether) {
  auto a = Observe("a"), b = Observe("b");
  ASSERT_TRUE(held_->AwaitAppended(4));
  held_->Commit(4);
  EXPECT_EQ(Await(std::move(a)), absl::OkStatus());
  EXPECT_EQ(Await(std::move(b)), absl::OkStatus());
}

TEST_F(SpaceShaperTest, OneNameIsCreatedOnce) {
  auto first = Observe("same");
  ASSERT_TRUE(held_->AwaitAppended(2));
  auto second = Observe("same");
  EXPECT_EQ(second.wait_for(kAWhile), std::future_status::timeout);
  held_->Commit(2);
  ASSERT_TRUE(held_->AwaitAppended(3));
  held_->Commit(1);
  EXPECT_EQ(Await(std::move(first)), absl::OkStatus());
  EXPECT_EQ(Await(std::move(second)), absl::OkStatus());
  EXPECT_THAT(held_->Log(), ElementsAre("creation same", "other same", "other same"));
  EXPECT_EQ(engine().GetSpace("same")->live, 2u);
}

TEST_F(SpaceShaperTest, WhoIsToBeAnsweredAtOnceIsAnsweredWhenTheSpaceIsThere) {
  auto answer = Observe("new", AckLevel::kReceived);
  ASSERT_TRUE(held_->AwaitAppended(2));
  EXPECT_EQ(answer.wait_for(kAWhile), std::future_status::timeout);
  held_->Commit(1);
  EXPECT_EQ(Await(std::move(answer)), absl::OkStatus());
  EXPECT_TRUE(engine().GetSpace("new").ok());
  held_->Commit(1);
}

TEST_F(SpaceShaperTest, ACreationThatIsGivenUpIsAnError) {
  // Nothing but the creation is waited for.
  auto answer = Observe("new", AckLevel::kReceived);
  ASSERT_TRUE(held_->AwaitAppended(2));
  held_->GiveUp();
  EXPECT_NE(Await(std::move(answer)), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(engine().GetSpace("new").status()));
}

TEST_F(SpaceShaperTest, SpacesOnTheirWayCountAgainstTheLimit) {
  settings_.limits_max_spaces = 1;
  auto first = Observe("a");
  ASSERT_TRUE(held_->AwaitAppended(2));
  EXPECT_TRUE(absl::IsResourceExhausted(Await(Observe("b"))));
  held_->Commit(2);
  EXPECT_EQ(Await(std::move(first)), absl::OkStatus());
}

}  // namespace
}  // namespace engram::testing
