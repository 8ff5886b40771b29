// Reads frames of observations straight out of the bytes that arrived: every id, text, tag and vector is a view into
// them.
//
// Threads:   pure functions. Ownership: the batch owns the frame its views point into.
// Errors:    INVALID_ARGUMENT when the bytes are no such message; what is wrong with one observation alone (an
// embedding of
//            an odd length, a text that is not UTF-8, too many tags) is its `defect`.
// Why:       protobuf's own parser allocates and copies each string, and refuses a whole frame for one bad text. Frames
// in
//            the form every protobuf library writes are read here; anything unusual but legal (repeated singular
//            fields, unpacked floats, unknown fields) is brought into that form by protobuf first, so both agree on
//            every message (tests/server/wire_fuzz.cc).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "core/base/status.h"
#include "core/base/types.h"
#include "engram/v1/memory_service.pb.h"
#include "server/frame_pool.h"

namespace engram {

// A frame with more observations than this is refused as a whole; the most limits.max_batch_observations can be.
inline constexpr size_t kMostObservationsInFrame = 65536;

struct DecodeLimits {
  // A batch of more is not looked into: each of its observations carries the defect.
  size_t max_observations = 4096;
  size_t max_tags = 32;
};

struct BatchFrame {
  uint64_t first_sequence = 0;
  Priority priority = Priority::kNormal;
  ObservationBatch batch;
};

// A batch, or any other frame as the message it is (with frame_case() never kBatch).
using ClientFrame = std::variant<BatchFrame, v1::ObserveStreamRequest>;

absl::StatusOr<ClientFrame> DecodeStreamFrame(FramePool& pool, std::unique_ptr<FramePool::Frame> frame,
                                              const DecodeLimits& limits);

struct ObserveCall {
  std::string space;
  Priority priority = Priority::kNormal;
  // As sent: not checked.
  int ack_level = 0;
  ObservationBatch batch;
};

absl::StatusOr<ObserveCall> DecodeObserveRequest(FramePool& pool, std::unique_ptr<FramePool::Frame> frame,
                                                 const DecodeLimits& limits);

}  // namespace engram
