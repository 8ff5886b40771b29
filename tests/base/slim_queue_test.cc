#include "core/base/slim_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>

namespace engram {
namespace {

TEST(SlimQueue, IsAQueueWhateverIsPutInAndTakenOut) {
  constexpr uint64_t kSeed = 20240607;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  SlimQueue<uint64_t> queue;
  std::deque<uint64_t> model;
  for (int step = 0; step < 20'000; ++step) {
    // Grows for a while, then shrinks, so that it is long, short and empty many times.
    const bool growing = step / 500 % 2 == 0;
    if (random() % 3 < (growing ? 2 : 1)) {
      queue.push_back(random());
      model.push_back(*(queue.end() - 1));
    } else if (!model.empty() && random() % 8 == 0) {
      const size_t count = 1 + random() % model.size();
      queue.DropFront(count);
      model.erase(model.begin(), model.begin() + static_cast<ptrdiff_t>(count));
    } else if (!model.empty()) {
      EXPECT_EQ(queue.front(), model.front());
      queue.pop_front();
      model.pop_front();
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_EQ(queue.empty(), model.empty());
    ASSERT_TRUE(std::equal(queue.begin(), queue.end(), model.begin(), model.end()));
    if (!model.empty()) {
      ASSERT_EQ(queue[model.size() / 2], model[model.size() / 2]);
    }
  }
}

TEST(SlimQueue, LetsGoOfWhatIsTakenOutAtOnce) {
  const auto token = std::make_shared<int>(7);
  SlimQueue<std::shared_ptr<int>> queue;
  for (int i = 0; i < 10; ++i) queue.push_back(token);
  EXPECT_EQ(token.use_count(), 11);
  queue.pop_front();
  EXPECT_EQ(token.use_count(), 10);
  queue.DropFront(9);
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace engram
