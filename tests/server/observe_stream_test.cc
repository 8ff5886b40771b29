// The life of an ObserveStream, over real gRPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Stub = v1::MemoryService::Stub;

std::vector<v1::Observation> Some(size_t count, const std::string& prefix = "o", size_t dimension = 8) {
  std::vector<v1::Observation> observations;
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> values(dimension, 0.5f);
    values[i % dimension] = static_cast<float>(i + 1);
    observations.push_back(MakeObservation(prefix + std::to_string(i), values));
  }
  return observations;
}

class ObserveStreamTest : public ::testing::Test {
 protected:
  uint64_t Live(const std::string& space) {
    v1::GetSpaceRequest request;
    request.set_name(space);
    v1::Space response;
    return Call(daemon_.memory(), &Stub::GetSpace, request, &response).ok() ? response.live() : 0;
  }

  TestDaemon daemon_;
};

TEST_F(ObserveStreamTest, TellsWhatItTakesAndAcknowledgesAll) {
  StreamClient stream(daemon_.memory());
  ASSERT_TRUE(stream.SendStart("notes", "mine"));
  const v1::StreamStarted started = stream.ReadStarted();
  EXPECT_EQ(started.stream_id(), "mine");
  EXPECT_EQ(started.next_sequence(), 1u);
  EXPECT_EQ(started.durability(), v1::DURABILITY_FSYNC);
  EXPECT_EQ(started.limits().max_batch_observations(), 4096u);
  EXPECT_EQ(started.limits().max_message_bytes(), 16777216u);
  EXPECT_EQ(started.limits().max_content_bytes(), 65536u);
  EXPECT_EQ(started.limits().max_tags(), 32u);
  EXPECT_EQ(started.limits().dimension(), 0u);
  EXPECT_EQ(started.limits().queue_capacity(), 10000u);
  for (uint64_t first = 1; first <= 901; first += 100) {
    ASSERT_TRUE(stream.SendBatch(first, Some(100, "b" + std::to_string(first) + "-")));
  }
  ASSERT_TRUE(stream.ReadUntilDurable(1000));
  EXPECT_EQ(stream.last_ack.received_through(), 1000u);
  EXPECT_EQ(stream.last_ack.next_sequence(), 1001u);
  EXPECT_NE(stream.last_ack.token().position(), 0u);
  EXPECT_EQ(Live("notes"), 1000u);
  ASSERT_TRUE(stream.SendEnd(true));
  ASSERT_TRUE(stream.ReadUntilEnded());
  EXPECT_TRUE(stream.ended->drained());
  EXPECT_EQ(stream.ended->durable_through(), 1000u);
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_THAT(stream.rejected, IsEmpty());
}

TEST_F(ObserveStreamTest, GoesOnWhereItStoppedAndStoresNothingTwice) {
  {
    StreamClient stream(daemon_.memory());
    stream.SendStart("notes", "mine");
    stream.ReadStarted();
    stream.SendBatch(1, Some(100));
    ASSERT_TRUE(stream.ReadUntilDurable(100));
  }
  StreamClient without(daemon_.memory());
  without.SendStart("notes", "mine");
  EXPECT_EQ(without.Finish().error_code(), grpc::StatusCode::ALREADY_EXISTS);

  StreamClient again(daemon_.memory());
  again.SendStart("notes", "mine", true);
  const auto started = again.ReadStarted();
  EXPECT_EQ(started.next_sequence(), 101u);
  EXPECT_EQ(started.limits().dimension(), 8u);
  // 51 to 150: the first half is known.
  again.SendBatch(51, Some(100, "late"));
  ASSERT_TRUE(again.ReadUntilDurable(150));
  EXPECT_THAT(again.rejected, IsEmpty());
  EXPECT_EQ(Live("notes"), 150u);
}

TEST_F(ObserveStreamTest, TellsAStreamThatGoesOnWhatIsDurableAlsoWhenItHasNothingToSend) {
  {
    StreamClient stream(daemon_.memory());
    stream.SendStart("notes", "mine");
    stream.ReadStarted();
    stream.SendBatch(1, Some(10));
    ASSERT_TRUE(stream.ReadUntilDurable(10));
  }
  // As a client whose connection broke before the acknowledgement had arrived.
  StreamClient again(daemon_.memory());
  again.SendStart("notes", "mine", true);
  again.ReadStarted();
  EXPECT_TRUE(again.ReadUntilDurable(10));
}

TEST_F(ObserveStreamTest, EndsTheOlderConnectionOfAStream) {
  StreamClient older(daemon_.memory());
  older.SendStart("notes", "mine");
  older.ReadStarted();
  StreamClient newer(daemon_.memory());
  newer.SendStart("notes", "mine", true);
  newer.ReadStarted();
  // It is blocked reading on both ends and still learns the exact status.
  older.ReadUntil([] { return false; });
  const grpc::Status status = older.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("mine"));
  newer.SendBatch(1, Some(10));
  EXPECT_TRUE(newer.ReadUntilDurable(10));
}

