// What has arrived for a call, as the handlers want it: a frame's bytes in a pooled buffer, and the call's deadline.
//
// Threads: pure functions.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "core/base/clock.h"
#include "server/frame_pool.h"

namespace engram {

// Copies the bytes out of gRPC's slices, so that the connection may use its memory again, and clears `bytes`.
std::unique_ptr<FramePool::Frame> TakeFrame(FramePool& pool, grpc::ByteBuffer& bytes);

// The call's deadline by the clock's time. A call without one gets a day.
MonotonicTime DeadlineOf(const grpc::ServerContext& context, const Clock& clock);

}  // namespace engram
