// What is half done when memory runs out, at each allocation once, is undone: nothing stays locked, claimed or busy.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/linker.h"
#include "core/recall_canary.h"
#include "core/space.h"
#include "tests/support/fake_clock.h"
#include "tests/support/inline_executor.h"
#include "tests/support/observations.h"
#include "tests/support/scarce_memory.h"

namespace engram::testing {
namespace {

class MemoryExhaustionTest : public ::testing::Test {
 protected:
  std::shared_ptr<Space> MakeSpace(int rows, uint32_t flat_threshold, int64_t ttl_us) {
    Space::Origin origin;
    origin.name = "s" + std::to_string(++spaces_);
    origin.id = 1;
    origin.config.flat_threshold = flat_threshold;
    origin.config.max_connections = 16;
    origin.config.ef_construction = 40;
    origin.config.dimension = 2;
    auto space = std::make_shared<Space>(origin, 0, metrics_.AddSpace(origin.name));
    std::vector<TestObservation> observations;
    for (int i = 0; i < rows; ++i) {
      observations.push_back({.id = std::to_string(i), .embedding = {1, 0.01f * static_cast<float>(i)},
                              .observed_at_us = 1, .ttl_us = ttl_us});
    }
    const ObservationBatch batch = MakeBatch(std::move(observations));
    space->Apply(batch.observations, 2, {});
    return space;
  }

  int spaces_ = 0;
  Metrics metrics_{1, 100};
  FakeClock clock_;
};

TEST_F(MemoryExhaustionTest, ExpiryHidesAllOfItLater) {
  RunOutEverywhere([&](uint64_t left) {
    const auto space = MakeSpace(300, 1'000'000, 10);
    bool failed = false;
    {
      const MemoryRunsOut scarce(left);
      // Whoever looks filters by time.
      const bool all = space->ExpireDue(100);
      failed = scarce.failed();
      if (all == failed) ADD_FAILURE() << "all of it was said to be hidden: " << all;
    }
    // Nothing was hidden that the log will not hear of.
    EXPECT_EQ(space->index()->live() + space->Expired(1000).size(), 300u);
    EXPECT_TRUE(space->ExpireDue(100)) << "with room for " << left << " allocations";
    EXPECT_EQ(space->index()->live(), 0u);
    EXPECT_EQ(space->Expired(1000).size(), 300u);
    return failed && !HasFailure();
  });
}

TEST_F(MemoryExhaustionTest, ACanarysCheckIsGivenUpAndTheNextOneIsDue) {
  const auto space = MakeSpace(50, 1'000'000, 0);
  const std::vector<float> query = {1, 0};
  SearchRequest request;
  request.query = query;
  request.exact = true;
  const IndexView view = space->index()->Pin();
  SearchResult found = space->index()->Search(request, view);
  request.exact = false;
  found.exact = false;
  RunOutEverywhere([&](uint64_t left) {
    InlineExecutor executor;
    RecallCanary canary(&executor, &clock_, nullptr);
    canary.Tune(1);
    bool failed = false;
    {
      const MemoryRunsOut scarce(left);
      canary.Consider(space, {}, std::nullopt, request, view, found);
      failed = scarce.failed();
    }
    EXPECT_EQ(executor.queued(), failed ? 0u : 1u);
    executor.RunAll();
    const uint64_t before = executor.submitted();
    canary.Consider(space, {}, std::nullopt, request, view, found);
    EXPECT_EQ(executor.submitted(), before + 1) << "with room for " << left << " allocations";
    executor.RunAll();
    return failed && !HasFailure();
  });
}

TEST_F(MemoryExhaustionTest, LinkingIsLeftToTheNextWhoSchedulesIt) {
  RunOutEverywhere([&](uint64_t left) {
    const auto space = MakeSpace(50, 0, 0);
    InlineExecutor executor;
    Linker linker(&executor, &clock_, [](Space&, const LinkedTurn&) {}, [] { return UINT64_MAX; });
    bool failed = false;
    {
      const MemoryRunsOut scarce(left);
      linker.Schedule(space);
      failed = scarce.failed();
    }
    EXPECT_EQ(executor.queued(), failed ? 0u : 1u);
    EXPECT_EQ(space->linking_hindered(), failed) << "its writers do not wait for what nobody links";
    linker.Schedule(space);
    EXPECT_EQ(executor.queued(), 1u) << "with room for " << left << " allocations";
    executor.RunAll();
    EXPECT_EQ(space->index()->linked(), 50u);
    EXPECT_FALSE(space->linking_hindered());
    return failed && !HasFailure();
  });
}

}  // namespace
}  // namespace engram::testing
