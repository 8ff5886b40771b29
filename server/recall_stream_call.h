// One RecallStream call: the snapshot in pieces, then, if it follows, what is new.
//
// Threads:   the handler's own. Ownership: lives on its stack; engine, clock, context and writer outlive it.
// Blocking:  Run until the call is over: on a client that does not read, and while nothing matches. Nobody waits for it.
// Errors:    the call's status, as engram.v1.MemoryService.RecallStream documents it.
// Why:       a synchronous handler is told of nothing while it waits, so it looks every quarter of a second whether the
//            client is still there.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/engine.h"
#include "engram/v1/memory_service.pb.h"

namespace engram {

class RecallStreamCall {
 public:
  using Writer = grpc::ServerWriter<v1::RecallStreamResponse>;

  RecallStreamCall(Engine* engine, Clock* clock, grpc::ServerContext* context, Writer* writer)
      : engine_(engine), clock_(clock), context_(context), writer_(writer) {}

  // `size`: hits in a response.
  absl::Status Run(const v1::RecallStreamRequest& request, size_t size);

 private:
  // `point`: where it ends in the journal, null if nothing follows.
  absl::Status SendSnapshot(const RecallAnswer& answer, size_t size, const FollowPoint* point);
  absl::Status Follow(RecallFollow& follow, size_t size);
  absl::Status Write(const v1::RecallStreamResponse& response);

  // Constant after construction.
  Engine* const engine_;
  Clock* const clock_;
  grpc::ServerContext* const context_;
  Writer* const writer_;
};

}  // namespace engram
