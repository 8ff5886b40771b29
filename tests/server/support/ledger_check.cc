#include "tests/server/support/ledger_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/server/support/test_daemon.h"

namespace engram::testing {
namespace {

v1::RecallRequest ByVector(const std::string& space, const std::string& id, uint64_t version, uint32_t k) {
  const std::vector<float> values = VectorOf(space, id, version);
  v1::RecallRequest request;
  request.set_space(space);
  request.set_embedding_f32(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  request.set_k(k);
  request.set_exact(true);
  return request;
}

}  // namespace

void LedgerCheck::Contents(const std::string& space) {
  const std::vector<std::string> ids = ledger.Ids(space);
  uint64_t there = 0;
  constexpr size_t kMost = 1000;
  for (size_t first = 0; first < ids.size(); first += kMost) {
    const size_t end = std::min(ids.size(), first + kMost);
    v1::GetObservationsRequest request;
    request.set_space(space);
    request.set_include_embedding(true);
    request.mutable_ids()->Add(ids.begin() + static_cast<ptrdiff_t>(first), ids.begin() + static_cast<ptrdiff_t>(end));
    v1::GetObservationsResponse response;
    const grpc::Status status = Call(stub, &v1::MemoryService::Stub::GetObservations, request, &response);
    ASSERT_TRUE(status.ok()) << space << ": " << status.error_message();
    EXPECT_EQ(response.unreadable_size(), 0);
    std::map<std::string, const v1::Observation*> found;
    for (const v1::Observation& one : response.observations()) {
      EXPECT_TRUE(found.emplace(one.id(), &one).second) << one.id() << " twice";
    }
    for (size_t i = first; i < end; ++i) {
      const auto at = found.find(ids[i]);
      EXPECT_EQ(ledger.Found(space, ids[i], at == found.end() ? nullptr : at->second), "");
      there += at == found.end() ? 0 : 1;
    }
  }
  v1::GetSpaceRequest request;
  request.set_name(space);
  v1::Space answer;
  const grpc::Status status = Call(stub, &v1::MemoryService::Stub::GetSpace, request, &answer);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer.live(), there) << "space '" << space << "' holds what was never sent, or something twice";
}

size_t LedgerCheck::OwnVectors(const std::string& space, size_t count, How how) {
  std::vector<std::string> ids = ledger.Ids(space);
  std::erase_if(ids, [&](const std::string& id) { return ledger.Certain(space, id) == 0; });
  std::shuffle(ids.begin(), ids.end(), random);
  ids.resize(std::min(ids.size(), count));
  size_t missed = 0;
  for (const std::string& id : ids) {
    const uint64_t version = ledger.Certain(space, id);
    v1::RecallRequest request = ByVector(space, id, version, 3);
    request.set_exact(how == How::kExact);
    request.set_include_content(true);
    v1::RecallResponse response;
    const grpc::Status status = Call(stub, &v1::MemoryService::Stub::Recall, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    if (!status.ok()) return 0;
    EXPECT_TRUE(how == How::kExact ? response.coverage().exact() : response.coverage().graph_candidates() > 0)
        << space << "/" << id;
    EXPECT_EQ(response.coverage().unreadable(), 0u);
    const auto found = std::count_if(response.hits().begin(), response.hits().end(),
                                     [&](const v1::Hit& hit) { return hit.id() == id; });
    if (found == 0 && how == How::kAsByDefault) {
      ++missed;
      continue;
    }
    EXPECT_EQ(found, 1) << space << "/" << id;
    if (found == 0) continue;
    EXPECT_EQ(response.hits(0).id(), id);
    EXPECT_NEAR(response.hits(0).similarity(), 1.0f, 1e-5) << space << "/" << id;
    EXPECT_EQ(response.hits(0).content(), ObservationOf(space, id, version).content());
  }
  EXPECT_LE(missed, ids.size() / 100) << "of " << ids.size() << " in space '" << space << "'";
  return ids.size();
}

void LedgerCheck::AwaitLinked(const std::string& space) {
  v1::GetSpaceRequest request;
  request.set_name(space);
  v1::Space answer;
  do {
    const grpc::Status status = Call(stub, &v1::MemoryService::Stub::GetSpace, request, &answer);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_TRUE(answer.has_graph()) << "space '" << space << "'";
  } while (answer.linked() < answer.size());
}

void LedgerCheck::Forgotten(const std::string& space, size_t count) {
  std::vector<std::string> gone = ledger.Ids(space);
  std::erase_if(gone, [&](const std::string& id) { return ledger.Certain(space, id) != 0; });
  std::shuffle(gone.begin(), gone.end(), random);
  gone.resize(std::min(gone.size(), count));
  for (const std::string& id : gone) {
    v1::RecallResponse response;
    const grpc::Status status =
        Call(stub, &v1::MemoryService::Stub::Recall, ByVector(space, id, ledger.LastSent(space, id), 3), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const v1::Hit& hit : response.hits()) EXPECT_NE(hit.id(), id) << "was forgotten";
  }
}

void LedgerCheck::Tokens(const std::string& space) {
  const v1::Token token = ledger.Newest(space);
  if (token.position() == 0) return;
  v1::RecallRequest request = ByVector(space, "nobody", 1, 1);
  *request.mutable_at_least() = token;
  v1::RecallResponse response;
  const grpc::Status status = Call(stub, &v1::MemoryService::Stub::Recall, request, &response);
  ASSERT_TRUE(status.ok()) << "at_least " << token.position() << ": " << status.error_message();
  EXPECT_EQ(response.coverage().visible_through().journal(), token.journal());
  EXPECT_GE(response.coverage().visible_through().position(), token.position());
}

}  // namespace engram::testing
