// What a recall says it has seen, while the space is written: visible_through is never ahead of what was considered.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <thread>

#include "tests/support/engine_fixture.h"

namespace engram::testing {
namespace {

class CoverageConcurrencyTest : public EngineFixture {};

TEST_F(CoverageConcurrencyTest, AllUpToVisibleThroughWasConsidered) {
  constexpr uint32_t kWriters = 2, kFrames = 150, kFrame = 4, kMost = kWriters * kFrames * kFrame;
  settings_.limits_max_k = kMost;
  settings_.max_batch_size = 10;
  SpaceConfig config;
  config.dimension = 2;
  ASSERT_TRUE(engine().CreateSpace("s", config).ok());

  // Where each was recorded, told by its acknowledgement.
  struct Recorded {
    uint64_t position = 0;
    std::vector<std::string> ids;
  };
  std::vector<std::vector<Recorded>> recorded(kWriters);
  struct Answer {
    uint64_t through = 0;
    std::set<std::string> ids;
  };
  std::vector<std::vector<Answer>> answers(2);
  std::atomic<bool> written{false};

  std::vector<std::jthread> readers;
  for (std::vector<Answer>& own : answers) {
    readers.emplace_back([&] {
      const std::vector<float> east = {1, 0};
      bool last = false;
      while (!last) {
        last = written.load();
        RecallQuery query;
        query.space = "s";
        query.embedding = ViewOf(east);
        query.k = kMost;
        const auto answer = engine().Recall(query, Soon());
        ASSERT_TRUE(answer.ok()) << answer.status();
        EXPECT_TRUE(answer->exact);
        EXPECT_EQ(answer->tail_scanned, answer->hits.size());
        EXPECT_EQ(answer->graph_candidates, 0u);
        Answer& kept = own.emplace_back();
        kept.through = answer->visible_through.position;
        for (const ObservationHit& hit : answer->hits) kept.ids.emplace(hit.id);
      }
    });
  }
  std::vector<std::jthread> writers;
  for (uint32_t w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (uint32_t f = 0; f < kFrames; ++f) {
        std::vector<TestObservation> frame;
        Recorded kept;
        for (uint32_t i = 0; i < kFrame; ++i) {
          const float angle = 0.001f * static_cast<float>(f * kFrame + i);
          kept.ids.push_back(std::to_string(w) + "/" + std::to_string(f) + "/" + std::to_string(i));
          frame.push_back({.id = kept.ids.back(), .embedding = {std::cos(angle), std::sin(angle)}});
        }
        kept.position = MustObserve("s", std::move(frame)).token.position;
        recorded[w].push_back(std::move(kept));
      }
    });
  }
  writers.clear();
  written.store(true);
  readers.clear();

  size_t held = 0;
  for (const std::vector<Answer>& own : answers) {
    uint64_t through = 0;
    for (const Answer& answer : own) {
      EXPECT_GE(answer.through, through) << "a reader's view does not go back";
      through = answer.through;
      for (const auto& writer : recorded) {
        for (const Recorded& one : writer) {
          if (one.position > answer.through) continue;
          for (const std::string& id : one.ids) ASSERT_TRUE(answer.ids.contains(id)) << id << " at " << one.position;
          ++held;
        }
      }
    }
    EXPECT_EQ(own.back().ids.size(), kMost);
  }
  EXPECT_GT(held, 0u);
}

}  // namespace
}  // namespace engram::testing
