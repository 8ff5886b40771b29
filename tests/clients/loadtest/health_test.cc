#include "loadtest/health.h"

#include <gmock/gmock.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <thread>

#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

class HealthTest : public ::testing::Test {
 protected:
  HealthTest() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    channel_ = ConnectTo("127.0.0.1:" + std::to_string(port));
  }
  ~HealthTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  void Say(bool serving) { server_->GetHealthCheckService()->SetServingStatus(serving); }

  v1::MemoryService::Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(HealthTest, AnswersTheInstantAtWhichItServes) {
  Say(true);
  const int64_t before = NowNanos();
  const auto serving = AwaitServing(channel_, std::chrono::seconds(30));
  ASSERT_TRUE(serving.ok()) << serving.status();
  EXPECT_GE(*serving, before);
  EXPECT_LE(*serving, NowNanos());
}

TEST_F(HealthTest, ADaemonThatOnlyListensDoesNotServe) {
  Say(false);
  const auto serving = AwaitServing(channel_, std::chrono::milliseconds(200));
  EXPECT_EQ(serving.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(serving.status().message()), ::testing::HasSubstr("200 ms"));
}

TEST_F(HealthTest, HearsOfTheChange) {
  Say(false);
  std::jthread turns([&] { Say(true); });
  const auto serving = AwaitServing(channel_, std::chrono::seconds(30));
  EXPECT_TRUE(serving.ok()) << serving.status();
}

}  // namespace
}  // namespace engram
