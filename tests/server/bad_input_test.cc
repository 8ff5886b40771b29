// Every kind of bad input gets its documented status, and everything else that was sent is kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Stub = v1::MemoryService::Stub;

constexpr int kInvalidArgument = 3;
constexpr int kOutOfRange = 11;

class BadInputTest : public ::testing::Test {
 protected:
  uint64_t Live(const std::string& space) {
    v1::GetSpaceRequest request;
    request.set_name(space);
    v1::Space response;
    return Call(daemon_.memory(), &Stub::GetSpace, request, &response).ok() ? response.live() : 0;
  }
  bool Has(const std::string& space, const std::string& id) {
    v1::GetObservationsRequest request;
    request.set_space(space);
    request.add_ids(id);
    v1::GetObservationsResponse response;
    return Call(daemon_.memory(), &Stub::GetObservations, request, &response).ok() && response.observations_size() == 1;
  }
  // Sends {good, bad, good} on a stream and as a unary call: the bad one alone is refused, with these words.
  void ExpectRefused(const v1::Observation& bad, const std::string& words) {
    SCOPED_TRACE(words);
    static int round = 0;
    const std::string tag = std::to_string(++round);
    const std::string space = "bad" + tag;
    StreamClient stream(daemon_.memory());
    stream.SendStart(space);
    stream.ReadStarted();
    stream.SendBatch(1, {MakeObservation("first", {1, 2}), bad, MakeObservation("last", {3, 4})});
    stream.SendBatch(4, {MakeObservation("later", {5, 6})});
    stream.SendEnd(true);
    EXPECT_TRUE(stream.Finish().ok());
    EXPECT_EQ(stream.ended->durable_through(), 4u);
    ASSERT_EQ(stream.rejected.size(), 1u);
    EXPECT_EQ(stream.rejected[0].sequence(), 2u);
    EXPECT_EQ(stream.rejected[0].count(), 1u);
    EXPECT_EQ(stream.rejected[0].code(), kInvalidArgument);
    EXPECT_THAT(stream.rejected[0].message(), HasSubstr(words));
    for (const char* id : {"first", "last", "later"}) EXPECT_TRUE(Has(space, id)) << id;
    EXPECT_EQ(Live(space), 3u);

    v1::ObserveRequest request;
    request.set_space(space + "-unary");
    *request.add_observations() = MakeObservation("first", {1, 2});
    *request.add_observations() = bad;
    *request.add_observations() = MakeObservation("last", {3, 4});
    v1::ObserveResponse response;
    const grpc::Status status = Call(daemon_.memory(), &Stub::Observe, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.accepted(), 2u);
    ASSERT_EQ(response.rejected_size(), 1);
    EXPECT_EQ(response.rejected(0).sequence(), 2u);
    EXPECT_EQ(response.rejected(0).code(), kInvalidArgument);
    ASSERT_EQ(response.ids_size(), 3);
    EXPECT_EQ(response.ids(1), "");
    EXPECT_EQ(Live(space + "-unary"), 2u);
  }
  grpc::Status Recall(const v1::RecallRequest& request) {
    v1::RecallResponse response;
    return Call(daemon_.memory(), &Stub::Recall, request, &response);
  }

  TestDaemon daemon_;
};

TEST_F(BadInputTest, VectorsThatCannotBeTaken) {
  ExpectRefused(MakeObservation("x", {1, 2, 3}), "dimension");
  ExpectRefused(MakeObservation("x", {std::nanf(""), 1}), "not finite");
  ExpectRefused(MakeObservation("x", {1, std::numeric_limits<float>::infinity()}), "not finite");
  ExpectRefused(MakeObservation("x", {0, 0}), "zero");
  v1::Observation none;
  none.set_id("x");
  ExpectRefused(none, "no embedding");
  v1::Observation odd;
  odd.set_embedding_f32("1234567");
  ExpectRefused(odd, "embedding_f32 has 7 bytes, not a multiple of 4");
  v1::Observation half;
  half.set_embedding_f16("123");
  ExpectRefused(half, "embedding_f16 has 3 bytes, not a multiple of 2");
  ExpectRefused(MakeObservation("x", std::vector<float>(5000, 1)), "limits.max_dimension is 4096");
}

