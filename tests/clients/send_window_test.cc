#include "clients/cli/send_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace engram {
namespace {

constexpr int32_t kInvalidArgument = 3, kResourceExhausted = 8, kOutOfRange = 11;

v1::Observation Named(uint64_t number) {
  v1::Observation observation;
  observation.set_id(std::to_string(number));
  return observation;
}

v1::Ack AckThrough(uint64_t through) {
  v1::Ack ack;
  ack.set_received_through(through);
  ack.set_durable_through(through);
  ack.set_indexed_through(through);
  ack.set_next_sequence(through + 1);
  return ack;
}

v1::Rejection* Reject(v1::Ack* ack, uint64_t sequence, uint32_t count, int32_t code, int64_t retry_after_us = 0) {
  v1::Rejection* rejection = ack->add_rejected();
  rejection->set_sequence(sequence);
  rejection->set_count(count);
  rejection->set_code(code);
  rejection->set_message("no");
  rejection->set_retry_after_us(retry_after_us);
  return rejection;
}

TEST(SendWindow, IsStuckFromTheFirstTransientRefusalUntilSomethingIsReceived) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 8);
  for (uint64_t i = 1; i <= 4; ++i) window.Add(i, Named(i));
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(4, 1000, &batch));
  EXPECT_EQ(window.StuckFor(1000), 0);
  v1::Ack full = AckThrough(1);
  Reject(&full, 2, 1, kResourceExhausted)->set_message("full");
  Reject(&full, 3, 2, kOutOfRange)->set_message("follows");
  window.OnAck(full, 1000);
  EXPECT_EQ(window.transient_reason(), "full");
  EXPECT_EQ(window.StuckFor(1500), 500) << "what came before in the same ack does not count";
  ASSERT_TRUE(window.GoOn(2000));
  ASSERT_TRUE(window.TakeBatch(4, 1000, &batch));
  v1::Ack again = AckThrough(1);
  Reject(&again, 2, 3, kResourceExhausted)->set_message("still full");
  window.OnAck(again, 3000);
  EXPECT_EQ(window.transient_reason(), "still full");
  EXPECT_EQ(window.StuckFor(4000), 3000) << "since the first refusal, not the last";
  window.OnAck(AckThrough(2), 5000);
  EXPECT_EQ(window.StuckFor(6000), 0);
}

TEST(SendWindow, NumbersObservationsWithoutGapsAndBoundsThoseUnderWay) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 4);
  for (uint64_t i = 1; i <= 4; ++i) {
    ASSERT_TRUE(window.HasRoom());
    window.Add(i, Named(i));
  }
  EXPECT_FALSE(window.HasRoom());
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(3, 1000, &batch));
  EXPECT_EQ(batch.first_sequence(), 1u);
  EXPECT_EQ(batch.observations_size(), 3);
  ASSERT_TRUE(window.TakeBatch(3, 1000, &batch));
  EXPECT_EQ(batch.first_sequence(), 4u);
  EXPECT_FALSE(window.TakeBatch(3, 1000, &batch));
  EXPECT_TRUE(window.OnAck(AckThrough(2), 0).empty());
  EXPECT_TRUE(window.HasRoom());
  EXPECT_FALSE(window.AllReceived());
  window.OnAck(AckThrough(4), 0);
  EXPECT_TRUE(window.AllReceived());
}

TEST(SendWindow, CutsBatchesByTheirBytesButNeverToNothing) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 100);
  for (uint64_t i = 1; i <= 3; ++i) {
    v1::Observation observation;
    observation.set_content(std::string(100, 'x'));
    window.Add(i, observation);
  }
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(10, 230, &batch));
  EXPECT_EQ(batch.observations_size(), 2);
  ASSERT_TRUE(window.TakeBatch(10, 1, &batch));
  EXPECT_EQ(batch.observations_size(), 1);
}

