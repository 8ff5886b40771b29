// engram.v1.MemoryService over an Engine.
//
// Threads:   gRPC's, one for each call under way. Ownership: engine, pool and clock outlive it.
// Blocking:  each call its own thread, within server.max_concurrent_calls, server.max_streams and
//            limits.max_followers.
// Errors:    the engine's statuses, code for code; RESOURCE_EXHAUSTED when too many calls are under way.
// Why:       ObserveStream and Observe take their requests as bytes and read them with frame_decoder.h; gRPC's
//            "streamed unary" hook is what lets a synchronous service do so.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>
#include <functional>
#include <set>

#include "core/base/clock.h"
#include "core/engine.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "server/call_slots.h"
#include "server/frame_pool.h"
#include "server/observe_stream_call.h"

namespace engram {

class MemoryService final : public v1::MemoryService::Service {
 public:
  struct Deps {
    Engine* engine;
    FramePool* pool;
    Clock* clock;
    CallSlots* calls;
    CallSlots* answers;
    CallSlots* streams;
    CallSlots* followers;
    uint64_t max_message_bytes;
    // How much of the journal has been read, 0..1, for those who call before Open.
    std::function<double()> recovered;
  };

  explicit MemoryService(const Deps& deps);

  // From now on calls are served; until then they are UNAVAILABLE.
  void Open() { open_for_calls_.store(true, std::memory_order_release); }

  // Refuses new streams and ends those whose first frame has not come: the engine does not know them.
  void StopTakingStreams() ABSL_LOCKS_EXCLUDED(mu_);

  grpc::Status Recall(grpc::ServerContext* context, const v1::RecallRequest* request,
                      v1::RecallResponse* response) override;
  grpc::Status RecallStream(grpc::ServerContext* context, const v1::RecallStreamRequest* request,
                            grpc::ServerWriter<v1::RecallStreamResponse>* writer) override;
  grpc::Status GetObservations(grpc::ServerContext* context, const v1::GetObservationsRequest* request,
                               v1::GetObservationsResponse* response) override;
  grpc::Status Forget(grpc::ServerContext* context, const v1::ForgetRequest* request,
                      v1::ForgetResponse* response) override;
  grpc::Status CreateSpace(grpc::ServerContext* context, const v1::CreateSpaceRequest* request,
                           v1::Space* response) override;
  grpc::Status GetSpace(grpc::ServerContext* context, const v1::GetSpaceRequest* request, v1::Space* response) override;
  grpc::Status ListSpaces(grpc::ServerContext* context, const v1::ListSpacesRequest* request,
                          v1::ListSpacesResponse* response) override;
  grpc::Status UpdateSpace(grpc::ServerContext* context, const v1::UpdateSpaceRequest* request,
                           v1::Space* response) override;
  grpc::Status DeleteSpace(grpc::ServerContext* context, const v1::DeleteSpaceRequest* request,
                           v1::DeleteSpaceResponse* response) override;

 private:
  absl::Status CheckOpen() const;
  using ObserveIo = grpc::ServerUnaryStreamer<grpc::ByteBuffer, v1::ObserveResponse>;

  grpc::Status RunObserveStream(grpc::ServerContext* context, ObserveStreamCall::Io* io);
  grpc::Status RunObserve(grpc::ServerContext* context, ObserveIo* io);
  absl::Status ObserveBytes(grpc::ServerContext& context, grpc::ByteBuffer& bytes, v1::ObserveResponse& response);
  // Runs `body` in one of `slots`, or in a slot for a call.
  grpc::Status InSlot(CallSlots& slots, const std::function<absl::Status()>& body);
  grpc::Status InSlot(const std::function<absl::Status()>& body);

  // Constant after construction.
  const Deps deps_;
  // Atomic: a one-way flag; release/acquire: who sees it sees the recovered engine.
  std::atomic<bool> open_for_calls_{false};

  Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::set<ObserveStreamCall*> open_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
