#include "loadtest/space_check.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "loadtest/observe_client.h"

namespace engram {
namespace {

using ::testing::HasSubstr;

// A space of three observations that answers every recall with the hit it is told to.
class Answering final : public v1::MemoryService::Service {
 public:
  grpc::Status GetSpace(grpc::ServerContext*, const v1::GetSpaceRequest*, v1::Space* space) override {
    space->set_live(3);
    return grpc::Status::OK;
  }
  grpc::Status Recall(grpc::ServerContext*, const v1::RecallRequest*, v1::RecallResponse* response) override {
    *response->add_hits() = hit;
    return grpc::Status::OK;
  }
  v1::Hit hit;
};

class SpaceCheckTest : public ::testing::Test {
 protected:
  SpaceCheckTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::MemoryService::NewStub(ConnectTo("127.0.0.1:" + std::to_string(port)));
    service_.hit.set_id(sent_.text.id);
    service_.hit.set_content(sent_.text.content);
    service_.hit.set_similarity(0.9995f);
  }
  ~SpaceCheckTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string Fault(uint64_t live) {
    const absl::Status status = CheckSpace(*stub_, "s", live, {sent_});
    if (status.ok()) return "";
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    return std::string(status.message());
  }

  const SentObservation sent_{RandomText(7), {1, 0}};
  Answering service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::MemoryService::Stub> stub_;
};

TEST_F(SpaceCheckTest, WhatIsThereAsSentPasses) { EXPECT_EQ(Fault(3), ""); }

TEST_F(SpaceCheckTest, AnotherCountIsALoss) { EXPECT_THAT(Fault(4), HasSubstr("holds 3 observations; 4")); }

TEST_F(SpaceCheckTest, AnotherHitIsALoss) {
  service_.hit.set_id("other");
  EXPECT_THAT(Fault(3), HasSubstr("not found by its own vector"));
}

TEST_F(SpaceCheckTest, ASimilarityBelowOneIsALoss) {
  service_.hit.set_similarity(0.99f);
  EXPECT_THAT(Fault(3), HasSubstr("not found by its own vector"));
}

TEST_F(SpaceCheckTest, AnotherTextIsALoss) {
  service_.hit.set_content("other");
  EXPECT_THAT(Fault(3), HasSubstr("another text"));
}

TEST(PickSentTest, PicksRowsWithTheirTextsAndOthersForAnotherSeed) {
  std::vector<SampleText> texts;
  for (size_t i = 0; i < 1000; ++i) texts.push_back(RandomText(i));
  const Matrix vectors = RandomMatrix(1000, 2, 1);
  const auto sent = PickSent(texts, vectors, 5, 1);
  ASSERT_EQ(sent.size(), 5u);
  for (const SentObservation& observation : sent) {
    const size_t row = std::stoul(observation.text.id.substr(observation.text.id.rfind('-') + 1));
    EXPECT_EQ(observation.text.content, texts[row].content);
    EXPECT_TRUE(std::equal(observation.embedding.begin(), observation.embedding.end(), vectors.row(row).begin()));
  }
  EXPECT_NE(PickSent(texts, vectors, 5, 2)[0].text.id, sent[0].text.id);
  EXPECT_TRUE(PickSent({}, vectors, 5, 1).empty());
}

}  // namespace
}  // namespace engram