TEST(SendWindow, HoldsFewerWhereTheyAreLarge) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 1000);
  v1::Observation large;
  large.set_content(std::string(8 << 20, 'x'));
  uint64_t added = 0;
  for (; window.HasRoom() && added < 100; ++added) window.Add(added + 1, large);
  EXPECT_EQ(added, 8u) << "64 MiB";
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(1, 16 << 20, &batch));
  window.OnAck(AckThrough(1), 0);
  EXPECT_TRUE(window.HasRoom());
}

TEST(SendWindow, ReportsALastingRefusalWithItsLineAndGoesOn) {
  SendWindow window(11, v1::ACK_LEVEL_DURABLE, 100);
  for (uint64_t i = 0; i < 3; ++i) window.Add(100 + i, Named(i));
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(10, 1000, &batch));
  v1::Ack ack = AckThrough(13);
  Reject(&ack, 12, 1, kInvalidArgument);
  const auto refused = window.OnAck(ack, 0);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].sequence, 12u);
  EXPECT_EQ(refused[0].line, 101u);
  EXPECT_EQ(refused[0].id, "1");
  EXPECT_FALSE(window.going_back());
  EXPECT_TRUE(window.AllReceived());
}

TEST(SendWindow, ReportsTheRefusalOfAStandInForItsFault) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 100);
  window.Add(7, Named(1), "too large");
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(10, 1000, &batch));
  v1::Ack ack = AckThrough(1);
  Reject(&ack, 1, 1, kInvalidArgument);
  const auto refused = window.OnAck(ack, 0);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].reason, "too large");
  EXPECT_TRUE(refused[0].of_input);
}

TEST(SendWindow, GoesBackAfterATransientRefusalOnceAllHasComeBack) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 100);
  for (uint64_t i = 1; i <= 9; ++i) window.Add(i, Named(i));
  v1::ObservationBatch batch;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(window.TakeBatch(3, 1000, &batch));
  v1::Ack first = AckThrough(4);
  Reject(&first, 5, 2, kResourceExhausted, 5000);
  EXPECT_TRUE(window.OnAck(first, 1000).empty());
  EXPECT_TRUE(window.going_back());
  EXPECT_FALSE(window.TakeBatch(3, 1000, &batch)) << "nothing is sent while refusals are under way";
  EXPECT_FALSE(window.GoOn(10'000)) << "7..9 have not come back";
  v1::Ack second = AckThrough(4);
  Reject(&second, 7, 3, kOutOfRange);
  window.OnAck(second, 2000);
  EXPECT_TRUE(window.AllAnswered());
  EXPECT_FALSE(window.GoOn(5999)) << "retry_after is not over";
  EXPECT_TRUE(window.GoOn(6000));
  ASSERT_TRUE(window.TakeBatch(10, 1000, &batch));
  EXPECT_EQ(batch.first_sequence(), 5u);
  EXPECT_EQ(batch.observations_size(), 5);
  EXPECT_EQ(window.resent(), 5u);
}

TEST(SendWindow, HalvesBatchesThatAreTooLargeAndNotForAGap) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 100);
  for (uint64_t i = 1; i <= 16; ++i) window.Add(i, Named(i));
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(8, 1000, &batch));
  ASSERT_TRUE(window.TakeBatch(8, 1000, &batch));
  v1::Ack gap = AckThrough(0);
  Reject(&gap, 1, 8, kResourceExhausted);
  Reject(&gap, 9, 8, kOutOfRange);
  window.OnAck(gap, 0);
  ASSERT_TRUE(window.GoOn(0));
  ASSERT_TRUE(window.TakeBatch(8, 1000, &batch));
  EXPECT_EQ(batch.observations_size(), 8);
  ASSERT_TRUE(window.TakeBatch(8, 1000, &batch));
  v1::Ack large = AckThrough(0);
  Reject(&large, 1, 8, kOutOfRange);
  Reject(&large, 9, 8, kOutOfRange);
  for (const int half : {4, 2, 1, 1}) {
    window.OnAck(large, 0);
    ASSERT_TRUE(window.GoOn(0));
    ASSERT_TRUE(window.TakeBatch(8, 1000, &batch));
    EXPECT_EQ(batch.first_sequence(), 1u);
    EXPECT_EQ(batch.observations_size(), half);
    large.clear_rejected();
    Reject(&large, 1, static_cast<uint32_t>(half), kOutOfRange);
  }
}

