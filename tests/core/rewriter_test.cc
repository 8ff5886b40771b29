// Each rule of rewriting by itself. No checkpoint, unless a test makes one.
#include "core/rewriter.h"

#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <thread>

#include "core/run_liveness.h"
#include "core/journal/segment_files.h"
#include "tests/core/rewriter_world.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RewriterTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world_.Open().ok()); }
  void TearDown() override {
    if (!damaged_) Reopen();
  }
  // After a cut of the power, what is in the log says what was appended.
  void Reopen() {
    world_.disk().Cut(7);
    ASSERT_TRUE(world_.Open().ok());
  }
  // The run of everything sealed, as if all of it were worth it.
  absl::Status RewriteAsOne() {
    std::vector<std::shared_ptr<Segment>> run;
    for (const auto& segment : world_.journal().segments()) {
      if (segment->sealed()) run.push_back(segment);
    }
    return RewriteRun(run);
  }
  absl::Status RewriteRun(const std::vector<std::shared_ptr<Segment>>& run) {
    RunLiveness liveness(&world_.journal(), &world_.log(), run);
    SegmentRewrite rewrite(&world_.directory(), run, &liveness, &pace_);
    ENGRAM_ASSIGN_OR_RETURN(auto written, rewrite.Run());
    return world_.journal().Replace(run, rewrite.temporary(), std::move(written));
  }
  // Fills a segment of space `a` with `count` observations "0", "1", ...
  void Fill(const std::string& space, int count, const std::string& content = std::string(500, 'x')) {
    for (int i = 0; i < count; ++i) world_.Observe(space, {{std::to_string(i), content}});
    world_.Seal();
  }
  static std::vector<std::string> Names(Directory& directory) { return directory.List().value(); }
  uint64_t FileBytes() {
    uint64_t bytes = 0;
    for (const std::string& name : Names(world_.directory())) {
      if (name.ends_with(".journal")) bytes += *(*world_.directory().Open(name, Directory::Mode::kRead))->Size();
    }
    return bytes;
  }

  RewriterWorld world_;
  bool damaged_ = false;
  RealClock clock_;
  Pace pace_{&clock_, 0};
};

