#include "loadtest/demo_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr size_t kIdsPerCall = 500;
constexpr uint32_t kNeighbours = 10;
constexpr float kSelfTolerance = 1e-3f;
constexpr std::chrono::seconds kPatience{30};

void Fault(Returned& returned, std::string what) {
  if (returned.first_fault.empty()) returned.first_fault = std::move(what);
}

absl::StatusOr<v1::RecallResponse> Recall(v1::MemoryService::Stub& stub, const std::string& space,
                                          std::span<const float> cue, bool include_content, Histogram& latency) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::RecallRequest request;
  request.set_space(space);
  request.set_k(kNeighbours);
  request.set_include_content(include_content);
  SetEmbedding(cue, request.mutable_embedding_f32());
  v1::RecallResponse response;
  const int64_t began = NowNanos();
  const grpc::Status status = stub.Recall(&context, request, &response);
  latency.Record(NowNanos() - began);
  ENGRAM_RETURN_IF_ERROR(FromGrpc(status, "recall from " + space));
  return response;
}

}  // namespace

absl::Status CheckById(v1::MemoryService::Stub& stub, const std::string& space, const Sample& sample,
                       Returned& returned) {
  const size_t total = sample.observations.size();
  for (size_t begin = 0; begin < total; begin += kIdsPerCall) {
    const size_t end = std::min(begin + kIdsPerCall, total);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    v1::GetObservationsRequest request;
    request.set_space(space);
    request.set_include_embedding(true);
    for (size_t i = begin; i < end; ++i) request.add_ids(sample.observations[i].id);
    v1::GetObservationsResponse response;
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stub.GetObservations(&context, request, &response), "get from " + space));
    std::unordered_map<std::string, const v1::Observation*> found;
    for (const v1::Observation& observation : response.observations()) found[observation.id()] = &observation;

    for (size_t i = begin; i < end; ++i) {
      const SampleText& sent = sample.observations[i];
      const auto at = found.find(sent.id);
      if (at == found.end()) {
        Fault(returned, fmt::format("{} is not there", sent.id));
        continue;
      }
      const v1::Observation& got = *at->second;
      std::string embedding;
      SetEmbedding(sample.embeddings.row(i), &embedding);
      const bool same_tags = std::map<std::string, std::string>(got.tags().begin(), got.tags().end()) == sent.tags;
      if (got.content() == sent.content && same_tags && got.embedding_f32() == embedding) {
        ++returned.by_id;
      } else {
        Fault(returned, fmt::format("{} came back with another {}", sent.id,
                                    got.content() != sent.content ? "text"
                                    : same_tags                   ? "embedding"
                                                                  : "set of tags"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckByVector(v1::MemoryService::Stub& stub, const std::string& space, const Sample& sample,
                           Returned& returned, Histogram& latency) {
  for (size_t i = 0; i < sample.observations.size(); ++i) {
    const std::string& id = sample.observations[i].id;
    ENGRAM_ASSIGN_OR_RETURN(const v1::RecallResponse response,
                            Recall(stub, space, sample.embeddings.row(i), false, latency));
    // Texts that mean the same have one embedding: being among the equals in front is being first.
    const bool found = std::any_of(response.hits().begin(), response.hits().end(), [&](const v1::Hit& hit) {
      return hit.id() == id && std::abs(hit.similarity() - 1) < kSelfTolerance &&
             hit.similarity() >= response.hits(0).similarity() - 1e-6f;
    });
    if (found) {
      ++returned.by_vector;
    } else {
      Fault(returned, fmt::format("{} is not first by its own vector", id));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<QueryRun> RunQueries(v1::MemoryService::Stub& stub, const std::string& space, const Sample& sample,
                                    const ExactSearch& exact, Histogram& latency) {
  std::unordered_map<std::string, size_t> rows;
  for (size_t i = 0; i < sample.observations.size(); ++i) rows[sample.observations[i].id] = i;
  QueryRun run;
  size_t correct = 0;
  for (size_t query = 0; query < sample.queries.size(); ++query) {
    const std::span<const float> cue = sample.query_embeddings.row(query);
    ENGRAM_ASSIGN_OR_RETURN(v1::RecallResponse response, Recall(stub, space, cue, true, latency));
    std::vector<size_t> hits;
    for (const v1::Hit& hit : response.hits()) {
      if (const auto at = rows.find(hit.id()); at != rows.end()) hits.push_back(at->second);
    }
    correct += exact.CountCorrect(cue, hits, kNeighbours);
    run.responses.push_back(std::move(response));
  }
  const size_t wanted = sample.queries.size() * std::min<size_t>(kNeighbours, sample.observations.size());
  run.recall_at_10 = static_cast<double>(correct) / static_cast<double>(wanted);
  return run;
}

}  // namespace engram
