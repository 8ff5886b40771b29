// One ObserveStream call: frames in, acknowledgements out.
//
// Threads:   Run on the handler's thread, which reads. A second thread writes, woken by the stream's progress.
// EndUnstarted
//            from any.
// Ownership: lives on the handler's stack; engine, pool, clock and context outlive it.
// Blocking:  Run until the call is over. The reader stops reading while the queue has no room, which is the client's
// back
//            pressure; the writer blocks on a client that does not read, and nobody else does: what is accepted goes
//            on.
// Errors:    the call's status, as engram.v1.MemoryService.ObserveStream documents it.
// Order:     StreamStarted first; at the end an Ack of whatever the client has not been told, then StreamEnded, then
// the
//            status.
//
// A client that closes its side without `end` is answered as by end {drain: true}. PAUSE holds Ack and Pressure back
// and merges them, except that more than 4096 refusals are not kept: they are sent all the same.
//
// Why a status is not just returned: the reader may be inside Read, which only the client or the end of the call wakes.
// So the writer ends the call with its status from below (grpc_call_cancel_with_status), which sends it as a regular
// trailer.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/engine.h"
#include "engram/v1/memory_service.pb.h"
#include "server/frame_decoder.h"
#include "server/frame_pool.h"

namespace engram {

class ObserveStreamCall final : private StreamListener {
 public:
  using Io = grpc::ServerReaderWriter<v1::ObserveStreamResponse, grpc::ByteBuffer>;

  struct Deps {
    Engine* engine;
    FramePool* pool;
    Clock* clock;
    // Told to the client in StreamLimits.
    uint64_t max_message_bytes;
  };

  ObserveStreamCall(const Deps& deps, grpc::ServerContext* context, Io* io) : deps_(deps), context_(context), io_(io) {}

  grpc::Status Run();
  // Ends the call with UNAVAILABLE if its first frame has not come yet: nobody else would.
  void EndUnstarted() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // How the writer is to end. kDrain and kNow answer with StreamEnded; kSilent only stops.
  enum class Ending { kNone, kDrain, kNow, kSilent };

  void OnProgress() noexcept override ABSL_LOCKS_EXCLUDED(mu_);

  // The next frame, nullopt when there is none: the client closed its side or is gone.
  std::optional<absl::StatusOr<ClientFrame>> ReadFrame();
  absl::Status Start(const v1::StreamStart& start);
  // Reads until the stream is over; what the writer has to do then, and the status to end with.
  std::pair<Ending, absl::Status> ReadLoop();

  struct Work {
    bool paused = false;
    Ending ending = Ending::kNone;
  };
  // Waits for progress, or for an ending other than the one `seen`.
  Work AwaitWork(Ending seen) ABSL_LOCKS_EXCLUDED(mu_);
  void WriteLoop();
  // Sends what is due of `held` and marks it told; with `last` also watermarks that are not worth an Ack by themselves.
  void WriteDue(StreamProgress& held, bool last);
  void Write(const v1::ObserveStreamResponse& response);
  // Ends the call with the status the engine has ended the stream with.
  void EndBy(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the call as the client sees it, from whatever thread.
  void EndCall(const absl::Status& status);

  // Constant after construction.
  const Deps deps_;
  grpc::ServerContext* const context_;
  Io* const io_;

  // Set by Start, before there is a second thread.
  std::shared_ptr<ObserveStream> stream_;

  // The writer's own.
  bool gone_ = false;  // Nothing more is sent: a write failed, or the last one was made.
  uint64_t told_received_ = 0;
  uint64_t told_durable_ = 0;
  uint64_t told_indexed_ = 0;

  Mutex mu_;
  CondVar wake_;
  // From the start: a stream that goes on has something to be told, also when nothing is sent.
  bool progress_ ABSL_GUARDED_BY(mu_) = true;
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  Ending ending_ ABSL_GUARDED_BY(mu_) = Ending::kNone;
  // The status the writer has ended the call with, when the engine ended the stream.
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