TEST_F(BadInputTest, FieldsBeyondTheirLimits) {
  const auto with = [](const std::function<void(v1::Observation&)>& change) {
    v1::Observation observation = MakeObservation("x", {1, 2});
    change(observation);
    return observation;
  };
  ExpectRefused(with([](auto& o) { o.set_id(std::string(257, 'i')); }), "limits.max_id_bytes is 256");
  ExpectRefused(with([](auto& o) { o.set_id("a\nb"); }), "control character");
  ExpectRefused(with([](auto& o) { o.set_content(std::string(65537, 'c')); }), "limits.max_content_bytes is 65536");
  ExpectRefused(with([](auto& o) { (*o.mutable_tags())[std::string(65, 'k')] = "v"; }),
                "limits.max_tag_key_bytes is 64");
  ExpectRefused(with([](auto& o) { (*o.mutable_tags())["k"] = std::string(257, 'v'); }),
                "limits.max_tag_value_bytes is 256");
  ExpectRefused(with([](auto& o) { (*o.mutable_tags())[""] = "v"; }), "empty key");
  ExpectRefused(with([](auto& o) {
                  for (int i = 0; i < 33; ++i) (*o.mutable_tags())["k" + std::to_string(i)] = "v";
                }),
                "observation has 33 tags, limits.max_tags is 32");
  ExpectRefused(with([](auto& o) { o.set_confidence(1.5f); }), "confidence");
  ExpectRefused(with([](auto& o) { o.set_confidence(std::nanf("")); }), "confidence");
  ExpectRefused(with([](auto& o) { o.set_ttl_us(-1); }), "ttl_us");
  ExpectRefused(MakeObservation("first", {1, 2}), "twice in one batch");
}

