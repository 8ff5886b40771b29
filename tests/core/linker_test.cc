// When spaces are linked, and who makes the bits that a recall misses.
#include "core/linker.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/observations.h"

namespace engram::testing {
namespace {

// Keeps what is submitted, by class, until the test runs it.
class KeptTasks final : public Executor {
 public:
  void Submit(WorkClass work_class, Task task) override {
    if (out_of_memory) throw std::bad_alloc();
    tasks[static_cast<size_t>(work_class)].push_back(std::move(task));
  }
  void RunHigh(const Task& task) override { task(); }
  void AwaitIdle() override {}

  std::vector<Task>& Of(WorkClass work_class) { return tasks[static_cast<size_t>(work_class)]; }
  void RunOne(WorkClass work_class) {
    Task task = std::move(Of(work_class).front());
    Of(work_class).erase(Of(work_class).begin());
    task();
  }

  bool out_of_memory = false;

 private:
  std::vector<Task> tasks[3];
};

class LinkerTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kDimension = 512;

  std::shared_ptr<Space> MakeSpace(size_t rows, const std::string& name = "s", uint32_t flat_threshold = 1'000'000) {
    Space::Origin origin;
    origin.name = name;
    origin.id = 1;
    origin.config.flat_threshold = flat_threshold;
    origin.config.dimension = kDimension;
    auto space = std::make_shared<Space>(origin, 0, metrics_.AddSpace(name));
    Grow(*space, rows);
    return space;
  }
  void Grow(Space& space, size_t rows) {
    std::vector<TestObservation> observations;
    for (size_t i = 0; i < rows; ++i) {
      std::vector<float> vector(kDimension);
      for (float& x : vector) x = static_cast<float>(random_() % 1000) - 500;
      observations.push_back({.id = std::to_string(next_id_++), .embedding = std::move(vector)});
    }
    const ObservationBatch batch = MakeBatch(std::move(observations));
    space.Apply(batch.observations, ++position_, {});
  }

