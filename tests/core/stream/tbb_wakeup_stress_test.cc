// oneTBB's own bookkeeping decides when a sleeping thread wakes. A wake-up lost once in a million is a memory that stops,
// so this asks for one from rest, again and again; the test's time limit is the alarm.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <tuple>
#include <vector>

#include "core/stream/tbb_executor.h"
#include "core/stream/worker_pool.h"
#include "tests/core/stream/slices.h"

namespace engram {
namespace {

using testing::MakeSlice;
using testing::TestSpace;

constexpr int kRounds = 20'000;

class CountingHandler final : public BatchHandler {
 public:
  void Started(const Batch&, size_t, bool) override {}
  absl::Status Commit(const Portion& portion) override {
    for (const Slice& slice : portion.slices) committed += slice.size();
    return absl::OkStatus();
  }
  void Refuse(const Portion&, const absl::Status&) override {}
  void Failed(size_t, bool) override {}

  std::atomic<uint64_t> committed{0};
};

// Not at all, or for a little while: the threads are found busy, winding down, or asleep.
void Pause(std::mt19937_64& random) {
  const uint64_t draw = random();
  if (draw % 8 != 0) return;
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(draw / 8 % 120);
  while (std::chrono::steady_clock::now() < until) {
  }
}

// Slots, and how long a thread stays: as the daemon's do, or so briefly that it is found on its way out.
class TbbWakeup : public ::testing::TestWithParam<std::tuple<unsigned, Duration>> {
 protected:
  unsigned slots() const { return std::get<0>(GetParam()); }
  std::unique_ptr<Executor> MakeExecutor() const { return MakeTbbExecutor(slots(), std::get<1>(GetParam())); }
};

TEST_P(TbbWakeup, EverySubmittedTaskRuns) {
  const std::unique_ptr<Executor> executor = MakeExecutor();
  std::mt19937_64 random(1);
  uint64_t ran = 0;
  for (int round = 0; round < kRounds / 2; ++round) {
    executor->Submit(round % 16 == 0 ? WorkClass::kLow : WorkClass::kNormal, [&] { ++ran; });
    executor->AwaitIdle();
    Pause(random);
  }
  EXPECT_EQ(ran, uint64_t{kRounds} / 2);
}

TEST_P(TbbWakeup, EveryPushIsProcessedFromRest) {
  const std::unique_ptr<Executor> executor = MakeExecutor();
  RealClock clock;
  CountingHandler handler;
  WorkerTuning tuning;
  tuning.min_batch = 1;  // Each arrival wakes its worker at once.
  WorkerPool pool(slots(), 10'000, tuning, &handler, executor.get(), &clock);
  std::vector<std::shared_ptr<TestSpace>> spaces;
  for (unsigned i = 0; i < slots(); ++i) spaces.push_back(std::make_shared<TestSpace>(static_cast<int>(i)));
  std::mt19937_64 random(2);
  for (int round = 0; round < kRounds; ++round) {
    const size_t lane = static_cast<size_t>(round) % slots();
    pool.Push(lane, spaces[lane], MakeSlice(nullptr, 1, 1));
    ASSERT_TRUE(pool.AwaitIdle(MonotonicTime::max()));
    ASSERT_EQ(handler.committed.load(), static_cast<uint64_t>(round) + 1);
    Pause(random);
  }
}

INSTANTIATE_TEST_SUITE_P(Workers, TbbWakeup, ::testing::Combine(::testing::Values(1, 4, 8),
                                            ::testing::Values(Duration(50'000), Duration(20), Duration(0))));

}  // namespace
}  // namespace engram