TEST(SendWindow, DoesNotWaitForEverForRefusalsThatNeverCome) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 100);
  for (uint64_t i = 1; i <= 4; ++i) window.Add(i, Named(i));
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(2, 1000, &batch));
  ASSERT_TRUE(window.TakeBatch(2, 1000, &batch));
  v1::Ack ack = AckThrough(0);
  Reject(&ack, 1, 2, kResourceExhausted);
  window.OnAck(ack, 0);
  EXPECT_FALSE(window.GoOn(999'999));
  EXPECT_TRUE(window.GoOn(1'000'000));
}

TEST(SendWindow, AnAckBeyondWhatWasAddedIsNotBelieved) {
  SendWindow window(1, v1::ACK_LEVEL_DURABLE, 10);
  window.Add(1, Named(1));
  v1::ObservationBatch batch;
  ASSERT_TRUE(window.TakeBatch(1, 1000, &batch));
  window.OnAck(AckThrough(1'000'000), 0);
  EXPECT_EQ(window.received(), 1u);
  EXPECT_EQ(window.acknowledged(), 1u);
  EXPECT_TRUE(window.HasRoom());
}

// A daemon by the rules of the wire that refuses at random, some for good and some for now.
TEST(SendWindow, EveryObservationArrivesOnceInOrderWhateverIsRefused) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    constexpr uint64_t kTotal = 500;
    SendWindow window(1, v1::ACK_LEVEL_DURABLE, 40);
    std::deque<v1::ObservationBatch> under_way;
    std::vector<std::string> stored;
    std::set<std::string> refused;
    uint64_t added = 0, expected = 1;
    int64_t now = 0;
    for (int step = 0; step < 200'000 && !(added == kTotal && window.AllReceived()); ++step) {
      now += static_cast<int64_t>(random() % 100);
      while (added < kTotal && window.HasRoom()) {
        ++added;
        window.Add(added, Named(added));
      }
      window.GoOn(now);
      v1::ObservationBatch batch;
      if (random() % 2 == 0 && window.TakeBatch(1 + random() % 9, 1 << 20, &batch)) under_way.push_back(batch);
      if (random() % 2 == 0 || under_way.empty()) continue;
      const v1::ObservationBatch taken = under_way.front();
      under_way.pop_front();
      v1::Ack ack;
      if (taken.first_sequence() > expected) {
        Reject(&ack, taken.first_sequence(), static_cast<uint32_t>(taken.observations_size()), kOutOfRange);
      } else {
        for (int i = static_cast<int>(expected - taken.first_sequence()); i < taken.observations_size(); ++i) {
          if (random() % 20 == 0) {
            Reject(&ack, expected, static_cast<uint32_t>(taken.observations_size() - i), kResourceExhausted, 50);
            break;
          }
          if (random() % 20 == 0) {
            Reject(&ack, expected, 1, kInvalidArgument);
          } else {
            stored.push_back(taken.observations(i).id());
          }
          ++expected;
        }
      }
      ack.set_received_through(expected - 1);
      ack.set_durable_through(expected - 1);
      for (const auto& one : window.OnAck(ack, now)) EXPECT_TRUE(refused.insert(one.id).second) << one.id;
    }
    EXPECT_EQ(stored.size() + refused.size(), kTotal);
    EXPECT_TRUE(std::is_sorted(stored.begin(), stored.end(), [](const std::string& a, const std::string& b) {
      return std::stoul(a) < std::stoul(b);
    }));
  }
}

}  // namespace
}  // namespace engram
