#include "loadtest/open_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

using Stream = grpc::ClientReaderWriter<v1::ObserveStreamRequest, v1::ObserveStreamResponse>;

// A little ahead, so that every thread is up when the first instant comes.
constexpr int64_t kHeadStart = 50'000'000;
constexpr std::chrono::seconds kPatience{60};

struct Schedule {
  int64_t began;
  double period_nanos;

  int64_t Due(uint64_t i) const { return began + static_cast<int64_t>(static_cast<double>(i) * period_nanos); }
};

absl::Status ReadAcks(Stream& stream, const Schedule& schedule, uint64_t total, OpenLoopResult& result) {
  uint64_t through = 0;
  for (v1::ObserveStreamResponse response; through < total && stream.Read(&response);) {
    if (!response.has_ack()) continue;
    const int64_t now = NowNanos();
    for (; through < response.ack().durable_through(); ++through) result.observe.Record(now - schedule.Due(through));
    result.seconds = Seconds(now - schedule.began);
    if (response.ack().rejected_size() > 0) {
      const v1::Rejection& rejection = response.ack().rejected(0);
      return absl::DataLossError(
          fmt::format("observation {} was refused: {}", rejection.sequence(), rejection.message()));
    }
  }
  if (through < total) {
    return absl::DataLossError(fmt::format("{} of {} observations were acknowledged", through, total));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> TimeRecall(v1::MemoryService::Stub& stub, const std::string& space, uint32_t k,
                                   std::span<const float> cue, v1::Coverage* coverage) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::RecallRequest request;
  request.set_space(space);
  request.set_k(k);
  SetEmbedding(cue, request.mutable_embedding_f32());
  v1::RecallResponse response;
  const int64_t began = NowNanos();
  const grpc::Status status = stub.Recall(&context, request, &response);
  const int64_t took = NowNanos() - began;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(status, "recall from " + space));
  if (response.hits_size() != static_cast<int>(k)) {
    return absl::DataLossError(fmt::format("recall from {}: {} hits of {}", space, response.hits_size(), k));
  }
  if (coverage != nullptr) *coverage = response.coverage();
  return took;
}

absl::StatusOr<int64_t> TimeObserve(v1::MemoryService::Stub& stub, const std::string& space, const SampleText& text,
                                    std::span<const float> embedding) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::ObserveRequest request;
  request.set_space(space);
  request.set_ack_level(v1::ACK_LEVEL_DURABLE);
  v1::Observation& observation = *request.add_observations();
  observation.set_id(text.id);
  observation.set_content(text.content);
  SetEmbedding(embedding, observation.mutable_embedding_f32());
  v1::ObserveResponse response;
  const int64_t began = NowNanos();
  const grpc::Status status = stub.Observe(&context, request, &response);
  const int64_t took = NowNanos() - began;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(status, "observe into " + space));
  if (response.accepted() != 1) {
    const bool full = response.rejected_size() > 0 && response.rejected(0).code() == grpc::RESOURCE_EXHAUSTED;
    return absl::Status(full ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kDataLoss,
                        fmt::format("observe into {}: refused", space));
  }
  return took;
}

absl::StatusOr<OpenLoopResult> RunOpenLoop(v1::MemoryService::Stub& stub, const OpenLoopPlan& plan,
                                           const Matrix& vectors, const Matrix& cues) {
  const auto total = static_cast<uint64_t>(plan.observations_per_second * plan.seconds);
  const auto recalls = static_cast<uint64_t>(plan.recalls_per_second * plan.seconds);
  const std::string& recall_space = plan.recall_space.empty() ? plan.space : plan.recall_space;

  // Made beforehand, so that the writer has nothing to do but write.
  std::vector<v1::ObserveStreamRequest> frames(total);
  for (uint64_t i = 0; i < total; ++i) {
    v1::ObservationBatch& batch = *frames[i].mutable_batch();
    batch.set_first_sequence(i + 1);
    v1::Observation& observation = *batch.add_observations();
    const SampleText text = RandomText(plan.first_id + i);
    observation.set_id(text.id);
    observation.set_content(text.content);
    SetEmbedding(vectors.row(i % vectors.rows()), observation.mutable_embedding_f32());
    for (const auto& [key, value] : text.tags) (*observation.mutable_tags())[key] = value;
  }

  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(plan.seconds) + kPatience);
  const std::unique_ptr<Stream> stream = stub.ObserveStream(&context);
  v1::ObserveStreamRequest start;
  start.mutable_start()->set_space(plan.space);
  start.mutable_start()->set_ack_level(v1::ACK_LEVEL_DURABLE);
  v1::ObserveStreamResponse first;
  if (!stream->Write(start) || !stream->Read(&first) || !first.has_started()) {
    context.TryCancel();
    return FromGrpc(stream->Finish(), "open a stream into " + plan.space);
  }

  OpenLoopResult result;
  const int64_t began = NowNanos() + kHeadStart;
  const Schedule observes{began, kNanosPerSecond / plan.observations_per_second};
  absl::Status read, recalled;
  std::jthread reader([&] { read = ReadAcks(*stream, observes, total, result); });
  std::jthread recaller([&] {
    const Schedule schedule{began, kNanosPerSecond / std::max(plan.recalls_per_second, 1e-9)};
    for (uint64_t i = 0; i < recalls && recalled.ok(); ++i) {
      SleepUntilNanos(schedule.Due(i));
      v1::Coverage coverage;
      recalled = TimeRecall(stub, recall_space, plan.k, cues.row(i % cues.rows()), &coverage).status();
      result.recall.Record(NowNanos() - schedule.Due(i));
      result.graph_candidates += static_cast<double>(coverage.graph_candidates()) / static_cast<double>(recalls);
      result.tail_scanned += static_cast<double>(coverage.tail_scanned()) / static_cast<double>(recalls);
    }
  });
  for (uint64_t i = 0; i < total; ++i) {
    SleepUntilNanos(observes.Due(i));
    if (!stream->Write(frames[i])) break;
  }
  reader.join();
  recaller.join();
  // All is acknowledged, or the run has failed: either way the stream has no more to say.
  stream->WritesDone();
  if (!read.ok()) context.TryCancel();
  for (v1::ObserveStreamResponse rest; stream->Read(&rest);) {
  }
  const grpc::Status finished = stream->Finish();
  ENGRAM_RETURN_IF_ERROR(recalled);
  if (!read.ok())
    return absl::Status(read.code(), fmt::format("{} ({})", std::string(read.message()), finished.error_message()));
  return result;
}

}  // namespace engram
