#include "loadtest/observe_client.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "core/base/mutex.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

using Stream = grpc::ClientReaderWriter<v1::ObserveStreamRequest, v1::ObserveStreamResponse>;

bool IsTransient(int32_t code) {
  return code == grpc::StatusCode::RESOURCE_EXHAUSTED || code == grpc::StatusCode::OUT_OF_RANGE ||
         code == grpc::StatusCode::UNAVAILABLE;
}

v1::Ack AsAck(const v1::StreamEnded& ended) {
  v1::Ack ack;
  ack.set_received_through(ended.received_through());
  ack.set_durable_through(ended.durable_through());
  ack.set_indexed_through(ended.indexed_through());
  return ack;
}

// What the reading thread learns and the writing one waits for.
class Progress {
 public:
  Progress(const ObserveRun& run, const std::vector<v1::ObserveStreamRequest>& frames)
      : run_(run), frames_(frames), sent_at_(frames.size()) {
    const v1::ObservationBatch& last = frames.back().batch();
    total_ = last.first_sequence() + last.observations_size() - 1;
  }

  uint64_t total() const { return total_; }

  // Which frame to write next; nullopt once all is acknowledged or the stream is over.
  std::optional<size_t> NextFrame() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (run_.end_at_once && next_ == frames_.size()) return std::nullopt;
    while (next_ == frames_.size() && reached_ < total_ && !over_) changed_.Wait(mu_);
    if (reached_ >= total_ || over_) return std::nullopt;
    sent_at_[next_] = NowNanos();
    return next_++;
  }

  void Take(const v1::Ack& ack) ABSL_LOCKS_EXCLUDED(mu_) {
    const int64_t now = NowNanos();
    MutexLock lock(mu_);
    // Sequences that were refused for good count as settled; the caller hears of them.
    while (measured_ < ack.durable_through()) {
      const size_t frame = FrameOf(measured_ + 1);
      const v1::ObservationBatch& batch = frames_[frame].batch();
      const uint64_t frame_end = batch.first_sequence() + batch.observations_size() - 1;
      const uint64_t through = std::min<uint64_t>(frame_end, ack.durable_through());
      result_.latency.Record(now - sent_at_[frame], through - measured_);
      measured_ = through;
    }
    for (const v1::Rejection& rejection : ack.rejected()) {
      if (!IsTransient(rejection.code())) {
        if (refused_.ok()) {
          refused_ =
              absl::DataLossError(fmt::format("observation {} of space {} was refused with code {}: {}",
                                              rejection.sequence(), run_.space, rejection.code(), rejection.message()));
        }
        continue;
      }
      // Of several refusals in a row only the first names where to go on; the rest is OUT_OF_RANGE behind it.
      const size_t again = FrameOf(std::max<uint64_t>(ack.next_sequence(), 1));
      if (again < next_) {
        result_.sent_again += next_ - again;
        next_ = again;
      }
    }
    switch (run_.ack_level) {
      case v1::ACK_LEVEL_RECEIVED:
        reached_ = ack.received_through();
        break;
      case v1::ACK_LEVEL_INDEXED:
        reached_ = ack.indexed_through();
        break;
      default:
        reached_ = ack.durable_through();
        break;
    }
    if (reached_ >= total_ && result_.nanos == 0) result_.nanos = now;
    if (reached_ >= total_ || next_ < frames_.size()) changed_.NotifyAll();
  }

  void Started(const v1::StreamStarted& started) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    result_.durability = started.durability();
  }

  void Over() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    over_ = true;
    changed_.NotifyAll();
  }

  absl::StatusOr<ObserveResult> Finish(int64_t began) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ENGRAM_RETURN_IF_ERROR(refused_);
    if (reached_ < total_) {
      return absl::DataLossError(fmt::format(
          "space {}: {} of {} observations were acknowledged before the stream ended", run_.space, reached_, total_));
    }
    result_.began = began;
    result_.nanos -= began;
    result_.acknowledged = reached_;
    return std::move(result_);
  }

 private:
  size_t FrameOf(uint64_t sequence) const {
    const size_t batch_size = frames_.front().batch().observations_size();
    return std::min((sequence - 1) / batch_size, frames_.size() - 1);
  }

  const ObserveRun& run_;
  const std::vector<v1::ObserveStreamRequest>& frames_;
  uint64_t total_ = 0;

  Mutex mu_;
  CondVar changed_;
  std::vector<int64_t> sent_at_ ABSL_GUARDED_BY(mu_);
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t reached_ ABSL_GUARDED_BY(mu_) = 0;   // By the level asked for.
  uint64_t measured_ ABSL_GUARDED_BY(mu_) = 0;  // Latencies recorded up to here.
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status refused_ ABSL_GUARDED_BY(mu_);
  ObserveResult result_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  // A proxy meant for the web would be measured with the daemon.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Otherwise channels to one address share a connection, and a run inherits the window the last one grew.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A daemon that was killed is back sooner than gRPC's first second of waiting is over.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  // How long one attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status FromGrpc(const grpc::Status& status, const std::string& what) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      fmt::format("{}: {}", what, status.error_message()));
}

absl::StatusOr<ObserveResult> ObserveFrames(v1::MemoryService::Stub& stub, const ObserveRun& run,
                                            const std::vector<v1::ObserveStreamRequest>& frames) {
  if (frames.empty()) return ObserveResult();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + run.patience);
  const std::unique_ptr<Stream> stream = stub.ObserveStream(&context);

  v1::ObserveStreamRequest start;
  start.mutable_start()->set_space(run.space);
  start.mutable_start()->set_ack_level(run.ack_level);
  v1::ObserveStreamResponse first;
  // The clock starts behind the opening of the stream, which on a new connection includes the handshake.
  const bool open = stream->Write(start) && stream->Read(&first) && first.has_started();
  Progress progress(run, frames);
  int64_t began = 0;
  if (open) {
    progress.Started(first.started());
    std::jthread reader([&] {
      for (v1::ObserveStreamResponse response; stream->Read(&response);) {
        if (response.has_ack()) progress.Take(response.ack());
        if (response.has_ended()) progress.Take(AsAck(response.ended()));
      }
      progress.Over();
    });
    began = NowNanos();
    while (const std::optional<size_t> frame = progress.NextFrame()) {
      if (!stream->Write(frames[*frame])) break;
    }
    v1::ObserveStreamRequest end;
    end.mutable_end()->set_drain(true);
    stream->Write(end);
    stream->WritesDone();
    reader.join();
  }
  ENGRAM_RETURN_IF_ERROR(FromGrpc(stream->Finish(), fmt::format("stream into space {}", run.space)));
  if (!open) return absl::InternalError("the stream did not begin with `started`");
  return progress.Finish(began);
}

}  // namespace engram