TEST_F(BadInputTest, SpaceNames) {
  for (const std::string& name : {std::string(), std::string("Upper"), std::string("-x"), std::string("a b"),
                                  std::string("ü"), std::string(65, 'a')}) {
    SCOPED_TRACE(name);
    StreamClient stream(daemon_.memory());
    stream.SendStart(name);
    EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    v1::ObserveRequest request;
    request.set_space(name);
    *request.add_observations() = MakeObservation("x", {1});
    v1::ObserveResponse response;
    EXPECT_EQ(Call(daemon_.memory(), &Stub::Observe, request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
    v1::CreateSpaceRequest create;
    create.set_name(name);
    v1::Space space;
    EXPECT_EQ(Call(daemon_.memory(), &Stub::CreateSpace, create, &space).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(BadInputTest, UnknownSpaces) {
  v1::RecallRequest recall;
  recall.set_space("nowhere");
  recall.set_embedding_f32(F32({1}));
  recall.set_k(1);
  EXPECT_EQ(Recall(recall).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::GetObservationsRequest get;
  get.set_space("nowhere");
  get.add_ids("x");
  v1::GetObservationsResponse got;
  EXPECT_EQ(Call(daemon_.memory(), &Stub::GetObservations, get, &got).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::ForgetRequest forget;
  forget.set_space("nowhere");
  forget.add_ids("x");
  v1::ForgetResponse forgotten;
  EXPECT_EQ(Call(daemon_.memory(), &Stub::Forget, forget, &forgotten).error_code(), grpc::StatusCode::NOT_FOUND);

  Settings settings = TestSettings();
  settings.spaces_auto_create = false;
  TestDaemon strict(settings);
  StreamClient stream(strict.memory());
  stream.SendStart("nowhere");
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(BadInputTest, RecallsOutOfRange) {
  v1::ObserveRequest request;
  request.set_space("s");
  *request.add_observations() = MakeObservation("a", {1, 2});
  v1::ObserveResponse response;
  ASSERT_TRUE(Call(daemon_.memory(), &Stub::Observe, request, &response).ok());
  const auto expect_invalid = [&](const std::function<void(v1::RecallRequest&)>& change, const std::string& words) {
    v1::RecallRequest recall;
    recall.set_space("s");
    recall.set_embedding_f32(F32({1, 2}));
    recall.set_k(1);
    change(recall);
    const grpc::Status status = Recall(recall);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << words;
    EXPECT_THAT(status.error_message(), HasSubstr(words));
  };
  expect_invalid([](auto& r) { r.set_k(0); }, "k");
  expect_invalid([](auto& r) { r.set_k(1001); }, "1000");
  expect_invalid([](auto& r) { r.set_ef(5000); }, "4096");
  expect_invalid([](auto& r) { r.set_embedding_f32(F32({1, 2, 3})); }, "dimension");
  expect_invalid([](auto& r) { r.set_embedding_f32(F32({0, 0})); }, "zero");
  expect_invalid([](auto& r) { r.set_embedding_f32(F32({std::nanf(""), 0})); }, "not finite");
  expect_invalid([](auto& r) { r.clear_cue(); }, "no cue");
  v1::RecallRequest by_id;
  by_id.set_space("s");
  by_id.set_id("nobody");
  by_id.set_k(1);
  EXPECT_EQ(Recall(by_id).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(BadInputTest, SequencesThatLeaveAGap) {
  StreamClient stream(daemon_.memory());
  stream.SendStart("gaps");
  stream.ReadStarted();
  stream.SendBatch(1, {MakeObservation("one", {1, 1})});
  stream.SendBatch(5, {MakeObservation("five", {1, 1}), MakeObservation("six", {1, 1})});
  ASSERT_TRUE(stream.ReadUntilRejected(2));
  EXPECT_EQ(stream.rejected[0].sequence(), 5u);
  EXPECT_EQ(stream.rejected[0].count(), 2u);
  EXPECT_EQ(stream.rejected[0].code(), kOutOfRange);
  EXPECT_EQ(stream.last_ack.next_sequence(), 2u);
  // Not used up: it goes on at two.
  stream.SendBatch(2, {MakeObservation("two", {1, 1})});
  EXPECT_TRUE(stream.ReadUntilDurable(2));
  stream.SendBatch(0, {MakeObservation("zero", {1, 1})});
  ASSERT_TRUE(stream.ReadUntilRejected(3));
  EXPECT_EQ(stream.rejected.back().code(), kOutOfRange);
  stream.SendEnd(true);
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(Live("gaps"), 2u);
}

TEST_F(BadInputTest, FramesOutOfPlace) {
  {
    StreamClient stream(daemon_.memory());
    stream.SendBatch(1, {MakeObservation("x", {1})});
    const grpc::Status status = stream.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(status.error_message(), "the first frame is batch, it has to be start");
  }
  {
    StreamClient stream(daemon_.memory());
    EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
  const auto after_a_batch = [&](const std::function<void(StreamClient&)>& send, const std::string& words) {
    static int round = 0;
    const std::string space = "place" + std::to_string(++round);
    StreamClient stream(daemon_.memory());
    stream.SendStart(space);
    stream.ReadStarted();
    stream.SendBatch(1, {MakeObservation("x", {1})});
    send(stream);
    const grpc::Status status = stream.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(words));
    ASSERT_TRUE(stream.ended.has_value());
    EXPECT_EQ(stream.ended->received_through(), 1u);
    EXPECT_TRUE(daemon_.daemon().engine().AwaitDrained(RealClock().Now() + std::chrono::seconds(30)));
    EXPECT_EQ(Live(space), 1u);
  };
  after_a_batch([](StreamClient& s) { s.SendStart("other"); }, "is start, it has to be batch, flow or end");
  after_a_batch([](StreamClient& s) { s.Send({}); }, "is empty, it has to be batch, flow or end");
  after_a_batch([](StreamClient& s) { s.SendFlow(v1::FlowControl::ACTION_UNSPECIFIED); }, "action 0 is unknown");
  {
    StreamClient stream(daemon_.memory());
    stream.SendStart("x", "", false, static_cast<v1::AckLevel>(9));
    EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(BadInputTest, BatchesAndFramesTooLarge) {
  Settings settings = TestSettings();
  settings.limits_max_batch_observations = 10;
  settings.server_max_message_bytes = 65536;
  TestDaemon small(settings);
  StreamClient stream(small.memory());
  stream.SendStart("large", "named");
  stream.ReadStarted();
  std::vector<v1::Observation> eleven;
  for (int i = 0; i < 11; ++i) eleven.push_back(MakeObservation(std::to_string(i), {1}));
  stream.SendBatch(1, eleven);
  ASSERT_TRUE(stream.ReadUntilRejected(11));
  EXPECT_THAT(stream.rejected[0].message(), HasSubstr("limits.max_batch_observations is 10"));
  // An empty batch is nothing.
  stream.SendBatch(1, {});
  eleven.pop_back();
  stream.SendBatch(stream.last_ack.next_sequence(), eleven);
  ASSERT_TRUE(stream.ReadUntilDurable(10));

  v1::ObserveRequest unary;
  unary.set_space("large");
  v1::ObserveResponse response;
  EXPECT_EQ(Call(small.memory(), &Stub::Observe, unary, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  for (int i = 0; i < 11; ++i) *unary.add_observations() = MakeObservation(std::to_string(i), {1});
  EXPECT_EQ(Call(small.memory(), &Stub::Observe, unary, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  // A frame larger than gRPC takes ends the stream; what was sent before is kept, and the stream can be resumed.
  v1::Observation huge = MakeObservation("huge", {1});
  huge.set_content(std::string(100000, 'x'));
  stream.SendBatch(11, {huge});
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  StreamClient again(small.memory());
  again.SendStart("large", "named", true);
  EXPECT_EQ(again.ReadStarted().next_sequence(), 11u);
}

// It sends for ever and never reads: it is held back, and nobody else is.
TEST_F(BadInputTest, AClientThatNeverReadsItsAcks) {
  StreamClient deaf(*v1::MemoryService::NewStub(daemon_.Connect()));
  deaf.SendStart("deaf");
  // Each frame is refused whole: the answers are what piles up.
  std::jthread sender([&] {
    std::vector<v1::Observation> bad(2000, MakeObservation("", {0, 0}));
    for (uint64_t first = 1; deaf.SendBatch(first, bad); first += bad.size()) {
    }
  });
  StreamClient other(daemon_.memory());
  other.SendStart("other");
  other.ReadStarted();
  for (uint64_t sequence = 1; sequence <= 200; ++sequence) {
    other.SendBatch(sequence, {MakeObservation("o" + std::to_string(sequence), {1, 2})});
    ASSERT_TRUE(other.ReadUntilDurable(sequence));
  }
  deaf.Vanish();
  sender.join();
  EXPECT_EQ(Live("other"), 200u);
  // Its place is given back: the daemon ends without waiting for it.
  daemon_.Destroy();
}

TEST_F(BadInputTest, AClientThatVanishesMidBatch) {
  {
    StreamClient stream(daemon_.memory());
    stream.SendStart("gone", "mine");
    stream.ReadStarted();
    for (uint64_t first = 1; first <= 901; first += 100) {
      std::vector<v1::Observation> batch;
      for (int i = 0; i < 100; ++i)
        batch.push_back(MakeObservation(std::to_string(first) + "/" + std::to_string(i), {1, 2}));
      stream.SendBatch(first, batch);
    }
    ASSERT_TRUE(stream.ReadUntilDurable(1));
    stream.Vanish();
  }
  // What it had been told is durable is there, and what is there is a prefix without holes.
  StreamClient again(daemon_.memory());
  again.SendStart("gone", "mine", true);
  const uint64_t next = again.ReadStarted().next_sequence();
  EXPECT_GT(next, 1u);
  std::vector<v1::Observation> rest;
  for (uint64_t sequence = next; sequence <= 1000; ++sequence) {
    rest.push_back(MakeObservation(
        std::to_string((sequence - 1) / 100 * 100 + 1) + "/" + std::to_string((sequence - 1) % 100), {1, 2}));
  }
  if (!rest.empty()) again.SendBatch(next, rest);
  again.SendEnd(true);
  EXPECT_TRUE(again.Finish().ok());
  EXPECT_EQ(again.ended->durable_through(), 1000u);
  EXPECT_THAT(again.rejected, IsEmpty());
  EXPECT_EQ(Live("gone"), 1000u);
}

}  // namespace
}  // namespace engram::testing
