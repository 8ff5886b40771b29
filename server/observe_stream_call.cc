#include "server/observe_stream_call.h"

#include <fmt/format.h>
#include <grpc/grpc.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "core/base/thread_name.h"
#include "server/grpc_status.h"
#include "server/incoming.h"
#include "server/wire.h"

namespace engram {
namespace {

// Refusals in one Ack: keeps the message far below any client's limit.
constexpr size_t kMostRejectionsInAck = 1000;
// Refusals held back for a client that has paused.
constexpr size_t kMostRejectionsHeld = 4096;
// Behind a stream's end.
constexpr std::chrono::milliseconds kLookAtClient{250};

std::string_view NameOf(v1::ObserveStreamRequest::FrameCase frame) {
  switch (frame) {
    case v1::ObserveStreamRequest::kStart:
      return "start";
    case v1::ObserveStreamRequest::kBatch:
      return "batch";
    case v1::ObserveStreamRequest::kFlow:
      return "flow";
    case v1::ObserveStreamRequest::kEnd:
      return "end";
    case v1::ObserveStreamRequest::FRAME_NOT_SET:
      return "empty";
  }
  return "unknown";
}

// `newer` into `held`: watermarks are replaced, what has not been told adds up.
void Merge(StreamProgress newer, StreamProgress& held) {
  newer.ack_due |= held.ack_due;
  newer.pressure_due |= held.pressure_due;
  held.rejected.insert(held.rejected.end(), std::make_move_iterator(newer.rejected.begin()),
                       std::make_move_iterator(newer.rejected.end()));
  newer.rejected = std::move(held.rejected);
  if (newer.ended.ok()) newer.ended = std::move(held.ended);
  held = std::move(newer);
}

}  // namespace

grpc::Status ObserveStreamCall::Run() {
  auto first = ReadFrame();
  if (!first) {
    if (context_->IsCancelled()) return {grpc::StatusCode::CANCELLED, "the call was cancelled before its first frame"};
    return {grpc::StatusCode::FAILED_PRECONDITION, "the stream was closed before its first frame, start"};
  }
  {
    MutexLock lock(mu_);
    started_ = true;
  }
  if (!first->ok()) return ToGrpc(first->status());
  const auto* other = std::get_if<v1::ObserveStreamRequest>(&**first);
  if (other == nullptr || other->frame_case() != v1::ObserveStreamRequest::kStart) {
    const auto frame = other == nullptr ? v1::ObserveStreamRequest::kBatch : other->frame_case();
    return {grpc::StatusCode::FAILED_PRECONDITION,
            fmt::format("the first frame is {}, it has to be start", NameOf(frame))};
  }
  if (absl::Status status = Start(other->start()); !status.ok()) return ToGrpc(status);

  std::jthread writer([this] {
    NameThread("stream writer");
    WriteLoop();
  });
  auto [ending, status] = ReadLoop();
  {
    MutexLock lock(mu_);
    ending_ = ending;
    wake_.NotifyOne();
  }
  writer.join();
  stream_->Close();
  MutexLock lock(mu_);
  return ToGrpc(ended_.value_or(status));
}

void ObserveStreamCall::EndUnstarted() {
  MutexLock lock(mu_);
  if (!started_) EndCall(absl::UnavailableError("the daemon drains: it takes no new streams"));
}

void ObserveStreamCall::OnProgress() noexcept {
  MutexLock lock(mu_);
  progress_ = true;
  wake_.NotifyOne();
}

std::optional<absl::StatusOr<ClientFrame>> ObserveStreamCall::ReadFrame() {
  grpc::ByteBuffer bytes;
  if (!io_->Read(&bytes)) return std::nullopt;
  FrameArrival arrival{.received = deps_.clock->Now()};
  auto frame = TakeFrame(*deps_.pool, bytes);
  arrival.bytes = frame->bytes().size();
  arrival.reused = frame->reused();
  const auto settings = deps_.engine->settings();
  absl::StatusOr<ClientFrame> decoded = DecodeStreamFrame(
      *deps_.pool, std::move(frame),
      {.max_observations = settings->limits_max_batch_observations, .max_tags = settings->limits_max_tags});
  if (!decoded.ok()) return decoded;
  if (auto* batch = std::get_if<BatchFrame>(&*decoded)) {
    arrival.decoded = deps_.clock->Now();
    batch->batch.arrival = arrival;
  }
  return decoded;
}

absl::Status ObserveStreamCall::Start(const v1::StreamStart& start) {
  StreamRequest request{.space = start.space(), .stream_id = start.stream_id(), .resume = start.resume()};
  ENGRAM_ASSIGN_OR_RETURN(request.ack_level, DecodeAckLevel(start.ack_level()));
  ENGRAM_ASSIGN_OR_RETURN(stream_, deps_.engine->OpenStream(request, this));

  const auto settings = deps_.engine->settings();
  v1::ObserveStreamResponse response;
  v1::StreamStarted* started = response.mutable_started();
  started->set_stream_id(stream_->id());
  started->set_next_sequence(stream_->first_expected());
  v1::StreamLimits* limits = started->mutable_limits();
  limits->set_max_batch_observations(static_cast<uint32_t>(settings->limits_max_batch_observations));
  limits->set_max_message_bytes(deps_.max_message_bytes);
  limits->set_max_content_bytes(static_cast<uint32_t>(settings->limits_max_content_bytes));
  limits->set_max_tags(static_cast<uint32_t>(settings->limits_max_tags));
  limits->set_dimension(stream_->dimension());
  limits->set_queue_capacity(settings->queue_capacity);
  started->set_durability(static_cast<v1::Durability>(deps_.engine->durability()));
  Write(response);

  told_received_ = told_durable_ = told_indexed_ = stream_->first_expected() - 1;
  return absl::OkStatus();
}

std::pair<ObserveStreamCall::Ending, absl::Status> ObserveStreamCall::ReadLoop() {
  for (;;) {
    auto frame = ReadFrame();
    if (!frame) {
      if (context_->IsCancelled()) return {Ending::kSilent, absl::CancelledError("the client is gone")};
      return {Ending::kDrain, absl::OkStatus()};
    }
    if (!frame->ok()) return {Ending::kNow, frame->status()};
    if (auto* batch = std::get_if<BatchFrame>(&**frame)) {
      stream_->Submit(batch->first_sequence, batch->priority, std::move(batch->batch));
      continue;
    }
    const auto& other = std::get<v1::ObserveStreamRequest>(**frame);
    switch (other.frame_case()) {
      case v1::ObserveStreamRequest::kFlow: {
        const auto action = other.flow().action();
        if (action != v1::FlowControl::PAUSE && action != v1::FlowControl::RESUME) {
          return {Ending::kNow, absl::InvalidArgumentError(
                                    fmt::format("flow control action {} is unknown, 1 (PAUSE) and 2 (RESUME) are known",
                                                static_cast<int>(action)))};
        }
        MutexLock lock(mu_);
        paused_ = action == v1::FlowControl::PAUSE;
        progress_ = true;
        wake_.NotifyOne();
        break;
      }
      case v1::ObserveStreamRequest::kEnd:
        return {other.end().drain() ? Ending::kDrain : Ending::kNow, absl::OkStatus()};
      default:
        return {Ending::kNow,
                absl::InvalidArgumentError(fmt::format("a frame after the first is {}, it has to be batch, flow or end",
                                                       NameOf(other.frame_case())))};
    }
  }
}

ObserveStreamCall::Work ObserveStreamCall::AwaitWork(Ending seen) {
  MutexLock lock(mu_);
  // Behind the end of a stream nobody reads, so nobody hears that the client has gone.
  const bool draining = ending_ == Ending::kDrain;
  const MonotonicTime look = deps_.clock->Now() + kLookAtClient;
  while (!progress_ && ending_ == seen) {
    if (!draining) {
      wake_.Wait(mu_);
    } else if (!deps_.clock->WaitUntil(wake_, mu_, look)) {
      break;
    }
  }
  progress_ = false;
  return {.paused = paused_, .ending = ending_};
}

void ObserveStreamCall::WriteLoop() {
  StreamProgress held;
  Work work;
  for (;;) {
    work = AwaitWork(work.ending);
    // Asked before the progress is taken: what had reached the level by then is in it.
    const bool reached = stream_->Reached();
    Merge(stream_->TakeProgress(), held);
    if (work.ending == Ending::kDrain && context_->IsCancelled()) gone_ = true;

    const bool finished = work.ending == Ending::kNow || (work.ending == Ending::kDrain && reached);
    const bool over = !finished && !held.ended.ok();
    if (gone_ || work.ending == Ending::kSilent) {
      // Taken all the same: the reader may be waiting for room for refusals.
      held.rejected.clear();
    } else if (finished || over) {
      WriteDue(held, true);
      v1::ObserveStreamResponse response;
      EncodeEnded(held, reached, response.mutable_ended());
      Write(response);
      if (over) EndBy(held.ended);
      gone_ = true;
    } else if (!work.paused || held.rejected.size() > kMostRejectionsHeld) {
      WriteDue(held, false);
    }
    if (work.ending != Ending::kNone && (gone_ || work.ending == Ending::kSilent)) return;
  }
}

void ObserveStreamCall::WriteDue(StreamProgress& held, bool last) {
  if (held.pressure_due) {
    v1::ObserveStreamResponse response;
    EncodePressure(held.pressure, response.mutable_pressure());
    Write(response);
    held.pressure_due = false;
  }
  const bool moved = held.received_through != told_received_ || held.durable_through != told_durable_ ||
                     held.indexed_through != told_indexed_;
  if (!held.ack_due && held.rejected.empty() && !(last && moved)) return;
  size_t next = 0;
  do {
    v1::ObserveStreamResponse response;
    EncodeAck(held, deps_.engine->durability(), response.mutable_ack());
    for (size_t i = 0; i < kMostRejectionsInAck && next < held.rejected.size(); ++i) {
      Encode(held.rejected[next++], response.mutable_ack()->add_rejected());
    }
    Write(response);
  } while (next < held.rejected.size());
  held.rejected.clear();
  held.ack_due = false;
  told_received_ = held.received_through;
  told_durable_ = held.durable_through;
  told_indexed_ = held.indexed_through;
}

void ObserveStreamCall::EndBy(const absl::Status& status) {
  {
    MutexLock lock(mu_);
    ended_ = status;
  }
  EndCall(status);
}

void ObserveStreamCall::Write(const v1::ObserveStreamResponse& response) {
  if (!gone_ && !io_->Write(response)) gone_ = true;
}

void ObserveStreamCall::EndCall(const absl::Status& status) {
  grpc_call_cancel_with_status(context_->c_call(), static_cast<grpc_status_code>(status.raw_code()),
                               std::string(status.message()).c_str(), nullptr);
}

}  // namespace engram