TEST_F(RewriterTest, AReplacedObservationGoesAndALiveOneKeepsItsAddress) {
  world_.Create("a");
  const uint64_t position = world_.Observe("a", {{"x", "old"}, {"y", "stays"}, {"z", "old"}});
  world_.Seal();
  world_.Observe("a", {{"x", "new"}, {"z", "new"}});
  ASSERT_TRUE(RewriteAsOne().ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created", "2 observations y", "3 observations x z"));
  StoredObservation stored;
  ASSERT_TRUE(world_.journal().Read({position, 1}, &stored).ok());
  EXPECT_EQ(stored.observation.content, "stays");
  EXPECT_TRUE(absl::IsNotFound(world_.journal().Read({position, 0}, &stored)));
  EXPECT_FALSE(world_.journal().Contains({position, 2}));
}

TEST_F(RewriterTest, ATombstoneGoesTogetherWithWhatItKilled) {
  world_.Create("a");
  const uint64_t position = world_.Observe("a", {{"x", ""}});
  world_.Forget("a", "x", position);
  world_.Seal();
  ASSERT_TRUE(RewriteAsOne().ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created"));
}

TEST_F(RewriterTest, ATombstoneStaysWhileAnOlderVersionIsInAnotherSegment) {
  world_.Create("a");
  world_.Observe("a", {{"x", "first"}});
  world_.Seal();
  const uint64_t second = world_.Observe("a", {{"x", "second"}});
  world_.Forget("a", "x", second);
  world_.Seal();
  const auto segments = world_.journal().segments();
  ASSERT_TRUE(RewriteRun({segments[1]}).ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created", "2 observations x", "4 tombstones x"));
  Reopen();
  ASSERT_TRUE(RewriteRun({world_.journal().segments()[0]}).ok());
  ASSERT_TRUE(RewriteRun({world_.journal().segments()[1]}).ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created"));
}

TEST_F(RewriterTest, ATombstoneBehindTheCheckpointStays) {
  world_.Create("a");
  const uint64_t position = world_.Observe("a", {{"x", ""}});
  world_.Checkpoint();
  world_.Forget("a", "x", position);
  world_.Seal();
  ASSERT_TRUE(RewriteAsOne().ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created", "3 tombstones x"));
}

TEST_F(RewriterTest, NoTombstoneGoesWhileAnythingIsDamaged) {
  world_.Create("a");
  world_.Seal();
  const uint64_t position = world_.Observe("a", {{"x", ""}});
  world_.Forget("a", "x", position);
  world_.Seal();
  world_.disk().Scramble(FileNameOfSegment(1), kHeaderBlockBytes, 64, 1);
  world_.Lines();  // Meets the damage.
  ASSERT_FALSE(world_.journal().defects().empty());
  ASSERT_TRUE(RewriteRun({world_.journal().segments()[1]}).ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("3 tombstones x"));
  damaged_ = true;
}

TEST_F(RewriterTest, ADamagedSegmentIsLeftAsItIs) {
  world_.Create("a");
  Fill("a", 30);
  Fill("a", 30);
  const auto run = world_.journal().segments();
  world_.disk().FlipBit(FileNameOfSegment(1), kHeaderBlockBytes + 5000, 3);
  const auto did = world_.rewriter().RunOnce();
  EXPECT_TRUE(absl::IsDataLoss(did.status())) << did.status();
  EXPECT_EQ(world_.journal().segments(), run);
  EXPECT_FALSE(*world_.rewriter().RunOnce()) << "and is not tried again";
  EXPECT_EQ(world_.rewriter().Read().failures, 1u);
  for (const std::string& name : Names(world_.directory())) EXPECT_FALSE(name.ends_with(".tmp")) << name;
  damaged_ = true;
}

TEST_F(RewriterTest, AllOfADroppedSpaceGoes) {
  world_.Create("a");
  world_.Observe("a", {{"x", ""}});
  world_.Mark("a", "s", 1);
  world_.Drop("a");
  world_.Create("a");
  world_.Seal();
  ASSERT_TRUE(RewriteAsOne().ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("5 created"));
}

TEST_F(RewriterTest, TheRecordThatDroppedASpaceStaysWhileAnotherSegmentNamesIt) {
  world_.Create("a");
  world_.Observe("a", {{"x", ""}});
  world_.Seal();
  world_.Drop("a");
  world_.Seal();
  ASSERT_TRUE(RewriteRun({world_.journal().segments()[1]}).ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created", "2 observations x", "3 dropped"));
  ASSERT_TRUE(RewriteRun({world_.journal().segments()[0]}).ok());
  ASSERT_TRUE(RewriteRun({world_.journal().segments()[1]}).ok());
  EXPECT_THAT(world_.Lines(), IsEmpty());
}

TEST_F(RewriterTest, TheRecordThatDroppedASpaceStaysWhileSomebodyMayAppendToIt) {
  world_.Create("a");
  const uint64_t id = world_.log().model.Find("a");
  world_.log().pinned[id] = "a";
  world_.Drop("a");
  world_.Seal();
  ASSERT_TRUE(RewriteAsOne().ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("2 dropped"));
  world_.Put({.space_id = id, .space = "a", .observations = {{"late", ""}}});
}

TEST_F(RewriterTest, OfMarksAndChangesTheLastOnesStay) {
  world_.Create("a");
  const uint64_t id = world_.log().model.Find("a");
  const uint64_t position =
      world_.Put({.space_id = id, .space = "a", .observations = {{"x", ""}}, .marks = {{"s", 1}}});
  world_.Mark("a", "t", 7);
  world_.Put({.type = RecordType::kSpaceChanged, .space_id = id, .space = "a", .ef_search = 1});
  world_.Put({.type = RecordType::kSpaceChanged, .space_id = id, .space = "a", .ef_search = 2});
  world_.Put({.space_id = id, .space = "a", .observations = {{"y", ""}}, .marks = {{"s", 2}}});
  world_.Forget("a", "x", position);
  world_.Forget("a", "y", 6);
  world_.Seal();
  ASSERT_TRUE(RewriteAsOne().ok());
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created", "3 observations t=7", "5 changed", "6 observations s=2"));
}

TEST_F(RewriterTest, DiskUseShrinksToWhatIsLive) {
  world_.Create("a");
  for (int round = 0; round < 10; ++round) Fill("a", 60);
  const uint64_t before = FileBytes();
  EXPECT_GT(world_.RewriteAll(), 0);
  const uint64_t after = FileBytes();
  // 60 of 600 observations are live; the rest is headers and footers.
  EXPECT_LT(after, before / 4);
  const Rewriter::Reading reading = world_.rewriter().Read();
  EXPECT_EQ(reading.bytes_freed, before - after);
  EXPECT_GT(reading.segments_rewritten, reading.segments_written);
  EXPECT_EQ(world_.RewriteAll(), 0) << "there is nothing left to do";
}

TEST_F(RewriterTest, SmallSegmentsThatRestartsLeaveAreMerged) {
  world_.Create("a");
  for (int i = 0; i < 4; ++i) {
    world_.Observe("a", {{std::to_string(i), ""}});
    Reopen();
  }
  EXPECT_EQ(world_.journal().segments().size(), 4u);
  EXPECT_EQ(world_.RewriteAll(), 1);
  EXPECT_EQ(world_.journal().segments().size(), 1u);
  EXPECT_EQ(world_.Lines().size(), 5u);
}

TEST_F(RewriterTest, AReplacedFileBecomesASpareOnceNobodyReadsIt) {
  world_.FailFilling();
  world_.Create("a");
  Fill("a", 60);
  Fill("a", 60);
  std::shared_ptr<Segment> reader = world_.journal().segments()[0];
  ASSERT_GT(reader->bytes(), world_.options().segment_bytes * 7 / 8);
  const uint64_t recycled = world_.journal().ReadFiles().spares.recycled;
  ASSERT_TRUE(*world_.rewriter().RunOnce());
  world_.Commit();
  EXPECT_EQ(world_.journal().ReadFiles().spares.recycled, recycled);
  StoredObservation stored;
  EXPECT_TRUE(reader->Read({2, 0}, &stored).ok());
  reader.reset();
  world_.Commit();
  EXPECT_EQ(world_.journal().ReadFiles().spares.recycled, recycled + 1);
  EXPECT_EQ(world_.journal().ReadFiles().spares.ready, 1u);
}

TEST_F(RewriterTest, WhatASnapshotSharesIsNotOverwritten) {
  world_.options().spare_segments = 4;
  world_.FailFilling();
  Reopen();
  world_.Create("a");
  for (int i = 0; i < 3; ++i) Fill("a", 60);
  const auto snapshot = world_.disk().Open("snapshot");
  ASSERT_TRUE(world_.journal().LinkInto(*snapshot).ok());
  const auto bytes_of = [&] {
    std::map<std::string, std::vector<std::byte>> files;
    for (const std::string& name : Names(*snapshot)) files[name] = *ReadWhole(*snapshot, name, 1 << 20);
    return files;
  };
  const auto before = bytes_of();
  EXPECT_GT(world_.RewriteAll(), 0);
  for (int i = 0; i < 6; ++i) Fill("a", 60);
  EXPECT_EQ(world_.journal().ReadFiles().spares.recycled, 0u);
  EXPECT_TRUE(bytes_of() == before);
}

TEST_F(RewriterTest, NothingIsReplacedWhileASnapshotIsMade) {
  world_.Create("a");
  for (int i = 0; i < 3; ++i) Fill("a", 60);
  const size_t segments = world_.journal().segments().size();
  const auto snapshot = world_.disk().Open("snapshot");
  std::future<absl::StatusOr<bool>> rewriting;
  const auto linked = world_.journal().SnapshotInto([&]() -> absl::StatusOr<Directory*> {
    // What was sealed may lose to a rewrite what only lives on behind it.
    rewriting = std::async(std::launch::async, [&] { return world_.rewriter().RunOnce(); });
    EXPECT_EQ(rewriting.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
    EXPECT_EQ(world_.journal().segments().size(), segments);
    return snapshot.get();
  });
  ASSERT_TRUE(linked.ok()) << linked.status();
  EXPECT_EQ(linked->segments, segments);
  const auto rewrote = rewriting.get();
  ASSERT_TRUE(rewrote.ok()) << rewrote.status();
  EXPECT_TRUE(*rewrote);
  EXPECT_LT(world_.journal().segments().size(), segments);
}

TEST_F(RewriterTest, AFullDiskLeavesNothingBehindAndIsTriedAgain) {
  world_.Create("a");
  for (int i = 0; i < 3; ++i) Fill("a", 60);
  world_.disk().Fail({.call = FileCall::kWrite, .status = DiskIsFull(), .suffix = ".rewrite.tmp"});
  const auto did = world_.rewriter().RunOnce();
  EXPECT_TRUE(absl::IsResourceExhausted(did.status())) << did.status();
  for (const std::string& name : Names(world_.directory())) EXPECT_FALSE(name.ends_with(".tmp")) << name;
  EXPECT_TRUE(*world_.rewriter().RunOnce());
}

TEST_F(RewriterTest, BelowTheHardMarkItMakesRoomAndLeavesTheLogASegment) {
  world_.FailFilling();
  world_.Create("a");
  Fill("a", 60);
  Fill("a", 45);
  // A quarter of the first one is live: some 10 KiB.
  const uint64_t segment = world_.options().segment_bytes;
  world_.SetHardFreeBytes(100 * segment);
  world_.disk().SetFreeSpace(segment + 5'000);
  EXPECT_FALSE(*world_.rewriter().RunOnce());
  world_.disk().SetFreeSpace(segment + 15'000);
  EXPECT_TRUE(*world_.rewriter().RunOnce());
  // The mark as it is now: of a low one, half.
  Fill("a", 30);
  world_.disk().SetFreeSpace(segment);
  EXPECT_FALSE(*world_.rewriter().RunOnce());
  world_.SetHardFreeBytes(segment);
  EXPECT_TRUE(*world_.rewriter().RunOnce());
  // What is wholly dead goes all the same.
  world_.SetHardFreeBytes(100 * segment);
  world_.disk().SetFreeSpace(segment);
  Fill("a", 30);
  EXPECT_TRUE(*world_.rewriter().RunOnce());
}

TEST_F(RewriterTest, ItNeverWritesMoreThanThereIsRoomFor) {
  world_.FailFilling();
  world_.Create("a");
  for (int i = 0; i < 20; ++i) world_.Observe("a", {{"small" + std::to_string(i), "x"}});
  // Two of 22 observations, and nearly all of the bytes.
  for (const char* id : {"large", "too"}) world_.Observe("a", {{id, std::string(12'000, 'x')}});
  world_.Seal();
  for (int i = 0; i < 20; ++i) world_.Observe("a", {{"small" + std::to_string(i), "y"}});
  const uint64_t segment = world_.options().segment_bytes;
  world_.SetHardFreeBytes(100 * segment);
  world_.disk().SetFreeSpace(segment + 19'000);
  const auto did = world_.rewriter().RunOnce();
  EXPECT_TRUE(absl::IsResourceExhausted(did.status())) << did.status();
  EXPECT_EQ(world_.rewriter().Read().bytes_written, 0u);
  for (const std::string& name : Names(world_.directory())) EXPECT_FALSE(name.ends_with(".tmp")) << name;
  EXPECT_FALSE(*world_.rewriter().RunOnce()) << "and is not tried in vain";
  world_.disk().SetFreeSpace(2 * segment);
  EXPECT_TRUE(*world_.rewriter().RunOnce());
  EXPECT_EQ(world_.RewriteAll(), 0);
}

TEST_F(RewriterTest, ARenamingThatMayNotLastEndsTheLog) {
  world_.Create("a");
  for (int i = 0; i < 3; ++i) Fill("a", 60);
  world_.disk().Fail({.call = FileCall::kSyncDirectory, .status = InputOutputError()});
  EXPECT_TRUE(absl::IsInternal(world_.rewriter().RunOnce().status()));
  EXPECT_TRUE(absl::IsInternal(world_.rewriter().RunOnce().status())) << "nothing may be built on it";
  EXPECT_TRUE(absl::IsInternal(world_.journal().Append({.space_id = 1, .space = "a"}, nullptr).status()));
}

TEST_F(RewriterTest, AStopEndsARewriteWithoutEffect) {
  world_.Create("a");
  for (int i = 0; i < 3; ++i) Fill("a", 60);
  world_.rewriter().RequestStop();
  const auto segments = world_.journal().segments();
  EXPECT_TRUE(absl::IsCancelled(world_.rewriter().RunOnce().status()));
  EXPECT_EQ(world_.journal().segments(), segments);
}

TEST(PaceTest, BytesPassAtTheRateAndAStopEndsTheWait) {
  FakeClock clock;
  Pace pace(&clock, 1000);
  bool passed = false;
  bool more = true;
  {
    std::jthread mover([&] {
      passed = pace.Pass(500);
      more = pace.Pass(500);
    });
    clock.AwaitWaiters(1);
    clock.Advance(Duration(499'999));
    clock.AwaitWaiters(1);
    clock.Advance(Duration(1));
    clock.AwaitWaiters(1);
    pace.Stop();
  }
  EXPECT_TRUE(passed);
  EXPECT_FALSE(more);
}

}  // namespace
}  // namespace engram::testing
