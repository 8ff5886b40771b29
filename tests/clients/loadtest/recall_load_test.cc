// Who was answered and who was not, and what with, against a daemon that is made up and refuses on request.
#include "loadtest/recall_load.h"

#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "loadtest/pacing.h"

namespace engram {
namespace {

class Refuser final : public v1::MemoryService::Service {
 public:
  Refuser() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void Await(uint64_t calls) const {
    for (uint64_t seen = calls_.load(); seen < calls; seen = calls_.load()) calls_.wait(seen);
  }

  // Of each answer.
  std::string hit;
  // Answers nothing before the caller gives up.
  bool mute = false;

  grpc::Status Recall(grpc::ServerContext* context, const v1::RecallRequest*, v1::RecallResponse* response) override {
    const uint64_t number = calls_.fetch_add(1);
    calls_.notify_all();
    while (mute && !context->IsCancelled()) SleepUntilNanos(NowNanos() + 1'000'000);
    if (!hit.empty()) response->add_hits()->set_id(hit);
    return number % 2 == 0 ? grpc::Status::OK : grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "no slot");
  }

 private:
  int port_ = 0;
  std::atomic<uint64_t> calls_{0};
  std::unique_ptr<grpc::Server> server_;
};

class RecallLoadTest : public ::testing::Test {
 protected:
  RecallLoadTest() {
    streams_.push_back(
        std::make_unique<LoadStream>(LoadStream::Plan{.address = refuser_.address(), .space = "s"}, &shape_, &made_));
  }
  // Ten recalls, one a second, from `began` on.
  std::unique_ptr<RecallLoad> Ten(int64_t began, std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    return std::make_unique<RecallLoad>(RecallLoad::Plan{.address = refuser_.address(),
                                                         .recalls = {.per_second = 1, .callers = 1},
                                                         .began = began,
                                                         .seconds = 10,
                                                         .patience = patience},
                                        &streams_, &made_);
  }

  Refuser refuser_;
  const LoadShape shape_{{{1, 1, 1}}};
  const MadeObservations made_{1, 8, 40, 0};
  std::vector<std::unique_ptr<LoadStream>> streams_;
};

TEST_F(RecallLoadTest, ARefusalIsNoAnswerAndNoLatency) {
  const auto load = Ten(NowNanos() - 20 * kNanosPerSecond);
  load->Start();
  refuser_.Await(10);
  load->Finish();
  EXPECT_EQ(load->due(), 10u);
  EXPECT_EQ(load->answered(), 5u);
  EXPECT_EQ(load->latency().count(), 5u);
  EXPECT_EQ(load->ended_by_code().at(grpc::StatusCode::RESOURCE_EXHAUSTED), 5u);
}

TEST_F(RecallLoadTest, AnAnswerWithWhatWasNeverSentIsAnsweredAndWrong) {
  refuser_.hit = MadeObservations::IdOf(0, 1);
  const auto load = Ten(NowNanos() - 20 * kNanosPerSecond);
  load->Start();
  refuser_.Await(10);
  load->Finish();
  EXPECT_EQ(load->answered(), 5u);
  EXPECT_EQ(load->wrong(), 5u);
  EXPECT_EQ(load->first_wrong(), "hit 0-00000001 of space s was refused or never sent");
}

TEST_F(RecallLoadTest, WhatWasDueAndNeverSentIsUnansweredAndHadWaited) {
  const auto load = Ten(NowNanos() - 20 * kNanosPerSecond);
  load->Finish();
  EXPECT_EQ(load->due(), 10u);
  EXPECT_EQ(load->answered(), 0u);
  EXPECT_EQ(load->latency().count(), 10u);
  EXPECT_GE(load->latency().max(), 10 * kNanosPerSecond);
}

TEST_F(RecallLoadTest, WhatIsDueAtTheEndAndWaitsForACallerIsStillAnswered) {
  const auto load = Ten(NowNanos() - 20 * kNanosPerSecond);
  load->Start();
  load->Finish();
  EXPECT_EQ(load->due(), 10u);
  EXPECT_EQ(load->answered(), 5u);
  EXPECT_EQ(load->ended_by_code().at(grpc::StatusCode::RESOURCE_EXHAUSTED), 5u);
}

TEST_F(RecallLoadTest, TheEndWaitsForNobodyBeyondItsPatience) {
  constexpr std::chrono::milliseconds kPatience{100};
  refuser_.mute = true;
  const auto load = Ten(NowNanos() - 20 * kNanosPerSecond, kPatience);
  load->Start();
  refuser_.Await(1);
  const int64_t before = NowNanos();
  load->Finish();
  EXPECT_LT(NowNanos() - before, 5 * kNanosPerSecond);
  EXPECT_EQ(load->due(), 10u);
  EXPECT_EQ(load->answered(), 0u);
  // Each of them had waited, sent or not.
  EXPECT_EQ(load->latency().count(), 10u);
}

TEST_F(RecallLoadTest, WhatIsNotDueYetIsNotMissed) {
  const auto load = Ten(NowNanos() + 1000 * kNanosPerSecond);
  load->Start();
  load->Finish();
  EXPECT_EQ(load->due(), 0u);
  EXPECT_EQ(load->latency().count(), 0u);
}

}  // namespace
}  // namespace engram
