#include "loadtest/open_loop.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

// Takes 30 ms to acknowledge the first observation, and nothing for the others.
class Stalling final : public v1::MemoryService::Service {
 public:
  static constexpr int64_t kStall = 30'000'000;

  grpc::Status ObserveStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ObserveStreamResponse, v1::ObserveStreamRequest>* stream) override {
    v1::ObserveStreamRequest request;
    v1::ObserveStreamResponse response;
    uint64_t taken = 0;
    while (stream->Read(&request)) {
      response.Clear();
      if (request.has_start()) {
        response.mutable_started();
      } else {
        if (++taken == 1) SleepUntilNanos(NowNanos() + kStall);
        response.mutable_ack()->set_durable_through(taken);
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  grpc::Status Recall(grpc::ServerContext*, const v1::RecallRequest* request, v1::RecallResponse* response) override {
    for (uint32_t i = 0; i < request->k(); ++i) response->add_hits();
    return grpc::Status::OK;
  }
};

TEST(OpenLoopTest, AStallCountsForEverythingThatWasDueMeanwhile) {
  Stalling service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto stub = v1::MemoryService::NewStub(ConnectTo("127.0.0.1:" + std::to_string(port)));

  OpenLoopPlan plan;
  plan.space = "s";
  plan.observations_per_second = 100;
  plan.recalls_per_second = 10;
  plan.seconds = 1;
  const Matrix vectors = RandomMatrix(10, 4, 1);
  const auto result = RunOpenLoop(*stub, plan, vectors, vectors);
  server->Shutdown(std::chrono::system_clock::now());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->observe.count(), 100u);
  EXPECT_EQ(result->recall.count(), 10u);
  // The first waits 30 ms, and those due 10 and 20 ms later wait for it: no fewer than three are late.
  EXPECT_GE(result->observe.max(), Stalling::kStall);
  EXPECT_GE(result->observe.Percentile(0.99), Stalling::kStall - 10'500'000);
  EXPECT_GE(result->observe.Percentile(0.98), Stalling::kStall - 20'500'000);
  EXPECT_GE(result->seconds, 0.98);
}

}  // namespace
}  // namespace engram
