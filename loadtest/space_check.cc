#include "loadtest/space_check.h"

#include <fmt/format.h>

#include <cmath>

#include "loadtest/observe_client.h"

namespace engram {

absl::Status CreateFlatSpace(v1::MemoryService::Stub& stub, const std::string& name, uint32_t dimension) {
  grpc::ClientContext context;
  v1::CreateSpaceRequest request;
  request.set_name(name);
  request.mutable_config()->set_dimension(dimension);
  request.mutable_config()->set_flat_threshold(100'000'000);
  v1::Space space;
  return FromGrpc(stub.CreateSpace(&context, request, &space), "create space " + name);
}

absl::Status DeleteSpace(v1::MemoryService::Stub& stub, const std::string& name) {
  grpc::ClientContext context;
  v1::DeleteSpaceRequest request;
  request.set_name(name);
  v1::DeleteSpaceResponse response;
  return FromGrpc(stub.DeleteSpace(&context, request, &response), "delete space " + name);
}

std::vector<SentObservation> PickSent(const std::vector<SampleText>& texts, const Matrix& embeddings, size_t count,
                                      uint64_t seed) {
  std::vector<SentObservation> sent;
  for (size_t i = 0; i < count && !texts.empty(); ++i) {
    const size_t row = (seed + i * 0x9e3779b97f4a7c15) % texts.size();
    sent.push_back({texts[row], {embeddings.row(row).begin(), embeddings.row(row).end()}});
  }
  return sent;
}

absl::Status CheckSpace(v1::MemoryService::Stub& stub, const std::string& name, uint64_t live,
                        const std::vector<SentObservation>& sent) {
  {
    grpc::ClientContext context;
    v1::GetSpaceRequest request;
    request.set_name(name);
    v1::Space space;
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stub.GetSpace(&context, request, &space), "get space " + name));
    if (space.live() != live) {
      return absl::DataLossError(
          fmt::format("space {} holds {} observations; {} were acknowledged", name, space.live(), live));
    }
  }
  for (const SentObservation& observation : sent) {
    grpc::ClientContext context;
    v1::RecallRequest request;
    request.set_space(name);
    request.set_k(1);
    request.set_include_content(true);
    SetEmbedding(observation.embedding, request.mutable_embedding_f32());
    v1::RecallResponse response;
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stub.Recall(&context, request, &response), "recall from " + name));
    if (response.hits_size() != 1 || response.hits(0).id() != observation.text.id ||
        std::abs(response.hits(0).similarity() - 1) > 0.001f) {
      return absl::DataLossError(fmt::format("space {}: {} is not found by its own vector", name, observation.text.id));
    }
    if (response.hits(0).content() != observation.text.content) {
      return absl::DataLossError(fmt::format("space {}: {} came back with another text", name, observation.text.id));
    }
  }
  return absl::OkStatus();
}

}  // namespace engram
