// The small parts of the edge, each by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <thread>

#include "server/call_slots.h"
#include "server/listen_address.h"
#include "server/wire.h"
#include "tests/server/support/test_daemon.h"
#include "tests/support/fake_clock.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CallSlots, RefusesBeyondItsLimitAndNamesTheSetting) {
  CallSlots slots("calls", "server.max_concurrent_calls", 2);
  auto first = slots.Take();
  {
    const auto second = slots.Take();
    ASSERT_TRUE(first.ok() && second.ok());
    const auto third = slots.Take();
    ASSERT_EQ(third.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(third.status().message(), "2 calls are already under way, server.max_concurrent_calls is 2");
  }
  EXPECT_EQ(slots.taken(), 1u);
  EXPECT_TRUE(slots.Take().ok());
}

TEST(CallSlots, AwaitsTheLastOneOrTheDeadline) {
  FakeClock clock;
  CallSlots slots("calls", "limit", 2);
  auto slot = std::make_unique<CallSlots::Slot>(*slots.Take());
  std::jthread late([&] {
    clock.AwaitWaiters(1);
    clock.Advance(std::chrono::seconds(2));
  });
  EXPECT_FALSE(slots.AwaitNone(clock, clock.Now() + std::chrono::seconds(1)));
  late.join();
  std::jthread over([&] {
    clock.AwaitWaiters(1);
    slot.reset();
  });
  EXPECT_TRUE(slots.AwaitNone(clock, clock.Now() + std::chrono::seconds(1)));
}

TEST(ListenAddress, SplitsAndNamesPorts) {
  EXPECT_THAT(SplitAddresses("127.0.0.1:1, [::1]:2,unix:/tmp/x"), ElementsAre("127.0.0.1:1", "[::1]:2", "unix:/tmp/x"));
  EXPECT_EQ(WithPort("[::1]:0", 77), "[::1]:77");
  EXPECT_EQ(WithPort("unix:/tmp/x", 1), "unix:/tmp/x");
}

TEST(ListenAddress, SaysWhyAnAddressCannotBeHad) {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(name);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&name), &size), 0);
  const std::string address = WithPort("127.0.0.1:0", ntohs(name.sin_port));
  const absl::Status in_use = CheckFree(address);
  EXPECT_EQ(in_use.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(in_use.message()),
              HasSubstr("cannot listen on " + address + ": Address already in use; stop"));
  close(taken);
  EXPECT_TRUE(CheckFree("127.0.0.1:0").ok());
  EXPECT_THAT(std::string(CheckFree("192.0.2.1:50051").message()), HasSubstr("this machine has no such address"));
  EXPECT_THAT(std::string(CheckFree("unix:/does/not/exist/x.sock").message()), HasSubstr("directory has to exist"));
  EXPECT_THAT(std::string(CheckFree("unix:" + std::string(200, 'x')).message()), HasSubstr("the path has 200 bytes"));
}

TEST(Wire, RefusesWhatTheCoreCannotSay) {
  const auto why = [](const v1::RecallRequest& request) {
    return std::string(DecodeRecall(request).status().message());
  };
  v1::RecallRequest request;
  EXPECT_THAT(why(request), HasSubstr("recall has no cue"));
  request.set_embedding_f32("12345");
  EXPECT_EQ(why(request), "embedding_f32 has 5 bytes, not a multiple of 4");
  request.set_embedding_f16("");
  EXPECT_EQ(why(request), "embedding_f16 to recall by is empty");
  request.mutable_embedding();
  EXPECT_EQ(why(request), "embedding to recall by is empty");
  request.set_id("");
  EXPECT_EQ(why(request), "id to recall by is empty");
  request.set_id("a");
  EXPECT_EQ(why(request), "");
  request.set_min_similarity(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(why(request), "min_similarity is not a number");
  request.clear_min_similarity();
  request.mutable_filter()->set_min_confidence(1.5f);
  EXPECT_EQ(why(request), "filter's min_confidence 1.5 is outside 0..1");
  request.mutable_filter()->set_min_confidence(0);
  for (int i = 0; i <= kMostIds; ++i) request.mutable_filter()->add_exclude_ids("x");
  EXPECT_EQ(why(request), "filter excludes 1001 ids, at most 1000 are taken");

  EXPECT_FALSE(DecodeAckLevel(4).ok());
  EXPECT_EQ(*DecodeAckLevel(0), AckLevel::kDurable);
  v1::SpaceConfig config;
  config.set_metric(static_cast<v1::Metric>(9));
  EXPECT_EQ(DecodeSpaceConfig(config).status().message(), "metric 9 is unknown, 0 to 3 are known");
}

TEST(Wire, CarriesARecallOver) {
  v1::RecallRequest request;
  request.set_space("notes");
  request.set_embedding_f32(F32({1, 2, 3}));
  request.set_k(7);
  request.set_ef(99);
  request.set_min_similarity(0.5f);
  request.set_exact(true);
  request.set_include_tags(true);
  request.mutable_at_least()->set_journal(5);
  request.mutable_at_least()->set_position(6);
  (*request.mutable_filter()->mutable_all_tags())["a"] = "b";
  (*request.mutable_filter()->mutable_any_tags())["c"] = "d";
  (*request.mutable_filter()->mutable_no_tags())["e"] = "f";
  request.mutable_filter()->set_observed_from_us(1);
  request.mutable_filter()->set_observed_to_us(2);
  request.mutable_ranking()->set_recency_half_life_us(3'600'000'000);
  request.mutable_ranking()->set_confidence_weight(0.25f);
  request.mutable_ranking()->set_oversample(9);
  const auto query = DecodeRecall(request);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->space, "notes");
  EXPECT_EQ(query->embedding.dimension, 3u);
  EXPECT_EQ(query->k, 7u);
  EXPECT_EQ(query->ef, 99u);
  EXPECT_EQ(query->min_similarity, 0.5f);
  EXPECT_TRUE(query->exact && query->include_tags && !query->include_content && !query->include_embedding);
  EXPECT_EQ(query->at_least, (Token{5, 6}));
  EXPECT_EQ(query->filter.all_tags.at(0).second, "b");
  EXPECT_EQ(query->filter.any_tags.at(0).first, "c");
  EXPECT_EQ(query->filter.no_tags.at(0).first, "e");
  EXPECT_EQ(query->filter.observed_from_us, 1);
  EXPECT_EQ(query->filter.observed_to_us, 2);
  EXPECT_EQ(query->ranking.recency_half_life_us, 3'600'000'000);
  EXPECT_EQ(query->ranking.confidence_weight, 0.25f);
  EXPECT_EQ(query->ranking.oversample, 9u);
  request.clear_ranking();
  EXPECT_FALSE(DecodeRecall(request)->ranking.enabled());
}

}  // namespace
}  // namespace engram::testing
