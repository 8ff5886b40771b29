// The power is cut at every operation of a rewrite, and at random in long lives with rewriting in between. Afterwards
// the log alone, and a checkpoint with what follows it, say what was appended: nothing forgotten is back, nothing live
// is lost, no stream's watermark went back. A world does the same each time, so ENGRAM_SEED replays a failure.
#include <cstdlib>

#include "tests/core/rewriter_world.h"

namespace engram::testing {
namespace {

// A world with something to rewrite.
std::unique_ptr<RewriterWorld> Grown(uint64_t seed) {
  auto world = std::make_unique<RewriterWorld>(seed);
  world->options().spare_segments = static_cast<uint32_t>(seed % 3);
  if (seed % 4 == 0) world->options().durability = Durability::kInterval;
  if (seed % 5 < 2) world->FailFilling();
  EXPECT_TRUE(world->Open().ok());
  world->Live(150 + world->Below(300));
  return world;
}

void CutEachOperation(uint64_t seed) {
  SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
  uint64_t begin = 0;
  uint64_t end = 0;
  {
    const auto world = Grown(seed);
    begin = world->disk().operations();
    world->RewriteAll();
    end = world->disk().operations();
  }
  for (uint64_t cut = begin + 1; cut <= end && !::testing::Test::HasFailure(); ++cut) {
    const auto world = Grown(seed);
    ASSERT_EQ(world->disk().operations(), begin);
    world->disk().CutAt(cut);
    world->RewriteAll();
    const std::string at = world->disk().cut_at();
    SCOPED_TRACE("cut at " + at);
    world->disk().Cut(seed + cut);
    ASSERT_TRUE(world->Open().ok());
    // It goes on from there.
    world->Live(60);
    world->RewriteAll();
    world->disk().Crash();
    ASSERT_TRUE(world->Open().ok());
  }
}

void LiveAndDie(uint64_t seed) {
  SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
  const auto world = Grown(seed);
  for (int life = 0; life < 6 && !::testing::Test::HasFailure(); ++life) {
    world->disk().CutAt(world->disk().operations() + 1 + world->Below(150));
    while (world->disk().powered() && world->Below(12) != 0) {
      world->Live(world->Below(60));
      if (world->disk().powered()) world->rewriter().RunOnce().IgnoreError();
      if (world->Below(2) == 0) world->journal().Step();
    }
    world->disk().Cut(world->Below(UINT64_MAX));
    ASSERT_TRUE(world->Open().ok());
  }
}

TEST(RewriterPowerCutTest, ACutAtAnyOperationOfARewriteChangesNothing) {
  if (const char* seed = std::getenv("ENGRAM_SEED")) return CutEachOperation(std::strtoull(seed, nullptr, 10));
  static uint64_t round = 0;
  for (uint64_t seed = 1; seed <= 30 && !HasFailure(); ++seed) CutEachOperation(round * 100'000 + seed);
  ++round;
}

TEST(RewriterPowerCutTest, LivesWithRewritingInBetweenLoseAndReviveNothing) {
  if (const char* seed = std::getenv("ENGRAM_SEED")) return LiveAndDie(std::strtoull(seed, nullptr, 10));
  static uint64_t round = 0;
  for (uint64_t seed = 1; seed <= 200 && !HasFailure(); ++seed) LiveAndDie(round * 100'000 + seed);
  ++round;
}

}  // namespace
}  // namespace engram::testing
