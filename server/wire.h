// engram.v1 messages to the core's words and back. Observations coming in have their own reader (frame_decoder.h).
//
// Threads:   pure functions. Ownership: a decoded query's vector points into the message; answers are copied into
// messages. Errors:    INVALID_ARGUMENT for what the core's types cannot say (an unknown enum, no cue); all else is the
// engine's to judge.
#pragma once

#include "core/base/status.h"
#include "core/engine.h"
#include "core/observe_stream.h"
#include "engram/v1/memory_service.pb.h"
#include "engram/v1/observation.pb.h"

namespace engram {

// Ids in one Get, Forget or Filter.
inline constexpr int kMostIds = 1000;

absl::StatusOr<AckLevel> DecodeAckLevel(int value);
absl::StatusOr<SpaceConfig> DecodeSpaceConfig(const v1::SpaceConfig& config);
SpaceChange DecodeSpaceChange(const v1::UpdateSpaceRequest& request);
absl::StatusOr<FilterSpec> DecodeFilter(const v1::Filter& filter);
absl::StatusOr<RecallQuery> DecodeRecall(const v1::RecallRequest& request);
FollowPoint Decode(const v1::FollowPoint& point);
absl::StatusOr<ForgetQuery> DecodeForget(const v1::ForgetRequest& request);

void Encode(const Token& token, v1::Token* out);
void Encode(const FollowPoint& point, v1::FollowPoint* out);
void Encode(const Rejected& rejected, v1::Rejection* out);
void Encode(const SpaceInfo& info, v1::Space* out);
// A hit of a recall.
void Encode(const ObservationHit& hit, v1::Hit* out);
// The observation as it was sent, its vector as binary32.
void Encode(const ObservationHit& hit, bool include_embedding, v1::Observation* out);
// What a recall saw.
void EncodeCoverage(const RecallAnswer& answer, v1::Coverage* out);
// The watermarks; the rejections are the caller's to add.
void EncodeAck(const StreamProgress& progress, Durability durability, v1::Ack* out);
void EncodePressure(const PressureReading& reading, v1::Pressure* out);
void EncodeEnded(const StreamProgress& progress, bool drained, v1::StreamEnded* out);

}  // namespace engram
