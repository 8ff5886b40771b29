// Real threads, fixed counts: the promises of the pool hold whoever runs what.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/stream/capacity_gate.h"
#include "core/stream/thread_executor.h"
#include "core/stream/worker_pool.h"
#include "tests/core/stream/recording_handler.h"
#include "tests/core/stream/slices.h"

namespace engram {
namespace {

using testing::MakeSlice;
using testing::RecordingHandler;
using testing::TestSpace;
using testing::TestStream;

struct Load {
  uint64_t seed;
  int idle_sleep_us;
  unsigned threads;  // Of the executor: fewer than workers, too.
};

class WorkerPoolStress : public ::testing::TestWithParam<Load> {};

// Four producers with streams of their own push to eight spaces, all at home in one lane, most of it to one of them and
// some of it high, through a gate that is often full. Workers steal, and now and then a batch throws.
TEST_P(WorkerPoolStress, OrderHoldsUnderStealing) {
  constexpr size_t kWorkers = 4, kProducers = 4, kSpaces = 8, kFrames = 1500;
  const Load load = GetParam();
  SCOPED_TRACE(::testing::Message() << "seed " << load.seed);
  RealClock clock;
  ThreadExecutor executor(load.threads);
  CapacityGate gate(1000, 0.1, &clock);
  RecordingHandler handler;

  std::atomic<uint64_t> over{0}, commits{0};
  std::latch stolen(1);
  std::atomic<bool> first_stolen{false};
  handler.on_started = [&](const Batch& batch, size_t worker, bool was_stolen) {
    if (was_stolen != (worker != 0)) ++over;
    if (was_stolen && !first_stolen.exchange(true)) stolen.count_down();
    std::array<uint64_t, 2> left{};
    for (const Portion& portion : batch.portions) {
      for (const Slice& slice : portion.slices) left[slice.frame->priority == Priority::kHigh] += slice.size();
    }
    gate.Release(Priority::kNormal, left[0]);
    gate.Release(Priority::kHigh, left[1]);
    // The home worker waits for a thief, so that there is one. Some spaces must be left to steal.
    if (worker == 0 && load.threads > 1 && batch.portions.size() <= kSpaces / 2) stolen.wait();
  };
  handler.on_commit = [&](const Portion& portion) {
    if (++commits % 97 == 0 && portion.slices.size() > 1) throw std::runtime_error("once in a while");
    return absl::OkStatus();
  };

  WorkerTuning tuning;
  tuning.min_batch = 5;
  tuning.max_batch = 50;
  tuning.steal_threshold = 100;
  tuning.idle_sleep = Duration{load.idle_sleep_us};
  std::vector<std::shared_ptr<TestSpace>> spaces;
  for (size_t i = 0; i < kSpaces; ++i) spaces.push_back(std::make_shared<TestSpace>(static_cast<int>(i)));
  std::map<int, uint64_t> pushed;  // By stream.
  uint64_t total = 0;
  {
    WorkerPool pool(kWorkers, 1000, tuning, &handler, &executor, &clock);
    std::vector<std::map<int, uint64_t>> by_producer(kProducers);
    {
      std::vector<std::jthread> producers;
      for (size_t producer = 0; producer < kProducers; ++producer) {
        producers.emplace_back([&, producer] {
          std::mt19937_64 random(load.seed * 1000 + producer);
          std::vector<std::shared_ptr<TestStream>> streams;
          for (size_t i = 0; i < kSpaces; ++i) {
            streams.push_back(std::make_shared<TestStream>(static_cast<int>(producer * kSpaces + i)));
          }
          auto& sequences = by_producer[producer];
          for (size_t frame = 0; frame < kFrames; ++frame) {
            const size_t space = random() % 2 == 0 ? 0 : random() % kSpaces;
            const Priority priority = random() % 5 == 0 ? Priority::kHigh : Priority::kNormal;
            uint64_t& last = sequences[streams[space]->id];
            for (uint64_t left = 1 + random() % 30; left > 0;) {
              const uint64_t granted = gate.TakeUpTo(priority, left);
              if (granted == 0) {
                gate.AwaitRoom(priority, left, clock.Now() + std::chrono::seconds(1));
                continue;
              }
              pool.Push(0, spaces[space], MakeSlice(streams[space], last + 1, static_cast<uint32_t>(granted), priority));
              last += granted;
              left -= granted;
            }
          }
        });
      }
    }
    ASSERT_TRUE(pool.AwaitIdle(MonotonicTime::max()));
    uint64_t counted = 0;
    for (size_t i = 0; i < kWorkers; ++i) counted += pool.Read(i).stolen;
    EXPECT_EQ(counted, handler.stolen());
    EXPECT_EQ(pool.lane(0).depth(), 0u);
    for (auto& streams : by_producer) pushed.merge(streams);
  }
  for (const auto& [stream, count] : pushed) total += count;

  EXPECT_EQ(over.load(), 0u);
  EXPECT_TRUE(load.threads == 1 || handler.stolen() > 0);
  EXPECT_EQ(gate.depth(), 0u);
  EXPECT_LE(gate.peak(), 1000u);
  EXPECT_EQ(handler.overlaps(), 0u) << "one batch of a space at a time";
  EXPECT_TRUE(handler.refusals().empty());
  EXPECT_EQ(handler.observations(), total);
  std::map<int, uint64_t> seen;
  for (size_t space = 0; space < kSpaces; ++space) {
    for (const auto& [stream, sequence] : handler.commits(static_cast<int>(space))) {
      ASSERT_EQ(sequence, ++seen[stream]) << "stream " << stream << " of space " << space;
    }
  }
  EXPECT_EQ(seen, pushed);
}

INSTANTIATE_TEST_SUITE_P(Loads, WorkerPoolStress,
                         ::testing::Values(Load{1, 1000, 4}, Load{2, 0, 4}, Load{3, 100, 2}, Load{4, 0, 4},
                                           Load{5, 1000, 1}, Load{6, 1000, 4}));

// Two lanes are pushed to at one time, from rest, again and again, while workers poll: neither may be overlooked. Each
// commit waits for the other.
TEST(WorkerPoolWakeup, APollerOverlooksNobody) {
  constexpr int kRounds = 20'000;
  RealClock clock;
  ThreadExecutor executor(2);
  RecordingHandler handler;
  std::optional<std::latch> both;
  handler.on_commit = [&](const Portion&) {
    both->arrive_and_wait();
    return absl::OkStatus();
  };
  WorkerTuning tuning;
  tuning.min_batch = 1;
  tuning.idle_sleep = Duration{0};
  WorkerPool pool(2, 1000, tuning, &handler, &executor, &clock);
  const auto a = std::make_shared<TestSpace>(0), b = std::make_shared<TestSpace>(1);
  for (int round = 0; round < kRounds; ++round) {
    both.emplace(2);
    const auto sequence = static_cast<uint64_t>(round) + 1;
    pool.Push(0, a, MakeSlice(nullptr, sequence, 1));
    pool.Push(1, b, MakeSlice(nullptr, sequence, 1));
    ASSERT_TRUE(pool.AwaitIdle(MonotonicTime::max()));
  }
  EXPECT_EQ(handler.observations(), 2u * kRounds);
}

// From rest with parked workers, through the gatherer and without it.
TEST(WorkerPoolWakeup, EveryPushFromRestIsProcessed) {
  constexpr int kRounds = 20'000;
  RealClock clock;
  ThreadExecutor executor(4);
  RecordingHandler handler;
  WorkerTuning tuning;
  tuning.min_batch = 2;
  tuning.idle_sleep = Duration{1};
  WorkerPool pool(4, 1000, tuning, &handler, &executor, &clock);
  std::vector<std::shared_ptr<TestSpace>> spaces;
  for (int i = 0; i < 4; ++i) spaces.push_back(std::make_shared<TestSpace>(i));
  uint64_t total = 0;
  for (uint64_t round = 0; round < kRounds; ++round) {
    const auto count = static_cast<uint32_t>(1 + round % 3);
    pool.Push(round % 4, spaces[round % 4], MakeSlice(nullptr, 1, count));
    total += count;
    ASSERT_TRUE(pool.AwaitIdle(MonotonicTime::max()));
    ASSERT_EQ(handler.observations(), total);
  }
}

// Knobs turn while work flows; nothing is lost and nothing stops.
TEST(WorkerPoolTuning, KnobsTurnUnderLoad) {
  constexpr uint64_t kPushes = 20'000;
  RealClock clock;
  ThreadExecutor executor(3);
  RecordingHandler handler;
  WorkerPool pool(3, 1000, WorkerTuning{}, &handler, &executor, &clock);
  std::vector<std::shared_ptr<TestSpace>> spaces;
  for (int i = 0; i < 6; ++i) spaces.push_back(std::make_shared<TestSpace>(i));
  std::atomic<bool> over{false};
  std::jthread tuner([&] {
    std::mt19937_64 random(9);
    while (!over) {
      WorkerTuning tuning;
      tuning.min_batch = 1 + random() % 20;
      tuning.max_batch = tuning.min_batch + random() % 200;
      tuning.steal_threshold = 100 + random() % 300;
      tuning.idle_sleep = Duration{random() % 3 * 200};
      pool.Tune(tuning);
      std::this_thread::yield();
    }
  });
  for (uint64_t i = 0; i < kPushes; ++i) {
    const size_t space = i % 3 == 0 ? i % 6 : 0;
    pool.Push(space % 3, spaces[space], MakeSlice(nullptr, i, 1 + static_cast<uint32_t>(i % 4)));
    if (i % 512 == 0) pool.AwaitIdle(MonotonicTime::max());
  }
  ASSERT_TRUE(pool.AwaitIdle(MonotonicTime::max()));
  over = true;
  tuner.join();
  EXPECT_EQ(handler.observations(), kPushes / 4 * (1 + 2 + 3 + 4));
  EXPECT_EQ(handler.overlaps(), 0u);
}

}  // namespace
}  // namespace engram
