#include "config/suggest.h"

#include <gtest/gtest.h>

#include <vector>

namespace engram {
namespace {

TEST(EditDistance, CountsChangesAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", "abc"), 0u);
  EXPECT_EQ(EditDistance("abc", "abd"), 1u);
  EXPECT_EQ(EditDistance("abc", "acb"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(Closest, FindsWhatWasMeantAndNothingElse) {
  const std::vector<std::string_view> known = {"num_workers", "queue", "queue.capacity", "queue.max_wait",
                                               "limits.max_k"};
  EXPECT_EQ(Closest("num_wrokers", known), "num_workers");
  EXPECT_EQ(Closest("NUM-WORKERS", known), "num_workers");
  EXPECT_EQ(Closest("capacity", known), "queue.capacity");
  EXPECT_EQ(Closest("queue_config.capacity", known), "queue.capacity");
  EXPECT_EQ(Closest("workers", known), "num_workers");
  EXPECT_EQ(Closest("queue_config", known), "queue");
  EXPECT_EQ(Closest("zebra", known), "");
  // Held by several.
  EXPECT_EQ(Closest("queue.ma", known), "");
  EXPECT_EQ(Closest("", known), "");
  EXPECT_EQ(Closest(std::string(100000, 'q'), known), "");
}

TEST(OneOf, ReadsAsASentence) {
  EXPECT_EQ(OneOf({}), "");
  const std::vector<std::string_view> words = {"a", "b", "c"};
  EXPECT_EQ(OneOf(words), "a, b or c");
  EXPECT_EQ(OneOf(std::vector<std::string_view>{"a"}), "a");
}

}  // namespace
}  // namespace engram
