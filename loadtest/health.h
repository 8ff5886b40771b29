// Waiting until a daemon's standard health service (grpc.health.v1) says SERVING.
//
// Threads: any. Blocking: up to `patience`. Errors: DEADLINE_EXCEEDED, saying what was heard last.
// Why:     a daemon listens before it has recovered; only this says when it serves.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "core/base/status.h"

namespace engram {

// The instant (NowNanos) at which it was heard; asked every two milliseconds. A daemon that ends meanwhile is noticed
// by `patience` alone.
absl::StatusOr<int64_t> AwaitServing(const std::shared_ptr<grpc::Channel>& channel, std::chrono::milliseconds patience);

}  // namespace engram
