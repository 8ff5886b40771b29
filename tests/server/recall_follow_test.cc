// RecallStream with follow over real gRPC: what is new comes, the point goes on, and how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>

#include "tests/server/support/engramd_process.h"
#include "tests/server/support/test_daemon.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Stub = v1::MemoryService::Stub;

void Observe(Stub& stub, const std::vector<std::string>& ids, const std::vector<float>& values = {1, 0},
             size_t content = 0) {
  v1::ObserveRequest request;
  request.set_space("s");
  for (const std::string& id : ids) {
    v1::Observation* const observation = request.add_observations();
    *observation = MakeObservation(id, values);
    observation->set_content(std::string(content, 'x'));
  }
  v1::ObserveResponse response;
  const grpc::Status status = Call(stub, &Stub::Observe, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.accepted(), ids.size());
}

// The client's end of one call.
class Follower {
 public:
  explicit Follower(Stub& stub, const v1::FollowPoint* after = nullptr, bool content = false) {
    v1::RecallStreamRequest request;
    request.mutable_recall()->set_space("s");
    request.mutable_recall()->set_embedding_f32(F32({1, 0}));
    request.mutable_recall()->set_k(100);
    request.mutable_recall()->set_min_similarity(0.9f);
    request.mutable_recall()->set_include_content(content);
    request.set_follow(true);
    if (after != nullptr) *request.mutable_after() = *after;
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    reader_ = stub.RecallStream(&context_, request);
  }
  ~Follower() {
    context_.TryCancel();
    if (!finished_) reader_->Finish().ok();
  }

  // Reads until there are so many hits in all; fewer when the call is over.
  const std::vector<std::string>& ReadUntil(size_t count) {
    v1::RecallStreamResponse response;
    while (ids.size() < count && reader_->Read(&response)) Take(response);
    return ids;
  }
  // Reads one response; false when the call is over.
  bool Read(v1::RecallStreamResponse* response) {
    if (!reader_->Read(response)) return false;
    Take(*response);
    return true;
  }
  // Reads what is left.
  grpc::Status Finish() {
    v1::RecallStreamResponse response;
    while (reader_->Read(&response)) Take(response);
    finished_ = true;
    return reader_->Finish();
  }
  void Cancel() { context_.TryCancel(); }

  std::vector<std::string> ids;
  v1::FollowPoint point;

