#include "loadtest/measure/paced_stream.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>

#include "loadtest/measure/load_phase.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

// Takes what follows without a gap, but for the frame `full` when it comes first; refuses `bad` for good.
class Taker final : public v1::MemoryService::Service {
 public:
  grpc::Status ObserveStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ObserveStreamResponse, v1::ObserveStreamRequest>* stream) override {
    v1::ObserveStreamRequest request;
    uint64_t taken = 0;
    while (stream->Read(&request)) {
      v1::ObserveStreamResponse response;
      if (request.has_start()) response.mutable_started();
      if (request.has_end()) response.mutable_ended()->set_durable_through(taken);
      if (request.has_batch()) {
        const uint64_t first = request.batch().first_sequence();
        v1::Ack& ack = *response.mutable_ack();
        if (first == bad) {
          ack.add_rejected()->set_code(grpc::StatusCode::INVALID_ARGUMENT);
        } else if ((first == full && !was_full.exchange(true)) || first > taken + 1) {
          v1::Rejection& rejection = *ack.add_rejected();
          rejection.set_code(first == full ? grpc::StatusCode::RESOURCE_EXHAUSTED : grpc::StatusCode::OUT_OF_RANGE);
          if (first == full) {
            rejection.set_retry_after_us(retry_after_us);
            refused_at = NowNanos();
          }
        } else {
          if (first == full) taken_at = NowNanos();
          taken = std::max<uint64_t>(taken, first + request.batch().observations_size() - 1);
        }
        most = std::max(most.load(), taken);
        ack.set_durable_through(taken);
        ack.set_next_sequence(taken + 1);
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  uint64_t full = 0, bad = 0;
  int64_t retry_after_us = 0;
  // Of the frame `full`.
  std::atomic<int64_t> refused_at{0}, taken_at{0};
  std::atomic<bool> was_full{false};
  std::atomic<uint64_t> most{0};
};

class PacedStreamTest : public ::testing::Test {
 protected:
  absl::StatusOr<StreamOutcome> Run(const StreamPlan& plan) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&taker_);
    const auto server = builder.BuildAndStart();
    const auto stub = v1::MemoryService::NewStub(ConnectTo("127.0.0.1:" + std::to_string(port)));
    FramePool pool(RandomMatrix(40, 8, 1), 0, 3, 4);
    auto outcome = RunPacedStream(*stub, plan, pool);
    server->Shutdown();
    return outcome;
  }

  Taker taker_;
};

TEST_F(PacedStreamTest, SendsAtItsRateUntilItsTimeIsOver) {
  const auto outcome = Run({.space = "s", .frames_per_second = 200, .seconds = 0.1});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  // Instants 0, 5, ... 95 ms, whatever the machine is busy with.
  EXPECT_EQ(outcome->acknowledged, 20u * 4);
  EXPECT_EQ(outcome->latency.count(), 20u * 4);
  EXPECT_GE(outcome->ended - outcome->began, 95'000'000);
}

TEST_F(PacedStreamTest, GoesRoundItsFramesAndEndsAtTheMost) {
  const auto outcome = Run({.space = "s", .seconds = 60, .most_frames = 10});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->acknowledged, 40u);
  EXPECT_EQ(taker_.most, 40u);
}

TEST_F(PacedStreamTest, WhatThereWasNoRoomForIsSentAgainAndItsLatencyGoesOn) {
  taker_.full = 9;
  const auto outcome = Run({.space = "s", .seconds = 60, .most_frames = 6});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->acknowledged, 24u);
  EXPECT_GE(outcome->sent_again, 4u);
}

TEST_F(PacedStreamTest, ComesBackNotBeforeItIsToldTo) {
  taker_.full = 9;
  taker_.retry_after_us = 50'000;
  const auto outcome = Run({.space = "s", .seconds = 60, .most_frames = 6});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->acknowledged, 24u);
  // From when it was told, which is later than when it was refused; so nothing of the machine's makes this fail.
  EXPECT_GE(taker_.taken_at - taker_.refused_at, 50'000'000);
}

TEST_F(PacedStreamTest, WhatIsRefusedForGoodIsAnError) {
  taker_.bad = 5;
  EXPECT_TRUE(absl::IsDataLoss(Run({.space = "s", .seconds = 60, .most_frames = 6}).status()));
}

TEST(LoadPhaseTest, AnOfferedLoadTravelsInAtMostAThousandFramesASecond) {
  EXPECT_EQ(RowsOfFrame(50, 256), 1u);
  EXPECT_EQ(RowsOfFrame(1001, 256), 2u);
  EXPECT_EQ(RowsOfFrame(40'000, 256), 40u);
  EXPECT_EQ(RowsOfFrame(1e7, 256), 256u);
}

}  // namespace
}  // namespace engram
