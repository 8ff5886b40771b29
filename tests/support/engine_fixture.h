// An engine over real threads and a real clock, and a stream client that waits for what it is told.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/journal/journal.h"
#include "core/stream/thread_executor.h"
#include "tests/support/fake_clock.h"
#include "tests/support/observations.h"

namespace engram::testing {

// No test waits longer than this for something that must happen.
inline MonotonicTime Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

class Waker final : public StreamListener {
 public:
  void OnProgress() noexcept override {
    MutexLock lock(mu_);
    moved_ = true;
    cv_.NotifyAll();
  }
  // False after a minute.
  bool Await() {
    RealClock clock;
    const MonotonicTime deadline = Soon();
    MutexLock lock(mu_);
    while (!moved_) {
      if (!clock.WaitUntil(cv_, mu_, deadline)) return false;
    }
    moved_ = false;
    return true;
  }

 private:
  Mutex mu_;
  CondVar cv_;
  bool moved_ ABSL_GUARDED_BY(mu_) = false;
};

class EngineFixture : public ::testing::Test {
 protected:
  // Before the first use of engine().
  Settings settings_;
  std::unique_ptr<Journal> journal_;
  // What is to be done before the engine starts.
  std::function<void(Engine&)> replay_;

  Engine& engine() {
    if (engine_ == nullptr) {
      metrics_ = std::make_unique<Metrics>(settings_.num_workers, 50);
      executor_ = std::make_unique<ThreadExecutor>(4);
      EngineDeps deps;
      deps.clock = clock_ != nullptr ? clock_ : &real_clock_;
      deps.executor = executor_.get();
      deps.metrics = metrics_.get();
      deps.journal = std::move(journal_);
      engine_ = Engine::Create(std::make_shared<const Settings>(settings_), std::move(deps));
      if (replay_) replay_(*engine_);
      engine_->Start();
    }
    return *engine_;
  }
  Metrics& metrics() {
    engine();
    return *metrics_;
  }

  // Takes progress until everything sent so far is at the stream's level; collects refusals.
  StreamProgress AwaitReached(ObserveStream& stream, Waker& waker, std::vector<Rejected>* rejected = nullptr) {
    while (true) {
      const bool reached = stream.Reached();
      StreamProgress progress = stream.TakeProgress();
      for (Rejected& r : progress.rejected) {
        if (rejected != nullptr) rejected->push_back(std::move(r));
      }
      if (reached || !progress.ended.ok()) return progress;
      if (!waker.Await()) {
        ADD_FAILURE() << "no progress within a minute";
        return progress;
      }
    }
  }

  ObserveOutcome MustObserve(const std::string& space, std::vector<TestObservation> observations,
                             Priority priority = Priority::kNormal) {
    auto outcome = engine().Observe(space, MakeBatch(std::move(observations)), priority, AckLevel::kDurable, Soon());
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? *std::move(outcome) : ObserveOutcome{};
  }

  std::vector<std::string> RecallIds(const std::string& space, const std::vector<float>& vector, uint32_t k,
                                     FilterSpec filter = {}) {
    RecallQuery query;
    query.space = space;
    query.embedding = ViewOf(vector);
    query.k = k;
    query.filter = std::move(filter);
    auto answer = engine().Recall(query, Soon());
    EXPECT_TRUE(answer.ok()) << answer.status();
    std::vector<std::string> ids;
    if (answer.ok()) {
      for (const ObservationHit& hit : answer->hits) ids.emplace_back(hit.id);
    }
    return ids;
  }

  RealClock real_clock_;
  // The engine outlives the test's body, so a clock it uses lives here.
  FakeClock fake_clock_;
  Clock* clock_ = nullptr;

 private:
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<ThreadExecutor> executor_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace engram::testing