 private:
  void Take(const v1::RecallStreamResponse& response) {
    for (const v1::Hit& hit : response.hits()) ids.push_back(hit.id());
    if (response.has_point()) point = response.point();
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::RecallStreamResponse>> reader_;
  bool finished_ = false;
};

class ServerRecallFollowTest : public ::testing::Test {
 protected:
  static Settings Quick() {
    Settings settings = TestSettings();
    settings.recall_follow_heartbeat = std::chrono::milliseconds(20);
    settings.limits_max_followers = 2;
    return settings;
  }
  TestDaemon daemon_{Quick()};
  Stub& stub_ = daemon_.memory();
};

TEST_F(ServerRecallFollowTest, SendsTheSnapshotAndThenWhatIsNew) {
  Observe(stub_, {"old", "older"});
  Follower follower(stub_);
  v1::RecallStreamResponse response;
  ASSERT_TRUE(follower.Read(&response));
  EXPECT_TRUE(response.last());
  EXPECT_TRUE(response.has_coverage());
  EXPECT_EQ(response.hits_size(), 2);
  ASSERT_TRUE(response.has_point());
  EXPECT_EQ(response.point().through().position(), response.coverage().visible_through().position());
  Observe(stub_, {"far"}, {0, 1});
  Observe(stub_, {"new"});
  EXPECT_THAT(follower.ReadUntil(3), ElementsAre("old", "older", "new"));
  // Heartbeats go on bringing the point.
  ASSERT_TRUE(follower.Read(&response));
  EXPECT_EQ(response.hits_size(), 0);
  EXPECT_TRUE(response.has_point());
  follower.Cancel();
  EXPECT_EQ(follower.Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ServerRecallFollowTest, GoesOnBehindThePoint) {
  Observe(stub_, {"a", "b"});
  v1::FollowPoint point;
  {
    Follower follower(stub_);
    follower.ReadUntil(2);
    point = follower.point;
  }
  Observe(stub_, {"c", "a"});
  Follower again(stub_, &point);
  EXPECT_THAT(again.ReadUntil(2), ElementsAre("c", "a"));
}

TEST_F(ServerRecallFollowTest, RefusesWhatItCannotServe) {
  Observe(stub_, {"a"});
  const auto streamed = [this](bool after) {
    v1::RecallStreamRequest request;
    request.mutable_recall()->set_space("s");
    request.mutable_recall()->set_embedding_f32(F32({1, 0}));
    request.mutable_recall()->set_k(1);
    if (after) request.mutable_after();
    grpc::ClientContext context;
    const auto reader = stub_.RecallStream(&context, request);
    v1::RecallStreamResponse response;
    while (reader->Read(&response)) {
    }
    return reader->Finish();
  };
  EXPECT_EQ(streamed(true).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << "there is no follow";
  EXPECT_TRUE(streamed(false).ok());
  Follower first(stub_), second(stub_);
  first.ReadUntil(1);
  second.ReadUntil(1);
  EXPECT_TRUE(streamed(false).ok()) << "they take no place of other answers";
  const grpc::Status third = Follower(stub_).Finish();
  EXPECT_EQ(third.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(third.error_message(), HasSubstr("limits.max_followers is 2"));
  // They take no place of other calls.
  v1::RecallRequest request;
  request.set_space("s");
  request.set_embedding_f32(F32({1, 0}));
  request.set_k(1);
  v1::RecallResponse response;
  EXPECT_TRUE(Call(stub_, &Stub::Recall, request, &response).ok());
}

TEST_F(ServerRecallFollowTest, EndsWithTheSpace) {
  Observe(stub_, {"a"});
  Follower follower(stub_);
  follower.ReadUntil(1);
  v1::DeleteSpaceRequest request;
  request.set_name("s");
  v1::DeleteSpaceResponse response;
  ASSERT_TRUE(Call(stub_, &Stub::DeleteSpace, request, &response).ok());
  EXPECT_EQ(follower.Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerRecallFollowTest, ADrainEndsItWithThePointToGoOnFrom) {
  Observe(stub_, {"a"});
  Follower follower(stub_);
  follower.ReadUntil(1);
  const auto left = daemon_.daemon().Stop(std::chrono::seconds(20));
  EXPECT_FALSE(left.any());
  EXPECT_EQ(follower.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(follower.ids, ElementsAre("a"));
  EXPECT_GT(follower.point.through().position(), 0u);
}

TEST_F(ServerRecallFollowTest, AClientThatDoesNotReadHoldsUpNeitherWritersNorTheDrain) {
  Observe(stub_, {"a"});
  Follower follower(stub_, nullptr, true);
  follower.ReadUntil(1);
  // Sixty megabytes of hits against a window of some kilobytes.
  constexpr int kBatches = 100;
  for (int i = 0; i < kBatches; ++i) {
    std::vector<std::string> ids;
    for (int j = 0; j < 10; ++j) ids.push_back("n" + std::to_string(i * 10 + j));
    Observe(stub_, ids, {1, 0}, 60000);
  }
  EXPECT_THAT(follower.ids, ElementsAre("a"));
  // It had all the time in the world: nothing is lost.
  follower.ReadUntil(1 + kBatches * 10);
  ASSERT_EQ(follower.ids.size(), 1u + kBatches * 10);
  for (int i = 0; i < kBatches * 10; ++i) ASSERT_EQ(follower.ids[static_cast<size_t>(i) + 1], "n" + std::to_string(i));
  Follower stuck(stub_, nullptr, true);
  stuck.ReadUntil(1);
  const auto before = std::chrono::steady_clock::now();
  daemon_.daemon().Stop(std::chrono::seconds(40));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
}

TEST(ServerRecallFollowProcessTest, ThePointOutlivesAKilledDaemon) {
  TempDirectory storage;
  const std::vector<std::string> arguments = {"--set", "server.address=127.0.0.1:0", "--set", "metrics.address=",
                                              "--set", "storage.directory=" + (storage / "data")};
  v1::FollowPoint point;
  std::vector<std::string> seen;
  {
    EngramdProcess engramd(arguments);
    ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
    const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
    Observe(*stub, {"dead", "a"});
    Follower follower(*stub);
    seen = follower.ReadUntil(2);
    Observe(*stub, {"b"});
    seen = follower.ReadUntil(3);
    point = follower.point;
    // Durable, and perhaps not sent any more; "dead" lives on in a later version.
    Observe(*stub, {"c", "dead"});
    engramd.Signal(SIGKILL);
    engramd.AwaitExit();
    EXPECT_EQ(follower.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  EngramdProcess engramd(arguments);
  ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
  const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
  Follower again(*stub, &point);
  EXPECT_THAT(again.ReadUntil(2), ElementsAre("c", "dead"));
  Observe(*stub, {"d"});
  EXPECT_THAT(again.ReadUntil(3), ElementsAre("c", "dead", "d"));
}

}  // namespace
}  // namespace engram::testing
