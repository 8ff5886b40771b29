#include "loadtest/observe_client.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <functional>

#include "loadtest/dataset.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

using ::testing::HasSubstr;
using ServerStream = grpc::ServerReaderWriter<v1::ObserveStreamResponse, v1::ObserveStreamRequest>;

// A service in this process whose ObserveStream is the test's.
class Scripted final : public v1::MemoryService::Service {
 public:
  explicit Scripted(std::function<void(ServerStream&)> script) : script_(std::move(script)) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~Scripted() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status ObserveStream(grpc::ServerContext*, ServerStream* stream) override {
    script_(*stream);
    return grpc::Status::OK;
  }
  const std::string& address() const { return address_; }

 private:
  const std::function<void(ServerStream&)> script_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

std::vector<v1::ObserveStreamRequest> Frames(size_t observations, size_t batch_size) {
  std::vector<SampleText> texts;
  for (size_t i = 0; i < observations; ++i) texts.push_back(RandomText(i));
  return MakeFrames(texts, RandomMatrix(observations, 4, 1), batch_size);
}

v1::ObserveStreamResponse Started() {
  v1::ObserveStreamResponse response;
  response.mutable_started()->set_durability(v1::DURABILITY_MEMORY);
  return response;
}

v1::ObserveStreamResponse AckThrough(uint64_t through) {
  v1::ObserveStreamResponse response;
  response.mutable_ack()->set_durable_through(through);
  response.mutable_ack()->set_next_sequence(through + 1);
  return response;
}

TEST(ObserveClientTest, TheSinkTakesEverything) {
  const auto directory = *TemporaryDirectory::Create();
  ChildOptions options;
  options.program = ENGRAM_LOADTEST;
  options.arguments = {"--sink"};
  options.ready_prefix = "engram-sink ready ";
  options.log = directory->path() / "log";
  const auto sink = StartChild(options);
  ASSERT_TRUE(sink.ok()) << sink.status();
  const auto stub = v1::MemoryService::NewStub(ConnectTo((*sink)->Ready("grpc")));
  const auto result = ObserveFrames(*stub, {.space = "any", .end_at_once = true}, Frames(1001, 16));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->acknowledged, 1001u);
  EXPECT_EQ(result->latency.count(), 1001u);
  EXPECT_GT(result->nanos, 0);
  EXPECT_TRUE((*sink)->Stop().ok());
}

TEST(ObserveClientTest, SendsAgainWhatFoundNoRoom) {
  std::vector<uint64_t> firsts;
  Scripted server([&](ServerStream& stream) {
    v1::ObserveStreamRequest request;
    stream.Read(&request);
    stream.Write(Started());
    bool refused = false;
    uint64_t through = 0;
    while (stream.Read(&request) && request.has_batch()) {
      firsts.push_back(request.batch().first_sequence());
      v1::ObserveStreamResponse response = AckThrough(through);
      v1::Rejection* rejection = nullptr;
      if (request.batch().first_sequence() == 5 && !refused) {
        refused = true;
        rejection = response.mutable_ack()->add_rejected();
        rejection->set_code(grpc::StatusCode::RESOURCE_EXHAUSTED);
      } else if (request.batch().first_sequence() > through + 1) {
        rejection = response.mutable_ack()->add_rejected();
        rejection->set_code(grpc::StatusCode::OUT_OF_RANGE);
      } else {
        through = std::max<uint64_t>(through, request.batch().first_sequence() + 1);
        response = AckThrough(through);
      }
      if (rejection != nullptr) rejection->set_sequence(request.batch().first_sequence());
      stream.Write(response);
    }
  });
  const auto stub = v1::MemoryService::NewStub(ConnectTo(server.address()));
  const auto result = ObserveFrames(*stub, {.space = "s"}, Frames(10, 2));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->acknowledged, 10u);
  EXPECT_GE(result->sent_again, 1u);
  EXPECT_GE(std::count(firsts.begin(), firsts.end(), 5u), 2);
}

TEST(ObserveClientTest, NamesWhatWasRefusedForGood) {
  Scripted server([](ServerStream& stream) {
    v1::ObserveStreamRequest request;
    stream.Read(&request);
    stream.Write(Started());
    stream.Read(&request);
    v1::ObserveStreamResponse response = AckThrough(2);
    response.mutable_ack()->add_rejected()->set_sequence(2);
    response.mutable_ack()->mutable_rejected(0)->set_code(grpc::StatusCode::INVALID_ARGUMENT);
    response.mutable_ack()->mutable_rejected(0)->set_message("bad vector");
    stream.Write(response);
  });
  const auto stub = v1::MemoryService::NewStub(ConnectTo(server.address()));
  const auto result = ObserveFrames(*stub, {.space = "s"}, Frames(2, 2));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("bad vector"));
}

TEST(ObserveClientTest, AStreamThatEndsEarlyIsALoss) {
  Scripted server([](ServerStream& stream) {
    v1::ObserveStreamRequest request;
    stream.Read(&request);
    stream.Write(Started());
    stream.Read(&request);
    stream.Write(AckThrough(2));
  });
  const auto stub = v1::MemoryService::NewStub(ConnectTo(server.address()));
  const auto result = ObserveFrames(*stub, {.space = "s"}, Frames(6, 2));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("2 of 6"));
}

}  // namespace
}  // namespace engram
