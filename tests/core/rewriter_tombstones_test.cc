// Tombstones and drops that stay for a checkpoint's sake, and what becomes of them when it has been replaced.
#include <gmock/gmock.h>

#include "core/run_liveness.h"
#include "tests/core/rewriter_world.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class RewriterTombstonesTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world_.Open().ok()); }
  void Reopen() {
    world_.disk().Cut(7);
    ASSERT_TRUE(world_.Open().ok());
  }
  // So long that the tombstones of a few make a segment that is not small.
  static std::string Id(int number) { return std::to_string(number) + std::string(200, 'i'); }
  void Observe(int count) {
    for (int i = 0; i < count; ++i) world_.Observe("a", {{Id(i), ""}});
  }
  void Forget(int count) {
    const uint64_t through = world_.log().model.through();
    for (int i = 0; i < count; ++i) world_.Forget("a", Id(i), through);
    world_.Seal();
  }
  uint64_t Bytes() { return world_.journal().ReadFiles().bytes; }

  RewriterWorld world_;
  FakeClock clock_;
};

TEST_F(RewriterTombstonesTest, WhatStaysForACheckpointGoesOnceThatIsReplaced) {
  world_.Create("a");
  Observe(45);
  world_.Checkpoint();
  Forget(45);
  EXPECT_EQ(world_.RewriteAll(), 1);
  EXPECT_THAT(world_.Lines(), SizeIs(1 + 45));
  ASSERT_GT(Bytes(), world_.options().segment_bytes / 4);
  EXPECT_EQ(world_.RewriteAll(), 0);
  world_.Checkpoint();
  EXPECT_EQ(world_.RewriteAll(), 1);
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created"));
  EXPECT_EQ(world_.RewriteAll(), 0);
  Reopen();
}

TEST_F(RewriterTombstonesTest, WhatAnEarlierLifeKeptGoesToo) {
  world_.Create("a");
  Observe(45);
  world_.Checkpoint();
  Forget(45);
  EXPECT_EQ(world_.RewriteAll(), 1);
  Reopen();
  EXPECT_EQ(world_.RewriteAll(), 0) << "the checkpoint is the same";
  EXPECT_THAT(world_.Lines(), SizeIs(1 + 45));
  world_.Checkpoint();
  EXPECT_EQ(world_.RewriteAll(), 1);
  EXPECT_THAT(world_.Lines(), ElementsAre("1 created"));
  Reopen();
}

TEST_F(RewriterTombstonesTest, WhatIsNeededAllTheSameIsLookedAtOnce) {
  world_.Create("a");
  Observe(30);
  for (int i = 0; i < 40; ++i) world_.Observe("a", {{"live" + std::to_string(i), ""}});
  world_.Seal();
  Forget(30);
  EXPECT_EQ(world_.RewriteAll(), 1);
  EXPECT_THAT(world_.Lines(), SizeIs(1 + 70 + 30));
  EXPECT_EQ(world_.RewriteAll(), 0);
  Reopen();
}

TEST_F(RewriterTombstonesTest, WhatIsHeldIsCountedAndSoIsForHowLong) {
  world_.Create("a");
  world_.Create("b");
  world_.Observe("a", {{"x", ""}, {"y", ""}});
  world_.Checkpoint();
  world_.Forget("a", "x", 3);
  const uint64_t last = world_.Drop("b");
  world_.Seal();
  const auto run = world_.journal().segments();
  const auto held = [&] {
    RunLiveness liveness(&world_.journal(), &world_.log(), run);
    Pace pace(&clock_, 0);
    SegmentRewrite rewrite(&world_.directory(), run, &liveness, &pace);
    EXPECT_TRUE(rewrite.Run().ok());
    EXPECT_TRUE(world_.directory().Remove(rewrite.temporary()).ok());
    return liveness.held();
  };
  EXPECT_GT(held().bytes, 2 * 60u);
  EXPECT_LT(held().bytes, 2 * 90u);
  EXPECT_EQ(held().until, last);
  world_.Checkpoint();
  EXPECT_EQ(held().bytes, 0u);
}

}  // namespace
}  // namespace engram::testing
