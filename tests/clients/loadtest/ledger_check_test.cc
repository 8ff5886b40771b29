// The reading back sees what is wrong: against a daemon that is made up, and lies on request.
#include "loadtest/ledger_check.h"

#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace engram {
namespace {

using ::testing::HasSubstr;

class MadeUpDaemon final : public v1::MemoryService::Service {
 public:
  MadeUpDaemon() {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    stub_ = v1::MemoryService::NewStub(server_->InProcessChannel({}));
  }

  grpc::Status GetObservations(grpc::ServerContext*, const v1::GetObservationsRequest* request,
                               v1::GetObservationsResponse* response) override {
    pages.push_back(request->ids_size());
    for (const std::string& id : request->ids()) {
      const auto at = there.find(id);
      if (at == there.end()) {
        response->add_missing(id);
      } else {
        *response->add_observations() = at->second;
      }
    }
    return grpc::Status::OK;
  }
  grpc::Status GetSpace(grpc::ServerContext*, const v1::GetSpaceRequest*, v1::Space* space) override {
    space->set_live(there.size());
    space->set_size(there.size() + dead_rows);
    return grpc::Status::OK;
  }

  std::map<std::string, v1::Observation> there;
  uint64_t dead_rows = 0;
  std::vector<int> pages;  // Ids asked for at a time.
  v1::MemoryService::Stub& stub() { return *stub_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::MemoryService::Stub> stub_;
};

class LedgerCheckTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kStream = 3;

  LedgerCheckTest() {
    for (uint64_t s = 1; s <= 1200; ++s) made_.Make(kStream, s, &daemon_.there[MadeObservations::IdOf(kStream, s)]);
    ledger_.Sent(1200);
    ledger_.Durable(1100);
  }
  LedgerVerdict Check() {
    const auto verdict = CheckLedgers(daemon_.stub(), made_, {{.space = "s", .number = kStream, .ledger = &ledger_}});
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return *verdict;
  }

  const MadeObservations made_{7, 8, 60, 5};
  AckLedger ledger_;
  MadeUpDaemon daemon_;
};

TEST_F(LedgerCheckTest, FindsEverythingWhereNothingIsWrong) {
  const LedgerVerdict verdict = Check();
  EXPECT_EQ(verdict.promised, 1100u);
  EXPECT_EQ(verdict.found, 1200u);
  EXPECT_EQ(verdict.lost + verdict.changed + verdict.revived + verdict.twice + verdict.invented, 0u);
  EXPECT_EQ(verdict.first_fault, "");
}

TEST_F(LedgerCheckTest, NamesWhatWasAcknowledgedAndIsLostButNotWhatWasOnlySent) {
  daemon_.there.erase(MadeObservations::IdOf(kStream, 1100));
  daemon_.there.erase(MadeObservations::IdOf(kStream, 1150));
  const LedgerVerdict verdict = Check();
  EXPECT_EQ(verdict.lost, 1u);
  EXPECT_THAT(verdict.first_fault, HasSubstr("3-00001100 of space s was acknowledged and is not there"));
}

TEST_F(LedgerCheckTest, SeesOneFlippedBitInContentVectorAndTag) {
  using Change = std::function<void(v1::Observation&)>;
  const Change changes[] = {[](auto& o) { (*o.mutable_content())[5] ^= 1; },
                            [](auto& o) { (*o.mutable_embedding_f32())[9] ^= 1; },
                            [](auto& o) { (*o.mutable_tags())["user"] += "x"; },
                            [](auto& o) { (*o.mutable_tags())["another"] = "x"; },
                            // As many tags, and another one.
                            [](auto& o) {
                              o.mutable_tags()->erase("user");
                              (*o.mutable_tags())["usher"] = "u1";
                            }};
  for (const Change& change : changes) {
    v1::Observation& one = daemon_.there[MadeObservations::IdOf(kStream, 77)];
    const v1::Observation before = one;
    change(one);
    EXPECT_EQ(Check().changed, 1u);
    one = before;
  }
  EXPECT_EQ(Check().changed, 0u);
}

TEST_F(LedgerCheckTest, CountsWhatIsThereTwiceOrWasRefusedOrNeverSent) {
  daemon_.dead_rows = 2;
  ledger_.Refused(10, 3, "no");
  made_.Make(kStream, 1201, &daemon_.there[MadeObservations::IdOf(kStream, 1201)]);
  const LedgerVerdict verdict = Check();
  EXPECT_EQ(verdict.twice, 2u);
  EXPECT_EQ(verdict.revived, 3u);
  EXPECT_EQ(verdict.invented, 1u);
}

TEST_F(LedgerCheckTest, APageIsAsLargeAsItsBytesAllow) {
  Check();
  EXPECT_THAT(daemon_.pages, ::testing::ElementsAre(500, 500, 200));
  // The largest that a scenario can have: 16 KiB of vector and 64 of content, of which a page of 500 would be 41 MB.
  const MadeObservations large(1, 4096, 65536, 0);
  MadeUpDaemon daemon;
  ASSERT_TRUE(CheckLedgers(daemon.stub(), large, {{.space = "s", .number = kStream, .ledger = &ledger_}}).ok());
  for (const int page : daemon.pages) EXPECT_LE(page * (4096 * 4 + 65536), 4 << 20);
  EXPECT_LT(daemon.pages.size(), 30u);
}

TEST(MadeObservations, AreTheSameForTheSameSeedAndNoOther) {
  const MadeObservations one(1, 8, 40, 3), same(1, 8, 40, 3), other(2, 8, 40, 3);
  v1::Observation observation;
  one.Make(4, 5, &observation);
  EXPECT_EQ(same.Difference(4, 5, observation), "");
  EXPECT_NE(other.Difference(4, 5, observation), "");
  EXPECT_NE(same.Difference(4, 6, observation), "");
  EXPECT_EQ(observation.content().size(), 40u);
  EXPECT_EQ(observation.embedding_f32().size(), 8 * sizeof(float));
}

}  // namespace
}  // namespace engram
