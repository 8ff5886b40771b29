#include "server/recall_stream_call.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "core/recall_follow.h"
#include "server/incoming.h"
#include "server/wire.h"

namespace engram {
namespace {

constexpr std::chrono::milliseconds kLookAtClient{250};

}  // namespace

absl::Status RecallStreamCall::Run(const v1::RecallStreamRequest& request, size_t size) {
  if (request.has_after() && !request.follow()) return absl::InvalidArgumentError("after is given without follow");
  ENGRAM_ASSIGN_OR_RETURN(const RecallQuery query, DecodeRecall(request.recall()));
  if (request.has_after()) return Follow(query, Decode(request.after()), size);
  ENGRAM_ASSIGN_OR_RETURN(const FollowPoint point, SendSnapshot(query, size, request.follow()));
  return request.follow() ? Follow(query, point, size) : absl::OkStatus();
}

absl::StatusOr<FollowPoint> RecallStreamCall::SendSnapshot(const RecallQuery& query, size_t size, bool follows) {
  ENGRAM_ASSIGN_OR_RETURN(const RecallAnswer answer, engine_->Recall(query, DeadlineOf(*context_, *clock_)));
  const FollowPoint point = {.through = answer.visible_through};
  size_t next = 0;
  do {
    v1::RecallStreamResponse response;
    size_t bytes = 0;
    for (size_t i = 0; i < size && bytes < kPieceBytes && next < answer.hits.size(); ++i) {
      v1::Hit* const hit = response.add_hits();
      Encode(answer.hits[next++], hit);
      bytes += hit->ByteSizeLong();
    }
    if (next == answer.hits.size()) {
      EncodeCoverage(answer, response.mutable_coverage());
      response.set_last(true);
      if (follows) Encode(point, response.mutable_point());
    }
    ENGRAM_RETURN_IF_ERROR(Write(response));
  } while (next < answer.hits.size());
  return point;
}

absl::Status RecallStreamCall::Follow(const RecallQuery& query, const FollowPoint& after, size_t size) {
  ENGRAM_ASSIGN_OR_RETURN(const std::unique_ptr<RecallFollow> follow, engine_->Follow(query, after));
  FollowPoint told = after;
  // At once: the client hears that it is being served, and from where.
  MonotonicTime due = clock_->Now();
  while (true) {
    const absl::StatusOr<FollowBatch> batch = follow->Next(size, std::min(due, clock_->Now() + kLookAtClient));
    if (!batch.ok()) {
      if (absl::IsUnavailable(batch.status()) && follow->point() != told) {
        v1::RecallStreamResponse last;
        Encode(follow->point(), last.mutable_point());
        ENGRAM_RETURN_IF_ERROR(Write(last));
      }
      return batch.status();
    }
    if (context_->IsCancelled()) return absl::CancelledError("the client is gone");
    if (batch->hits.empty() && batch->unreadable == 0 && clock_->Now() < due) continue;
    v1::RecallStreamResponse response;
    for (const ObservationHit& hit : batch->hits) Encode(hit, response.add_hits());
    Encode(batch->point, response.mutable_point());
    response.set_unreadable(batch->unreadable);
    ENGRAM_RETURN_IF_ERROR(Write(response));
    told = batch->point;
    due = clock_->Now() + engine_->settings()->recall_follow_heartbeat;
  }
}

absl::Status RecallStreamCall::Write(const v1::RecallStreamResponse& response) {
  return writer_->Write(response) ? absl::OkStatus() : absl::CancelledError("the client is gone");
}

}  // namespace engram
