#include "loadtest/recall_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr size_t kFrameRows = 256, kStreamRows = 128 * kFrameRows, kForgetAtOnce = 1000;
constexpr std::chrono::seconds kPatience{60}, kLinkPatience{600};
constexpr int64_t kBetweenLooks = 20'000'000;

}  // namespace

absl::StatusOr<SpaceState> StateOf(v1::MemoryService::Stub& stub, const std::string& space) {
  grpc::ClientContext context;
  v1::GetSpaceRequest request;
  request.set_name(space);
  v1::Space answer;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(stub.GetSpace(&context, request, &answer), "get space " + space));
  return SpaceState{answer.live(), answer.size(), answer.linked(), answer.resident_bytes(), answer.has_graph()};
}

absl::Status CreateGraphSpace(v1::MemoryService::Stub& stub, const std::string& name, uint32_t dimension) {
  grpc::ClientContext context;
  v1::CreateSpaceRequest request;
  request.set_name(name);
  request.mutable_config()->set_dimension(dimension);
  request.mutable_config()->set_flat_threshold(0);
  v1::Space space;
  return FromGrpc(stub.CreateSpace(&context, request, &space), "create space " + name);
}

absl::Status AwaitLinked(v1::MemoryService::Stub& stub, const std::string& space) {
  const int64_t deadline = NowNanos() + std::chrono::nanoseconds(kLinkPatience).count();
  while (true) {
    ENGRAM_ASSIGN_OR_RETURN(const SpaceState state, StateOf(stub, space));
    if (state.linked >= state.size) return absl::OkStatus();
    if (NowNanos() > deadline) {
      return absl::DeadlineExceededError(fmt::format("space {}: {} of {} were linked within {} s", space, state.linked,
                                                     state.size, kLinkPatience.count()));
    }
    SleepUntilNanos(NowNanos() + kBetweenLooks);
  }
}

absl::Status StreamRows(v1::MemoryService::Stub& stub, const std::string& space, const Matrix& matrix, size_t first_row,
                        size_t count, size_t first_id, v1::AckLevel level) {
  // Each stretch is a stream of its own, so that the frames of a million observations need not be in memory together.
  for (size_t done = 0; done < count; done += kStreamRows) {
    const size_t rows = std::min(kStreamRows, count - done);
    std::vector<v1::ObserveStreamRequest> frames((rows + kFrameRows - 1) / kFrameRows);
    for (size_t i = 0; i < rows; ++i) {
      v1::ObservationBatch& batch = *frames[i / kFrameRows].mutable_batch();
      if (i % kFrameRows == 0) batch.set_first_sequence(i + 1);
      v1::Observation& observation = *batch.add_observations();
      const SampleText text = RandomText(first_id + done + i);
      observation.set_id(text.id);
      observation.set_content(text.content);
      SetEmbedding(matrix.row(first_row + done + i), observation.mutable_embedding_f32());
    }
    const bool last = done + rows == count;
    ENGRAM_RETURN_IF_ERROR(ObserveFrames(stub,
                                         {.space = space,
                                          .ack_level = last ? level : v1::ACK_LEVEL_DURABLE,
                                          .patience = kLinkPatience},
                                         frames)
                               .status());
  }
  return absl::OkStatus();
}

absl::StatusOr<Answer> Ask(v1::MemoryService::Stub& stub, const std::string& space, std::span<const float> cue,
                           uint32_t k) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::RecallRequest request;
  request.set_space(space);
  request.set_k(k);
  SetEmbedding(cue, request.mutable_embedding_f32());
  v1::RecallResponse response;
  Answer answer;
  const int64_t began = NowNanos();
  const grpc::Status status = stub.Recall(&context, request, &response);
  answer.nanos = NowNanos() - began;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(status, "recall from " + space));
  for (const v1::Hit& hit : response.hits()) answer.ids.push_back(hit.id());
  answer.coverage = response.coverage();
  return answer;
}

absl::Status RecallProbe::Put(v1::MemoryService::Stub& stub, size_t first_row, size_t count, size_t first_id) {
  ENGRAM_RETURN_IF_ERROR(StreamRows(stub, space_, matrix_, first_row, count, first_id));
  for (size_t i = 0; i < count; ++i) live_.Put(first_id + i, first_row + i);
  truth_of_ = nullptr;
  return absl::OkStatus();
}

absl::Status RecallProbe::Forget(v1::MemoryService::Stub& stub, size_t first_id, size_t count) {
  truth_of_ = nullptr;
  for (size_t done = 0; done < count; done += kForgetAtOnce) {
    grpc::ClientContext context;
    v1::ForgetRequest request;
    request.set_space(space_);
    uint64_t there = 0;
    for (size_t i = done; i < std::min(count, done + kForgetAtOnce); ++i) {
      request.add_ids(IdText(first_id + i));
      if (live_.Remove(first_id + i)) ++there;
    }
    v1::ForgetResponse response;
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stub.Forget(&context, request, &response), "forget in " + space_));
    if (response.forgotten() != there) {
      return absl::DataLossError(
          fmt::format("space {}: {} were forgotten; {} of them were there", space_, response.forgotten(), there));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RecallQuality> RecallProbe::Measure(v1::MemoryService::Stub& stub, const Matrix& cues, uint32_t k) {
  // Asked first, judged later: the truth takes seconds, and what is asked of may be linking meanwhile.
  std::vector<Answer> answers;
  for (size_t i = 0; i < cues.rows(); ++i) {
    ENGRAM_ASSIGN_OR_RETURN(Answer answer, Ask(stub, space_, cues.row(i), k));
    answers.push_back(std::move(answer));
  }
  if (truth_of_ != &cues || truth_k_ != k) {
    truth_ = exact_.BestForEach(cues, k, live_.users());
    truth_of_ = &cues;
    truth_k_ = k;
  }
  RecallQuality quality;
  quality.least = 1;
  const auto count = static_cast<double>(cues.rows());
  for (size_t i = 0; i < cues.rows(); ++i) {
    std::vector<size_t> rows;
    const std::set<std::string> distinct(answers[i].ids.begin(), answers[i].ids.end());
    for (const std::string& text : distinct) {
      const std::optional<size_t> id = IdFrom(text);
      const std::optional<size_t> row = id ? live_.RowOf(*id) : std::nullopt;
      if (row) rows.push_back(*row);
    }
    const double share = truth_[i].empty() ? 1
                                           : static_cast<double>(exact_.CountCorrect(cues.row(i), rows, truth_[i])) /
                                                 static_cast<double>(truth_[i].size());
    quality.mean += share / count;
    quality.least = std::min(quality.least, share);
    quality.shares.push_back(share);
    quality.graph_candidates += static_cast<double>(answers[i].coverage.graph_candidates()) / count;
    quality.tail_scanned += static_cast<double>(answers[i].coverage.tail_scanned()) / count;
    quality.latency.Record(answers[i].nanos);
  }
  return quality;
}

}  // namespace engram
