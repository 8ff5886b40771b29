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
  if (request.has_after()) {
    ENGRAM_ASSIGN_OR_RETURN(const auto follow, engine_->Follow(query, Decode(request.after())));
    return Follow(*follow, size);
  }
  const MonotonicTime deadline = DeadlineOf(*context_, *clock_);
  if (!request.follow()) {
    ENGRAM_ASSIGN_OR_RETURN(const RecallAnswer answer, engine_->Recall(query, deadline));
    return SendSnapshot(answer, size, nullptr);
  }
  // One step, before the client is waited for: meanwhile the cue may be forgotten, and the space's name another's.
  ENGRAM_ASSIGN_OR_RETURN(FollowedRecall both, engine_->RecallAndFollow(query, deadline));
  ENGRAM_RETURN_IF_ERROR(SendSnapshot(both.answer, size, &both.follow->point()));
  both.answer = {};
  return Follow(*both.follow, size);
}

absl::Status RecallStreamCall::SendSnapshot(const RecallAnswer& answer, size_t size, const FollowPoint* point) {
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
      if (point != nullptr) Encode(*point, response.mutable_point());
    }
    ENGRAM_RETURN_IF_ERROR(Write(response));
  } while (next < answer.hits.size());
  return absl::OkStatus();
}

absl::Status RecallStreamCall::Follow(RecallFollow& follow, size_t size) {
  FollowPoint told = follow.point();
  // At once: the client hears that it is being served, and from where.
  MonotonicTime due = clock_->Now();
  while (true) {
    absl::StatusOr<FollowBatch> batch = follow.Next(size, std::min(due, clock_->Now() + kLookAtClient));
    if (!batch.ok()) {
      if (absl::IsUnavailable(batch.status()) && follow.point() != told) {
        v1::RecallStreamResponse last;
        Encode(follow.point(), last.mutable_point());
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
    told = batch->point;
    // What was read for it may be megabytes, and the client may not read.
    batch = FollowBatch{};
    ENGRAM_RETURN_IF_ERROR(Write(response));
    due = clock_->Now() + engine_->settings()->recall_follow_heartbeat;
  }
}

absl::Status RecallStreamCall::Write(const v1::RecallStreamResponse& response) {
  return writer_->Write(response) ? absl::OkStatus() : absl::CancelledError("the client is gone");
}

}  // namespace engram
