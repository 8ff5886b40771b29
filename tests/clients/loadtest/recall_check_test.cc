// Each way an answer can be wrong is seen, and a right one is not taken for wrong.
#include "loadtest/recall_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace engram {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kStream = 2, kOther = 5;

class RecallCheckTest : public ::testing::Test {
 protected:
  RecallCheckTest() {
    ledger_.Sent(20);
    ledger_.Durable(10);
    ledger_.Refused(4, 1, "no");
    other_.Sent(20);
    other_.Durable(20);
    request_.set_space("s");
    request_.set_k(3);
    request_.set_include_content(true);
    for (const uint64_t sequence : {1, 2, 15}) AddHit(kStream, sequence);
  }
  void AddHit(uint32_t stream, uint64_t sequence) {
    v1::Hit* const hit = response_.add_hits();
    hit->set_id(MadeObservations::IdOf(stream, sequence));
    hit->set_content(made_.ContentOf(stream, sequence));
    (*hit->mutable_tags())["user"] = made_.UserOf(stream, sequence);
  }
  void AskBy(const std::string& user) { (*request_.mutable_filter()->mutable_all_tags())["user"] = user; }
  uint32_t Least() const { return check_.LeastHits(request_, {kStream, 1}); }
  std::string Fault() const { return check_.FaultOf(request_, Least(), response_); }

  const MadeObservations made_{7, 8, 60, 3};
  AckLedger ledger_, other_;
  const RecallCheck check_{&made_,
                           {{.space = "s", .number = kStream, .ledger = &ledger_},
                            {.space = "t", .number = kOther, .ledger = &other_}}};
  v1::RecallRequest request_;
  v1::RecallResponse response_;
};

TEST_F(RecallCheckTest, ARightAnswerIsNotWrongAlsoOfWhatIsSentAndNotAcknowledgedYet) { EXPECT_EQ(Fault(), ""); }

TEST_F(RecallCheckTest, AHitThatWasNeverSentIsWrong) {
  // Beyond what was sent, of no stream, and not as ids are written.
  for (const char* id : {"2-00000021", "2-00000000", "9-00000001", "2-1", "2-00000001x", "x", ""}) {
    response_.mutable_hits(1)->set_id(id);
    EXPECT_NE(Fault(), "") << id;
  }
}

TEST_F(RecallCheckTest, AHitThatWasRefusedIsWrong) {
  AddHit(kStream, 4);
  response_.mutable_hits()->SwapElements(0, 3);
  response_.mutable_hits()->RemoveLast();
  EXPECT_THAT(Fault(), HasSubstr("was refused or never sent"));
}

TEST_F(RecallCheckTest, AHitOfAnotherSpaceIsWrong) {
  response_.mutable_hits()->RemoveLast();
  AddHit(kOther, 3);
  EXPECT_EQ(Fault(), "hit 5-00000003 of space s was sent into space t");
}

TEST_F(RecallCheckTest, AnotherContentIsWrongUnlessNoneWasAskedFor) {
  (*response_.mutable_hits(2)->mutable_content())[7] ^= 1;
  EXPECT_THAT(Fault(), HasSubstr("2-00000015 of space s has another content"));
  request_.set_include_content(false);
  EXPECT_EQ(Fault(), "");
}

TEST_F(RecallCheckTest, MoreHitsThanWereAskedForAreWrong) {
  AddHit(kStream, 3);
  EXPECT_EQ(Fault(), "4 hits in space s; asked for 3");
}

TEST_F(RecallCheckTest, TheSameHitTwiceIsWrong) {
  *response_.mutable_hits(1) = response_.hits(0);
  EXPECT_THAT(Fault(), HasSubstr("2-00000001 of space s twice"));
}

TEST_F(RecallCheckTest, FewerHitsThanWereAcknowledgedAreWrong) {
  EXPECT_EQ(Least(), 3u);
  response_.clear_hits();
  EXPECT_EQ(Fault(), "0 hits in space s; 3 that match had been acknowledged");
  // Of ten nine are there, for one was refused.
  request_.set_k(100);
  EXPECT_EQ(Least(), 9u);
  // What a recall by id is like is no hit.
  request_.set_id(MadeObservations::IdOf(kStream, 1));
  EXPECT_EQ(Least(), 8u);
}

TEST_F(RecallCheckTest, NothingAcknowledgedMayBeFoundByNobody) {
  request_.set_space("empty");
  response_.clear_hits();
  EXPECT_EQ(Fault(), "");
}

TEST_F(RecallCheckTest, WhatItWasRecalledByIsNoHit) {
  request_.set_id(response_.hits(1).id());
  EXPECT_THAT(Fault(), HasSubstr("is what it was recalled by"));
}

TEST_F(RecallCheckTest, AFilterFindsItsOwnAndNobodyElse) {
  const std::string user = made_.UserOf(kStream, 1);
  AskBy(user);
  response_.clear_hits();
  EXPECT_EQ(Fault(), "0 hits in space s; 1 that match had been acknowledged");
  AddHit(kStream, 1);
  EXPECT_EQ(Fault(), "");
  uint64_t stranger = 2;
  while (made_.UserOf(kStream, stranger) == user) ++stranger;
  AddHit(kStream, stranger);
  EXPECT_THAT(Fault(), HasSubstr("has another user than '" + user + "'"));
  // Nor one that only says so.
  (*response_.mutable_hits(1)->mutable_tags())["user"] = user;
  EXPECT_THAT(Fault(), HasSubstr("has another user than '" + user + "'"));
  // Acknowledged was nothing that carries it.
  response_.clear_hits();
  EXPECT_EQ(check_.FaultOf(request_, check_.LeastHits(request_, {kStream, 15}), response_), "");
}

}  // namespace
}  // namespace engram
