#include "core/journal/rewrite_pick.h"

#include <gtest/gtest.h>

#include <vector>

namespace engram {
namespace {

// Adjacent, ready segments of 100 positions with `observations` each, so many of them live.
SegmentUse Use(uint64_t number, uint64_t bytes, uint64_t observations, uint64_t live) {
  return {.first = number * 100 + 1,
          .last = number * 100 + 100,
          .bytes = bytes,
          .observations = observations,
          .live = live,
          .ready = true};
}

void ExpectRun(const std::vector<SegmentUse>& segments, size_t begin, size_t end, uint64_t free_bytes = UINT64_MAX) {
  const RewriteRun run = PickRun(segments, {.below = 0.5, .segment_bytes = 1000, .free_bytes = free_bytes});
  EXPECT_EQ(run.begin, begin);
  EXPECT_EQ(run.end, end);
}

TEST(PickRunTest, WhatIsHalfLiveIsLeft) {
  ExpectRun({}, 0, 0);
  ExpectRun({Use(0, 1000, 10, 5), Use(1, 1000, 10, 10), Use(2, 1000, 0, 0)}, 0, 0);
}

TEST(PickRunTest, TheOneThatGivesBackTheMostIsTaken) {
  ExpectRun({Use(0, 900, 10, 4), Use(1, 1000, 10, 9), Use(2, 900, 10, 1), Use(3, 1000, 10, 9)}, 2, 3);
}

TEST(PickRunTest, BadAndSmallNeighboursComeAlongWhileAllFits) {
  ExpectRun({Use(0, 1000, 10, 10), Use(1, 100, 10, 10), Use(2, 1000, 10, 3), Use(3, 1000, 10, 1), Use(4, 1000, 10, 4),
             Use(5, 1000, 10, 4)},
            3, 6);
  ExpectRun({Use(0, 1000, 10, 10), Use(1, 100, 10, 10), Use(2, 1000, 10, 1), Use(3, 1000, 10, 9)}, 1, 3);
}

TEST(PickRunTest, FourSmallOnesAreMergedThoughAllIsLive) {
  ExpectRun({Use(0, 1000, 10, 10), Use(1, 100, 1, 1), Use(2, 100, 1, 1), Use(3, 100, 1, 1)}, 0, 0);
  ExpectRun({Use(0, 1000, 10, 10), Use(1, 100, 1, 1), Use(2, 100, 0, 0), Use(3, 100, 1, 1), Use(4, 249, 1, 1)}, 1, 5);
  ExpectRun({Use(0, 249, 1, 1), Use(1, 249, 1, 1), Use(2, 249, 1, 1), Use(3, 249, 1, 1), Use(4, 249, 1, 1)}, 0, 4);
}

TEST(PickRunTest, NothingIsDrawnAcrossAGapOrASegmentThatIsNotReady) {
  std::vector<SegmentUse> segments = {Use(0, 100, 10, 1), Use(1, 100, 10, 1), Use(2, 100, 10, 0), Use(4, 100, 10, 1)};
  segments[1].ready = false;
  ExpectRun(segments, 2, 3);
}

TEST(PickRunTest, NoMoreIsWrittenThanThereIsRoomFor) {
  ExpectRun({Use(0, 1000, 10, 4), Use(1, 1000, 10, 3)}, 1, 2, 399);
  ExpectRun({Use(0, 1000, 10, 4), Use(1, 1000, 10, 3)}, 0, 0, 299);
}

TEST(PickRunTest, WhatIsIdleCountsAsDead) {
  std::vector<SegmentUse> segments = {Use(0, 1000, 0, 0), Use(1, 1000, 10, 7)};
  segments[0].idle = 500;
  segments[1].idle = 200;
  ExpectRun(segments, 0, 0);
  segments[0].idle = 501;
  ExpectRun(segments, 0, 1);
  segments[1].idle = 400;
  ExpectRun(segments, 0, 2);
}

TEST(PickRunTest, WhatDidNotFitByItsShareHasToFitWhole) {
  std::vector<SegmentUse> segments = {Use(0, 1000, 10, 1), Use(1, 1000, 10, 2)};
  segments[0].uneven = true;
  ExpectRun(segments, 1, 2, 999);
  segments[1].ready = false;
  ExpectRun(segments, 0, 0, 999);
  ExpectRun(segments, 0, 1, 1000);
}

}  // namespace
}  // namespace engram