  Metrics metrics_{1, 10};
  FakeClock clock_;
  KeptTasks executor_;
  Linker linker_{&executor_, &clock_, [](Space&, const LinkedTurn&) {}, [] { return UINT64_MAX; }};
  std::minstd_rand random_{1};
  uint64_t position_ = 1, next_id_ = 0;
};

TEST_F(LinkerTest, BitsThatARecallMissesAreMadeAmongTheBatchesInTurns) {
  const auto space = MakeSpace(9000);
  ASSERT_TRUE(space->index()->bits_due());
  linker_.HastenBits(space);
  // Once, whoever else asks meanwhile.
  linker_.HastenBits(space);
  EXPECT_TRUE(executor_.Of(WorkClass::kLow).empty());
  int turns = 0;
  while (!executor_.Of(WorkClass::kNormal).empty()) {
    ASSERT_EQ(executor_.Of(WorkClass::kNormal).size(), 1u);
    executor_.RunOne(WorkClass::kNormal);
    ++turns;
  }
  EXPECT_EQ(turns, 9);
  EXPECT_FALSE(space->index()->bits_due());
  EXPECT_EQ(space->index()->MakeBits(1), 0u);

  // And again when there are more.
  linker_.HastenBits(space);
  EXPECT_TRUE(executor_.Of(WorkClass::kNormal).empty());
  Grow(*space, 9000);
  linker_.HastenBits(space);
  EXPECT_EQ(executor_.Of(WorkClass::kNormal).size(), 1u);
}

TEST_F(LinkerTest, BitsAreMadeToTheEndOfALongTail) {
  for (const int length : {9000, 12'000, 20'000}) {
    const auto some = MakeSpace(length, std::to_string(length));
    linker_.Schedule(some);
    while (!executor_.Of(WorkClass::kLow).empty()) executor_.RunOne(WorkClass::kLow);
    EXPECT_LT(some->index()->bits_backlog(), 1024u) << length;
  }
  // A recall compares what has come since by bytes, and asks for the bits once that is felt.
  const auto space = MakeSpace(9000);
  while (space->index()->MakeBits(1024) != 0) {
  }
  Grow(*space, 1023);
  EXPECT_FALSE(space->index()->bits_due());
  Grow(*space, 1);
  EXPECT_TRUE(space->index()->bits_due());
  linker_.HastenBits(space);
  // Of those that are missing now: what comes meanwhile is for the next recall to ask for.
  Grow(*space, 1500);
  executor_.RunOne(WorkClass::kNormal);
  EXPECT_TRUE(executor_.Of(WorkClass::kNormal).empty());
  EXPECT_EQ(space->index()->bits_backlog(), 1500u);
}

TEST_F(LinkerTest, OneSpaceIsHastenedAtATime) {
  const auto first = MakeSpace(9000), second = MakeSpace(9000, "t");
  linker_.HastenBits(first);
  linker_.HastenBits(second);
  while (!executor_.Of(WorkClass::kNormal).empty()) executor_.RunOne(WorkClass::kNormal);
  EXPECT_FALSE(first->index()->bits_due());
  EXPECT_TRUE(second->index()->bits_due());
  linker_.HastenBits(second);
  EXPECT_EQ(executor_.Of(WorkClass::kNormal).size(), 1u);
}

TEST_F(LinkerTest, BitsAloneWaitUntilTheWritersPause) {
  const auto space = MakeSpace(12'000);
  ASSERT_EQ(space->Allow(1, clock_.Now(), 0).granted, 1u);
  linker_.Schedule(space);
  EXPECT_TRUE(executor_.Of(WorkClass::kLow).empty());
  space->Unqueued(1);
  linker_.Schedule(space);
  ASSERT_EQ(executor_.Of(WorkClass::kLow).size(), 1u);
  // It is at it when they go on: it stops after the turn, and the next pause resumes it.
  ASSERT_EQ(space->Allow(1, clock_.Now(), 0).granted, 1u);
  executor_.RunOne(WorkClass::kLow);
  EXPECT_TRUE(executor_.Of(WorkClass::kLow).empty());
  EXPECT_TRUE(space->index()->bits_due());
  space->Unqueued(1);
  linker_.Schedule(space);
  while (!executor_.Of(WorkClass::kLow).empty()) executor_.RunOne(WorkClass::kLow);
  EXPECT_FALSE(space->index()->bits_due());
}

TEST_F(LinkerTest, ManyBitsDoNotWaitForTheWriters) {
  const auto space = MakeSpace(70'000);
  ASSERT_EQ(space->Allow(1, clock_.Now(), 0).granted, 1u);
  linker_.Schedule(space);
  int turns = 0;
  for (; !executor_.Of(WorkClass::kLow).empty(); ++turns) executor_.RunOne(WorkClass::kLow);
  // Until fewer are missing: 70 000 - 3 * 2048.
  EXPECT_EQ(turns, 3);
  EXPECT_TRUE(space->index()->bits_due());
}

TEST_F(LinkerTest, AGraphIsLinkedWhateverTheWritersDo) {
  const auto space = MakeSpace(9000, "s", 0);
  ASSERT_EQ(space->Allow(1, clock_.Now(), 0).granted, 1u);
  linker_.Schedule(space);
  ASSERT_FALSE(executor_.Of(WorkClass::kLow).empty());
  executor_.RunOne(WorkClass::kLow);
  EXPECT_GT(space->index()->linked(), 0u);
  EXPECT_FALSE(executor_.Of(WorkClass::kLow).empty());
  linker_.Stop();
  while (!executor_.Of(WorkClass::kLow).empty()) executor_.RunOne(WorkClass::kLow);
}

TEST_F(LinkerTest, ATurnThatCannotBeSubmittedIsTheNextOnesWhoAsks) {
  const auto space = MakeSpace(2000, "s", 0);
  linker_.Schedule(space);
  executor_.out_of_memory = true;
  executor_.RunOne(WorkClass::kLow);
  const uint64_t linked = space->index()->linked();
  EXPECT_GT(linked, 0u);
  EXPECT_LT(linked, 2000u);
  EXPECT_TRUE(space->linking_hindered()) << "its writers do not wait for what nobody links";
  EXPECT_EQ(space->series().Count(MetricId::kLinkStalls), 1u);
  executor_.out_of_memory = false;
  linker_.Schedule(space);
  while (!executor_.Of(WorkClass::kLow).empty()) executor_.RunOne(WorkClass::kLow);
  EXPECT_EQ(space->index()->linked(), 2000u);
  EXPECT_FALSE(space->linking_hindered());
}

TEST_F(LinkerTest, AShortTailNeedsNone) {
  const auto space = MakeSpace(100);
  linker_.HastenBits(space);
  EXPECT_TRUE(executor_.Of(WorkClass::kNormal).empty());
}

TEST_F(LinkerTest, NobodyIsHastenedOnceItStops) {
  const auto space = MakeSpace(9000);
  linker_.HastenBits(space);
  linker_.Stop();
  executor_.RunOne(WorkClass::kNormal);
  EXPECT_TRUE(executor_.Of(WorkClass::kNormal).empty());
  linker_.HastenBits(space);
  EXPECT_TRUE(executor_.Of(WorkClass::kNormal).empty());
}

}  // namespace
}  // namespace engram::testing