TEST_F(ObserveStreamTest, EndsWithNotFoundWhenItsSpaceIsDeleted) {
  StreamClient stream(daemon_.memory());
  stream.SendStart("doomed");
  stream.ReadStarted();
  stream.SendBatch(1, Some(10));
  ASSERT_TRUE(stream.ReadUntilDurable(10));
  v1::DeleteSpaceRequest request;
  request.set_name("doomed");
  v1::DeleteSpaceResponse response;
  ASSERT_TRUE(Call(daemon_.memory(), &Stub::DeleteSpace, request, &response).ok());
  ASSERT_TRUE(stream.ReadUntilEnded());
  // Nothing more is sent by the client: the status comes all the same.
  stream.ReadUntil([] { return false; });
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("doomed"));
}

TEST_F(ObserveStreamTest, FinishesWhatWasAcceptedWhenTheClientClosesWithoutEnd) {
  StreamClient stream(daemon_.memory());
  stream.SendStart("notes");
  stream.ReadStarted();
  stream.SendBatch(1, Some(500));
  EXPECT_TRUE(stream.Finish().ok());
  ASSERT_TRUE(stream.ended.has_value());
  EXPECT_TRUE(stream.ended->drained());
  EXPECT_EQ(stream.ended->durable_through(), 500u);
  EXPECT_EQ(stream.last_ack.durable_through(), 500u);
}

TEST_F(ObserveStreamTest, AnswersEndWithoutDrainAtOnce) {
  StreamClient stream(daemon_.memory());
  stream.SendStart("notes");
  stream.ReadStarted();
  stream.SendBatch(1, Some(2000));
  stream.SendEnd(false);
  EXPECT_TRUE(stream.Finish().ok());
  ASSERT_TRUE(stream.ended.has_value());
  EXPECT_EQ(stream.ended->received_through(), 2000u);
  // What was accepted is finished nevertheless.
  EXPECT_TRUE(daemon_.daemon().engine().AwaitDrained(RealClock().Now() + std::chrono::seconds(30)));
  EXPECT_EQ(Live("notes"), 2000u);
}

TEST_F(ObserveStreamTest, HoldsAcknowledgementsBackWhilePaused) {
  StreamClient stream(daemon_.memory());
  stream.SendStart("notes");
  stream.ReadStarted();
  stream.SendFlow(v1::FlowControl::PAUSE);
  stream.SendBatch(1, Some(100));
  auto bad = MakeObservation("bad", {1, 2});
  stream.SendBatch(101, {bad});
  // Ingest goes on: another connection sees it, while nothing has come to this one.
  while (Live("notes") < 100) std::this_thread::yield();
  EXPECT_EQ(stream.last_ack.received_through(), 0u);
  stream.SendFlow(v1::FlowControl::RESUME);
  ASSERT_TRUE(stream.ReadUntilDurable(101));
  // One merged Ack for both batches, the refusal in it.
  EXPECT_EQ(stream.rejected.size(), 1u);
  stream.SendEnd(true);
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(ObserveStreamTest, ReachesIndexed) {
  v1::CreateSpaceRequest create;
  create.set_name("graph");
  create.mutable_config()->set_flat_threshold(0);
  v1::Space space;
  ASSERT_TRUE(Call(daemon_.memory(), &Stub::CreateSpace, create, &space).ok());
  StreamClient stream(daemon_.memory());
  stream.SendStart("graph", "", false, v1::ACK_LEVEL_INDEXED);
  stream.ReadStarted();
  stream.SendBatch(1, Some(600));
  stream.SendEnd(true);
  EXPECT_TRUE(stream.Finish().ok());
  ASSERT_TRUE(stream.ended.has_value());
  EXPECT_EQ(stream.ended->indexed_through(), 600u);
  EXPECT_TRUE(stream.ended->drained());
}

TEST_F(ObserveStreamTest, RefusesStreamsBeyondItsLimit) {
  Settings settings = TestSettings();
  settings.server_max_streams = 2;
  TestDaemon small(settings);
  StreamClient first(small.memory()), second(small.memory());
  for (StreamClient* stream : {&first, &second}) {
    stream->SendStart("notes");
    stream->ReadStarted();
  }
  StreamClient third(small.memory());
  third.SendStart("notes");
  const grpc::Status status = third.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("server.max_streams is 2"));
  first.SendEnd(true);
  EXPECT_TRUE(first.Finish().ok());
  StreamClient fourth(small.memory());
  fourth.SendStart("notes");
  EXPECT_EQ(fourth.ReadStarted().next_sequence(), 1u);
}

// A queue of a thousand, a stream that sends ten times that: the reader is held back, and not one is lost.
TEST_F(ObserveStreamTest, HoldsAFastClientBackWithoutLoss) {
  Settings settings = TestSettings();
  settings.queue_capacity = 1000;
  settings.queue_max_wait = std::chrono::seconds(30);
  TestDaemon small(settings);
  StreamClient stream(small.memory());
  stream.SendStart("notes");
  stream.ReadStarted();
  std::jthread sender([&] {
    for (uint64_t first = 1; first <= 20000; first += 500) {
      stream.SendBatch(first, Some(500, std::to_string(first) + "-", 64));
    }
    stream.SendEnd(true);
  });
  ASSERT_TRUE(stream.ReadUntilEnded());
  sender.join();
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(stream.ended->durable_through(), 20000u);
  EXPECT_THAT(stream.rejected, IsEmpty());
}

}  // namespace
}  // namespace engram::testing
