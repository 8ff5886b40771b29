#include "loadtest/steady_stream.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <latch>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

using ::testing::ElementsAre;

std::vector<float> Rotated(const Matrix& matrix, uint64_t number) {
  std::string bytes;
  RotatedRow(matrix, number, &bytes);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST(SteadyStreamTest, EachTimeRoundTheRowsAreRotatedByOneMore) {
  const Matrix matrix{3, {1, 2, 3, 4, 5, 6}};
  EXPECT_THAT(Rotated(matrix, 0), ElementsAre(1, 2, 3));
  EXPECT_THAT(Rotated(matrix, 1), ElementsAre(4, 5, 6));
  EXPECT_THAT(Rotated(matrix, 2), ElementsAre(2, 3, 1));
  EXPECT_THAT(Rotated(matrix, 5), ElementsAre(6, 4, 5));
  EXPECT_THAT(Rotated(matrix, 6), ElementsAre(1, 2, 3));
}

// Has no room for the second frame when it first comes, and takes everything that follows without a gap.
class Full final : public v1::MemoryService::Service {
 public:
  grpc::Status ObserveStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ObserveStreamResponse, v1::ObserveStreamRequest>* stream) override {
    v1::ObserveStreamRequest request;
    uint64_t taken = 0;
    bool was_full = false;
    while (stream->Read(&request)) {
      v1::ObserveStreamResponse response;
      if (request.has_start()) response.mutable_started();
      if (request.has_end()) response.mutable_ended();
      if (request.has_batch()) {
        const uint64_t first = request.batch().first_sequence();
        const bool is_full = first > 1 && !was_full;
        if (is_full || first > taken + 1) {
          auto& rejection = *response.mutable_ack()->add_rejected();
          rejection.set_code(is_full ? grpc::StatusCode::RESOURCE_EXHAUSTED : grpc::StatusCode::OUT_OF_RANGE);
          was_full = true;
        } else {
          taken = std::max<uint64_t>(taken, first + request.batch().observations_size() - 1);
          if (taken >= 100 && !enough_.try_wait()) enough_.count_down();
        }
        response.mutable_ack()->set_durable_through(taken);
        response.mutable_ack()->set_next_sequence(taken + 1);
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  std::latch enough_{1};
};

TEST(SteadyStreamTest, WhatFoundNoRoomIsSentAgain) {
  Full service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const Matrix matrix = RandomMatrix(10, 4, 1);
  const auto stream = SteadyStream::Start("127.0.0.1:" + std::to_string(port),
                                          {.space = "s", .observations_per_second = 2000}, matrix);
  ASSERT_TRUE(stream.ok()) << stream.status();
  service.enough_.wait();
  EXPECT_TRUE((*stream)->Stop().ok());
  EXPECT_GE((*stream)->acknowledged(), 100u);
}

// Takes 20 ms for a recall.
class Slow final : public v1::MemoryService::Service {
 public:
  grpc::Status Recall(grpc::ServerContext*, const v1::RecallRequest* request, v1::RecallResponse* response) override {
    SleepUntilNanos(NowNanos() + 20'000'000);
    ++asked_;
    for (uint32_t i = 0; i < request->k(); ++i) response->add_hits();
    return grpc::Status::OK;
  }

  std::atomic<uint64_t> asked_{0};
};

TEST(SteadyStreamTest, RecallsThatFallBehindAreGivenUpAndStillCount) {
  Slow service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto stub = v1::MemoryService::NewStub(ConnectTo("127.0.0.1:" + std::to_string(port)));
  const auto latency = RecallSteadily(*stub, "s", RandomMatrix(3, 4, 1), 1000, 0.2);
  ASSERT_TRUE(latency.ok()) << latency.status();
  EXPECT_EQ(latency->count(), 200u);
  EXPECT_LT(service.asked_.load(), 20u);
  EXPECT_GT(latency->Percentile(0.5), 150'000'000);
}

TEST(SteadyStreamTest, NobodyThereIsAnError) {
  const Matrix matrix = RandomMatrix(1, 4, 1);
  EXPECT_FALSE(SteadyStream::Start("127.0.0.1:1", {.space = "s"}, matrix).ok());
}

}  // namespace
}  // namespace engram
