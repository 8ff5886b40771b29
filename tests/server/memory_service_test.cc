// Every unary call of MemoryService and RecallStream, over real gRPC.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Stub = v1::MemoryService::Stub;

class MemoryServiceTest : public ::testing::Test {
 protected:
  v1::ObserveResponse Observe(const std::string& space, const std::vector<v1::Observation>& observations,
                              v1::AckLevel level = v1::ACK_LEVEL_DURABLE) {
    v1::ObserveRequest request;
    request.set_space(space);
    request.set_ack_level(level);
    for (const auto& observation : observations) *request.add_observations() = observation;
    v1::ObserveResponse response;
    const grpc::Status status = Call(stub_, &Stub::Observe, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::RecallResponse Recall(const v1::RecallRequest& request) {
    v1::RecallResponse response;
    const grpc::Status status = Call(stub_, &Stub::Recall, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  static v1::RecallRequest Cue(const std::string& space, const std::vector<float>& values, uint32_t k = 10) {
    v1::RecallRequest request;
    request.set_space(space);
    request.set_embedding_f32(F32(values));
    request.set_k(k);
    return request;
  }

  TestDaemon daemon_;
  Stub& stub_ = daemon_.memory();
};

// Observed, then at once recalled, fetched and forgotten, with every field as it was sent.
TEST_F(MemoryServiceTest, KeepsAnObservationAsItWasSent) {
  v1::Observation sent = MakeObservation("a", {1, 0, 0});
  sent.set_content("the first, é");
  (*sent.mutable_tags())["kind"] = "test";
  sent.set_observed_at_us(1234567);
  sent.set_confidence(0.25f);
  const auto observed = Observe("notes", {sent, MakeObservation("", {0, 1, 0}), MakeObservation("c", {0, 0, 1})});
  EXPECT_EQ(observed.accepted(), 3u);
  ASSERT_EQ(observed.ids_size(), 3);
  EXPECT_EQ(observed.ids(0), "a");
  EXPECT_NE(observed.ids(1), "");
  EXPECT_EQ(observed.level(), v1::ACK_LEVEL_DURABLE);
  EXPECT_EQ(observed.durability(), v1::DURABILITY_FSYNC);
  EXPECT_NE(observed.token().position(), 0u);

  v1::RecallRequest cue = Cue("notes", {1, 0.1f, 0}, 2);
  cue.set_include_content(true);
  cue.set_include_tags(true);
  cue.set_include_embedding(true);
  *cue.mutable_at_least() = observed.token();
  const auto recalled = Recall(cue);
  ASSERT_EQ(recalled.hits_size(), 2);
  const v1::Hit& hit = recalled.hits(0);
  EXPECT_EQ(hit.id(), "a");
  EXPECT_GT(hit.similarity(), 0.99f);
  EXPECT_EQ(hit.content(), sent.content());
  EXPECT_EQ(hit.tags().at("kind"), "test");
  EXPECT_EQ(hit.observed_at_us(), 1234567);
  EXPECT_EQ(hit.confidence(), 0.25f);
  EXPECT_THAT(hit.embedding(), ElementsAre(1, 0, 0));
  EXPECT_EQ(recalled.coverage().live(), 3u);
  EXPECT_TRUE(recalled.coverage().exact());
  EXPECT_GE(recalled.coverage().visible_through().position(), observed.token().position());

  v1::GetObservationsRequest get;
  get.set_space("notes");
  get.add_ids("nobody");
  get.add_ids("a");
  get.set_include_embedding(true);
  v1::GetObservationsResponse got;
  ASSERT_TRUE(Call(stub_, &Stub::GetObservations, get, &got).ok());
  ASSERT_EQ(got.observations_size(), 1);
  EXPECT_EQ(got.observations(0).embedding_f32(), sent.embedding_f32());
  EXPECT_EQ(got.observations(0).content(), sent.content());
  EXPECT_EQ(got.observations(0).observed_at_us(), 1234567);
  EXPECT_THAT(got.missing(), ElementsAre("nobody"));

  v1::ForgetRequest forget;
  forget.set_space("notes");
  forget.add_ids("a");
  forget.add_ids("nobody");
  v1::ForgetResponse forgotten;
  ASSERT_TRUE(Call(stub_, &Stub::Forget, forget, &forgotten).ok());
  EXPECT_EQ(forgotten.forgotten(), 1u);
  EXPECT_THAT(forgotten.missing(), ElementsAre("nobody"));
  const auto after = Recall(Cue("notes", {1, 0.1f, 0}));
  EXPECT_EQ(after.hits_size(), 2);
}

TEST_F(MemoryServiceTest, TakesEveryFormOfAVector) {
  v1::Observation floats, halves;
  floats.set_id("floats");
  floats.mutable_embedding()->add_values(3);
  floats.mutable_embedding()->add_values(4);
  halves.set_id("halves");
  halves.set_embedding_f16(std::string("\x00\x3c\x00\xc0", 4));  // 1, -2
  Observe("forms", {floats, halves, MakeObservation("bytes", {5, 6})});
  v1::GetObservationsRequest get;
  get.set_space("forms");
  for (const char* id : {"floats", "halves", "bytes"}) get.add_ids(id);
  get.set_include_embedding(true);
  v1::GetObservationsResponse got;
  ASSERT_TRUE(Call(stub_, &Stub::GetObservations, get, &got).ok());
  ASSERT_EQ(got.observations_size(), 3);
  EXPECT_EQ(got.observations(0).embedding_f32(), F32({3, 4}));
  EXPECT_EQ(got.observations(1).embedding_f32(), F32({1, -2}));
  EXPECT_EQ(got.observations(2).embedding_f32(), F32({5, 6}));

  // And as cues.
  v1::RecallRequest cue;
  cue.set_space("forms");
  cue.set_k(1);
  cue.set_embedding_f16(halves.embedding_f16());
  EXPECT_EQ(Recall(cue).hits(0).id(), "halves");
  *cue.mutable_embedding() = floats.embedding();
  EXPECT_EQ(Recall(cue).hits(0).id(), "floats");
  cue.set_id("bytes");
  EXPECT_NE(Recall(cue).hits(0).id(), "bytes");
}

TEST_F(MemoryServiceTest, FiltersRecallsAndForgetsByFilter) {
  std::vector<v1::Observation> observations;
  for (int i = 0; i < 20; ++i) {
    observations.push_back(MakeObservation("o" + std::to_string(i), {1, static_cast<float>(i)}));
    (*observations.back().mutable_tags())["parity"] = i % 2 == 0 ? "even" : "odd";
    observations.back().set_observed_at_us(1000 + i);
  }
  Observe("filtered", observations);
  v1::RecallRequest cue = Cue("filtered", {1, 0}, 20);
  (*cue.mutable_filter()->mutable_all_tags())["parity"] = "odd";
  cue.mutable_filter()->set_observed_from_us(1010);
  EXPECT_EQ(Recall(cue).hits_size(), 5);

  v1::ForgetRequest forget;
  forget.set_space("filtered");
  (*forget.mutable_filter()->mutable_all_tags())["parity"] = "odd";
  forget.set_dry_run(true);
  v1::ForgetResponse forgotten;
  ASSERT_TRUE(Call(stub_, &Stub::Forget, forget, &forgotten).ok());
  EXPECT_EQ(forgotten.forgotten(), 10u);
  EXPECT_EQ(Recall(cue).hits_size(), 5);
  forget.set_dry_run(false);
  ASSERT_TRUE(Call(stub_, &Stub::Forget, forget, &forgotten).ok());
  EXPECT_EQ(forgotten.forgotten(), 10u);
  EXPECT_EQ(Recall(cue).hits_size(), 0);
}

TEST_F(MemoryServiceTest, StreamsTheAnswerInPieces) {
  std::vector<v1::Observation> observations;
  for (int i = 0; i < 25; ++i) observations.push_back(MakeObservation(std::to_string(i), {1, static_cast<float>(i)}));
  Observe("pieces", observations);
  v1::RecallStreamRequest request;
  *request.mutable_recall() = Cue("pieces", {1, 0}, 25);
  request.set_batch_size(10);
  grpc::ClientContext context;
  const auto reader = stub_.RecallStream(&context, request);
  std::vector<int> sizes;
  std::vector<std::string> ids;
  v1::RecallStreamResponse piece;
  while (reader->Read(&piece)) {
    sizes.push_back(piece.hits_size());
    for (const auto& hit : piece.hits()) ids.push_back(hit.id());
    EXPECT_EQ(piece.last(), sizes.size() == 3);
    EXPECT_EQ(piece.has_coverage(), piece.last());
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(sizes, ElementsAre(10, 10, 5));
  std::vector<std::string> at_once;
  const v1::RecallResponse whole = Recall(request.recall());
  for (const auto& hit : whole.hits()) at_once.push_back(hit.id());
  EXPECT_EQ(ids, at_once);
}

TEST_F(MemoryServiceTest, MakesChangesListsAndDeletesSpaces) {
  v1::CreateSpaceRequest create;
  create.set_name("made");
  create.mutable_config()->set_dimension(4);
  create.mutable_config()->set_metric(v1::METRIC_L2);
  create.mutable_config()->set_flat_threshold(0);
  v1::Space space;
  ASSERT_TRUE(Call(stub_, &Stub::CreateSpace, create, &space).ok());
  EXPECT_EQ(space.name(), "made");
  EXPECT_EQ(space.config().dimension(), 4u);
  EXPECT_EQ(space.config().metric(), v1::METRIC_L2);
  EXPECT_EQ(space.config().flat_threshold(), 0u);
  EXPECT_EQ(space.config().max_connections(), 16u);
  EXPECT_GT(space.created_at_us(), 0);
  EXPECT_TRUE(Call(stub_, &Stub::CreateSpace, create, &space).ok());
  create.mutable_config()->set_dimension(5);
  EXPECT_EQ(Call(stub_, &Stub::CreateSpace, create, &space).error_code(), grpc::StatusCode::ALREADY_EXISTS);

  v1::UpdateSpaceRequest update;
  update.set_name("made");
  update.set_ef_search(99);
  ASSERT_TRUE(Call(stub_, &Stub::UpdateSpace, update, &space).ok());
  EXPECT_EQ(space.config().ef_search(), 99u);

  for (int i = 0; i < 5; ++i) {
    create.set_name("more-" + std::to_string(i));
    ASSERT_TRUE(Call(stub_, &Stub::CreateSpace, create, &space).ok());
  }
  v1::ListSpacesRequest list;
  list.set_prefix("more-");
  list.set_page_size(2);
  std::vector<std::string> names;
  int pages = 0;
  do {
    v1::ListSpacesResponse page;
    ASSERT_TRUE(Call(stub_, &Stub::ListSpaces, list, &page).ok());
    for (const auto& one : page.spaces()) names.push_back(one.name());
    list.set_page_token(page.next_page_token());
    ++pages;
  } while (!list.page_token().empty());
  EXPECT_THAT(names, ElementsAre("more-0", "more-1", "more-2", "more-3", "more-4"));
  EXPECT_EQ(pages, 3);

  Observe("made", {MakeObservation("x", {1, 2, 3, 4})});
  v1::DeleteSpaceRequest remove;
  remove.set_name("made");
  v1::DeleteSpaceResponse removed;
  ASSERT_TRUE(Call(stub_, &Stub::DeleteSpace, remove, &removed).ok());
  EXPECT_EQ(removed.forgotten(), 1u);
  v1::GetSpaceRequest get;
  get.set_name("made");
  EXPECT_EQ(Call(stub_, &Stub::GetSpace, get, &space).error_code(), grpc::StatusCode::NOT_FOUND);
}

// A token from one connection makes a recall on another see what was observed, whatever the ack level was.
TEST_F(MemoryServiceTest, ReadsItsOwnWritesByToken) {
  const auto other = v1::MemoryService::NewStub(daemon_.Connect());
  for (int i = 1; i <= 50; ++i) {
    const auto observed = Observe("own", {MakeObservation("o" + std::to_string(i), {1, static_cast<float>(i)})});
    v1::RecallRequest cue = Cue("own", {1, static_cast<float>(i)}, 1);
    *cue.mutable_at_least() = observed.token();
    v1::RecallResponse recalled;
    ASSERT_TRUE(Call(*other, &Stub::Recall, cue, &recalled).ok());
    EXPECT_EQ(recalled.coverage().live(), static_cast<uint64_t>(i));
  }
  // A position beyond the end is refused at once, though the call has no deadline; so is a journal that is not this one.
  v1::RecallRequest cue = Cue("own", {1, 1}, 1);
  *cue.mutable_at_least() = Observe("own", {MakeObservation("last", {1, 1})}).token();
  cue.mutable_at_least()->set_position(cue.at_least().position() + 1000);
  grpc::ClientContext context;
  v1::RecallResponse response;
  EXPECT_EQ(stub_.Recall(&context, cue, &response).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  cue.mutable_at_least()->set_journal(cue.at_least().journal() + 1);
  EXPECT_EQ(Call(stub_, &Stub::Recall, cue, &response).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(MemoryServiceTest, ClientsThatDoNotReadTakeNoPlaceOfOtherCalls) {
  Settings settings = TestSettings();
  settings.server_max_concurrent_calls = 8;
  TestDaemon small(settings);
  v1::ObserveRequest observe;
  observe.set_space("s");
  for (int i = 0; i < 600; ++i) {
    std::vector<float> vector(4096, 1);
    vector[static_cast<size_t>(i)] = 2;
    *observe.add_observations() = MakeObservation("x" + std::to_string(i), vector);
  }
  v1::ObserveResponse observed;
  ASSERT_TRUE(Call(small.memory(), &Stub::Observe, observe, &observed).ok());
  ASSERT_EQ(observed.accepted(), 600u);
  // Eight streams of ten megabytes whose client reads the first piece only: each stands in its flow control and keeps its
  // place. The ninth finds none. The window must not grow with what the client takes for the bandwidth.
  grpc::ChannelArguments narrow;
  narrow.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  narrow.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto slow = v1::MemoryService::NewStub(
      grpc::CreateCustomChannel(small.address(), grpc::InsecureChannelCredentials(), narrow));
  v1::RecallStreamRequest request;
  *request.mutable_recall() = Cue("s", std::vector<float>(4096, 1), 600);
  request.mutable_recall()->set_include_embedding(true);
  request.set_batch_size(10);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::RecallStreamResponse>>> readers;
  for (int i = 0; i < 8; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(slow->RecallStream(contexts.back().get(), request));
    v1::RecallStreamResponse piece;
    ASSERT_TRUE(readers.back()->Read(&piece));
  }
  grpc::ClientContext ninth;
  const auto refused = slow->RecallStream(&ninth, request);
  v1::RecallStreamResponse piece;
  EXPECT_FALSE(refused->Read(&piece));
  const grpc::Status status = refused->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("8 streamed answers are already under way, server.max_concurrent_calls is 8"));
  v1::RecallResponse response;
  EXPECT_TRUE(Call(small.memory(), &Stub::Recall, Cue("s", std::vector<float>(4096, 1), 1), &response).ok());
  for (size_t i = 0; i < readers.size(); ++i) {
    contexts[i]->TryCancel();
    EXPECT_EQ(readers[i]->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

}  // namespace
}  // namespace engram::testing
