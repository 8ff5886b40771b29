// RecallStream by the id of an observation, over real gRPC: space and cue are those of the beginning, however slowly the client
// reads the snapshot, and its pieces are of a size that any client takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using Stub = v1::MemoryService::Stub;

constexpr int kHits = 900;

class RecallFollowCueTest : public ::testing::Test {
 protected:
  void Observe(const std::vector<std::string>& ids, const std::vector<float>& values = {1, 0}, size_t content = 0) {
    v1::ObserveRequest request;
    request.set_space("s");
    for (const std::string& id : ids) {
      v1::Observation* const observation = request.add_observations();
      *observation = MakeObservation(id, values);
      observation->set_content(std::string(content, 'x'));
    }
    v1::ObserveResponse response;
    const grpc::Status status = Call(stub_, &Stub::Observe, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  // Fifty megabytes, against a window of some kilobytes.
  void ObserveMuch() {
    Observe({"cue"});
    for (int i = 0; i < kHits; i += 50) {
      std::vector<std::string> ids;
      for (int j = i; j < i + 50; ++j) ids.push_back("n" + std::to_string(j));
      Observe(ids, {1, 0.01f}, 60000);
    }
  }
  void Forget(const std::string& id) {
    v1::ForgetRequest request;
    request.set_space("s");
    request.add_ids(id);
    v1::ForgetResponse response;
    ASSERT_TRUE(Call(stub_, &Stub::Forget, request, &response).ok());
    ASSERT_EQ(response.forgotten(), 1u);
  }

  void Open(bool follow = true, uint32_t batch_size = 0) {
    v1::RecallStreamRequest request;
    request.mutable_recall()->set_space("s");
    request.mutable_recall()->set_id("cue");
    request.mutable_recall()->set_k(kHits);
    request.mutable_recall()->set_min_similarity(0.9f);
    request.mutable_recall()->set_include_content(true);
    request.set_batch_size(batch_size);
    request.set_follow(follow);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    reader_ = stub_.RecallStream(&context_, request);
  }
  // The ids up to the snapshot's last response, or the end of the call.
  std::vector<std::string> ReadSnapshot() {
    std::vector<std::string> ids;
    v1::RecallStreamResponse response;
    while (!response.last() && reader_->Read(&response)) {
      largest_ = std::max(largest_, response.ByteSizeLong());
      for (const v1::Hit& hit : response.hits()) ids.push_back(hit.id());
    }
    return ids;
  }
  // The first of the new ones; empty when the call is over.
  std::string ReadNew() {
    v1::RecallStreamResponse response;
    while (reader_->Read(&response)) {
      if (response.hits_size() > 0) return response.hits(0).id();
    }
    return "";
  }
  grpc::Status Finish() { return std::exchange(reader_, nullptr)->Finish(); }
  void TearDown() override {
    if (reader_ == nullptr) return;
    context_.TryCancel();
    v1::RecallStreamResponse response;
    while (reader_->Read(&response)) {
    }
    Finish().ok();
  }

  TestDaemon daemon_;
  Stub& stub_ = daemon_.memory();
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::RecallStreamResponse>> reader_;
  size_t largest_ = 0;
};

TEST_F(RecallFollowCueTest, TheCueMayBeForgottenWhileTheSnapshotIsRead) {
  ObserveMuch();
  Open();
  v1::RecallStreamResponse response;
  ASSERT_TRUE(reader_->Read(&response));
  Forget("cue");
  EXPECT_EQ(ReadSnapshot().size() + static_cast<size_t>(response.hits_size()), static_cast<size_t>(kHits));
  Observe({"far"}, {0, 1});
  Observe({"new"}, {1, 0.1f});
  EXPECT_EQ(ReadNew(), "new");
}

TEST_F(RecallFollowCueTest, TheCueMayBeReplacedWhileTheSnapshotIsRead) {
  ObserveMuch();
  Open();
  v1::RecallStreamResponse response;
  ASSERT_TRUE(reader_->Read(&response));
  Observe({"cue"}, {0, 1});
  ReadSnapshot();
  Observe({"near the new"}, {0.1f, 1});
  Observe({"near the old"}, {1, 0.1f});
  EXPECT_EQ(ReadNew(), "near the old");
}

TEST_F(RecallFollowCueTest, ASpaceThatIsMadeAgainIsAnotherOne) {
  ObserveMuch();
  Open();
  v1::RecallStreamResponse response;
  ASSERT_TRUE(reader_->Read(&response));
  v1::DeleteSpaceRequest request;
  request.set_name("s");
  v1::DeleteSpaceResponse deleted;
  ASSERT_TRUE(Call(stub_, &Stub::DeleteSpace, request, &deleted).ok());
  Observe({"cue", "new"});
  EXPECT_EQ(ReadSnapshot().size() + static_cast<size_t>(response.hits_size()), static_cast<size_t>(kHits));
  EXPECT_EQ(ReadNew(), "");
  const grpc::Status status = Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("space 's' was deleted"));
}

TEST_F(RecallFollowCueTest, PiecesOfTheSnapshotAreOfAboutAMebibyte) {
  ObserveMuch();
  Open(false, 1000);
  EXPECT_EQ(ReadSnapshot().size(), static_cast<size_t>(kHits));
  const grpc::Status status = Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_LT(largest_, size_t{1} << 21);
  EXPECT_GT(largest_, size_t{1} << 19);
}

}  // namespace
}  // namespace engram::testing
