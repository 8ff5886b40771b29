// Appliers keep the order of the log within a lane, hold back a committer that is too far ahead, and finish what they
// took.
#include "core/applier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <utility>

namespace engram::testing {
namespace {

class FunctionCommit final : public Commit {
 public:
  FunctionCommit(size_t lane, uint64_t weight, std::function<void(uint64_t)> apply)
      : lane_(lane), weight_(weight), apply_(std::move(apply)) {}
  size_t lane() const override { return lane_; }
  uint64_t weight() const override { return weight_; }
  void Apply(uint64_t position, const CommitTimes&) noexcept override { apply_(position); }

 private:
  const size_t lane_;
  const uint64_t weight_;
  const std::function<void(uint64_t)> apply_;
};

CommittedRecord Record(uint64_t position, size_t lane, uint64_t weight, std::function<void(uint64_t)> apply) {
  CommittedRecord record;
  record.position = position;
  record.pending = std::make_unique<FunctionCommit>(lane, weight, std::move(apply));
  return record;
}

TEST(Applier, EveryLaneIsAppliedInTheOrderOfTheLog) {
  Mutex mu;
  std::map<size_t, std::vector<uint64_t>> applied;
  {
    Applier applier(3);
    uint64_t position = 0;
    while (position < 5000) {
      std::vector<CommittedRecord> group;
      for (int i = 0; i < 17; ++i) {
        const size_t lane = ++position % 7;
        group.push_back(Record(position, lane, 1, [&, lane](uint64_t at) {
          MutexLock lock(mu);
          applied[lane].push_back(at);
        }));
      }
      applier.Committed(group);
    }
  }
  size_t sum = 0;
  for (const auto& [lane, positions] : applied) {
    EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end())) << "lane " << lane;
    sum += positions.size();
  }
  EXPECT_EQ(sum, 5015u);
}

TEST(Applier, ACommitterTooFarAheadWaits) {
  Mutex mu;
  CondVar moved;
  bool open = false;
  std::atomic<uint64_t> handed{0};
  Applier applier(1);
  std::jthread committer([&] {
    for (uint64_t position = 1; position <= 3 * Applier::kMostRecords; ++position) {
      CommittedRecord record = Record(position, 0, 1, [&](uint64_t at) {
        // The first one is applied once the committer has filled the partition.
        MutexLock lock(mu);
        if (at == 1 && handed.load() > Applier::kMostRecords) ADD_FAILURE() << "handed over " << handed.load();
        while (!open) moved.Wait(mu);
        EXPECT_LE(handed.load(), at + Applier::kMostRecords + 1);
      });
      applier.Committed({&record, 1});
      handed.fetch_add(1);
      if (position == Applier::kMostRecords) {
        MutexLock lock(mu);
        open = true;
        moved.NotifyAll();
      }
    }
  });
  committer.join();
  applier.Stop();
  EXPECT_EQ(handed.load(), 3 * Applier::kMostRecords);
}

TEST(Applier, ARecordHeavierThanTheBoundPassesAlone) {
  std::atomic<int> applied{0};
  Applier applier(1);
  for (uint64_t position = 1; position <= 4; ++position) {
    CommittedRecord record = Record(position, 0, 10 * Applier::kMostObservations, [&](uint64_t) { ++applied; });
    applier.Committed({&record, 1});
  }
  applier.Stop();
  EXPECT_EQ(applied.load(), 4);
}

}  // namespace
}  // namespace engram::testing
