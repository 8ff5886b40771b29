#include "loadtest/parallel_load.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/base/mutex.h"

namespace engram {
namespace {

// Takes everything and notes for which space; says that streams into "weak" are durable in memory only.
class Noting final : public v1::MemoryService::Service {
 public:
  Noting() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~Noting() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status ObserveStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ObserveStreamResponse, v1::ObserveStreamRequest>* stream) override {
    v1::ObserveStreamRequest request;
    std::string space;
    uint64_t through = 0;
    while (stream->Read(&request)) {
      v1::ObserveStreamResponse response;
      if (request.has_start()) {
        space = request.start().space();
        response.mutable_started()->set_durability(space == "weak" ? v1::DURABILITY_MEMORY : v1::DURABILITY_FSYNC);
      } else if (request.has_batch()) {
        through += request.batch().observations_size();
        Note(space, request.batch().observations_size());
        response.mutable_ack()->set_durable_through(through);
      } else {
        break;
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Observe(grpc::ServerContext*, const v1::ObserveRequest* request,
                       v1::ObserveResponse* response) override {
    if (refuses_calls) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no room"};
    MutexLock lock(mu_);
    repeated_ = repeated_ || !ids_.insert(request->observations(0).id()).second;
    response->set_accepted(1);
    return grpc::Status::OK;
  }

  std::map<std::string, uint64_t> taken() const {
    MutexLock lock(mu_);
    return taken_;
  }
  size_t distinct_ids() const {
    MutexLock lock(mu_);
    return repeated_ ? 0 : ids_.size();
  }
  const std::string& address() const { return address_; }
  bool refuses_calls = false;

 private:
  void Note(const std::string& space, uint64_t count) {
    MutexLock lock(mu_);
    taken_[space] += count;
  }

  mutable Mutex mu_;
  std::map<std::string, uint64_t> taken_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> ids_ ABSL_GUARDED_BY(mu_);
  bool repeated_ ABSL_GUARDED_BY(mu_) = false;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

std::vector<v1::ObserveStreamRequest> Frames(size_t observations) {
  std::vector<SampleText> texts;
  for (size_t i = 0; i < observations; ++i) texts.push_back(RandomText(i));
  return MakeFrames(texts, RandomMatrix(observations, 4, 1), 16);
}

TEST(RunStreamsTest, CountsAllStreamsButNotTheWarmUp) {
  Noting server;
  const auto a = Frames(100), b = Frames(50), warm_up = Frames(32);
  const auto result = RunStreams(server.address(), {{"a", &a}, {"b", &b}}, warm_up);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->acknowledged, 150u);
  EXPECT_EQ(result->latency.count(), 150u);
  EXPECT_EQ(result->durability, v1::DURABILITY_FSYNC);
  EXPECT_GT(result->nanos, 0);
  EXPECT_EQ(server.taken(), (std::map<std::string, uint64_t>{{"a", 100}, {"b", 50}, {kWarmUpSpace, 64}}));
}

TEST(RunStreamsTest, TheWeakestDurabilityIsTold) {
  Noting server;
  const auto frames = Frames(10);
  for (const auto& loads : {std::vector<StreamLoad>{{"a", &frames}, {"weak", &frames}},
                            std::vector<StreamLoad>{{"weak", &frames}, {"a", &frames}}}) {
    const auto result = RunStreams(server.address(), loads, {});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->durability, v1::DURABILITY_MEMORY);
  }
}

TEST(RunStreamsTest, OneStreamThatFailsFailsTheRun) {
  const auto frames = Frames(10);
  std::string gone;
  {
    Noting server;
    gone = server.address();
  }
  EXPECT_FALSE(RunStreams(gone, {{"a", &frames}}, frames).ok());
}

TEST(RunCallersTest, EveryCallIsTimedAndCarriesAnIdOfItsOwn) {
  Noting server;
  const auto result =
      RunCallers(server.address(), {.space = "s", .callers = 9, .seconds = 1, .first_id = 5}, RandomMatrix(10, 4, 1));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GE(result->acknowledged, 9u);
  EXPECT_EQ(result->latency.count(), result->acknowledged);
  EXPECT_EQ(server.distinct_ids(), result->acknowledged);
  EXPECT_GE(result->nanos, 1'000'000'000);
}

TEST(RunCallersTest, ARefusedCallFailsTheRun) {
  Noting server;
  server.refuses_calls = true;
  const auto result = RunCallers(server.address(), {.space = "s", .callers = 2, .seconds = 1}, RandomMatrix(10, 4, 1));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace engram
