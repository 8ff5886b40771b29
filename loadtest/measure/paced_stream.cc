#include "loadtest/measure/paced_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "core/base/mutex.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

using Stream = grpc::ClientReaderWriter<v1::ObserveStreamRequest, v1::ObserveStreamResponse>;

constexpr std::chrono::seconds kPatience{60};
// A server that asks for more gets the next try after this.
constexpr int64_t kMostWaitMicros = 5'000'000;

bool IsTransient(int32_t code) {
  return code == grpc::StatusCode::RESOURCE_EXHAUSTED || code == grpc::StatusCode::OUT_OF_RANGE ||
         code == grpc::StatusCode::UNAVAILABLE;
}

// What the reading thread learns and the writing one waits for.
class Progress {
 public:
  Progress(const StreamPlan& plan, uint32_t rows)
      : plan_(plan),
        rows_(rows),
        began_(NowNanos()),
        until_(began_ + static_cast<int64_t>(plan.seconds * kNanosPerSecond)) {
    outcome_.began = outcome_.ended = began_;
  }

  // Which frame to write next, and not before when; nullopt once the plan is over and all of it acknowledged.
  struct Turn {
    uint64_t frame;
    int64_t not_before;
  };
  std::optional<Turn> Next() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    while (!over_ && refused_.ok()) {
      if (next_ < due_.size()) return Turn{next_, std::max(due_[next_++], not_before_)};
      if (const std::optional<int64_t> due = DueOfNext(); due.has_value()) {
        due_.push_back(*due);
        return Turn{next_++, std::max(*due, not_before_)};
      }
      if (reached_ >= Sent() || plan_.end_at_once) return std::nullopt;
      changed_.Wait(mu_);
    }
    return std::nullopt;
  }

  void Take(uint64_t reached, const v1::Ack* ack) ABSL_LOCKS_EXCLUDED(mu_) {
    const int64_t now = NowNanos();
    MutexLock lock(mu_);
    reached = std::min(reached, Sent());
    if (reached > reached_) {
      outcome_.arrivals.push_back({now, reached - reached_, now - due_[reached_ / rows_]});
      outcome_.ended = now;
    }
    while (reached_ < reached) {
      const uint64_t frame = reached_ / rows_;
      const uint64_t through = std::min((frame + 1) * rows_, reached);
      outcome_.latency.Record(now - due_[frame], through - reached_);
      reached_ = through;
    }
    for (int i = 0; ack != nullptr && i < ack->rejected_size(); ++i) {
      const v1::Rejection& rejection = ack->rejected(i);
      if (!IsTransient(rejection.code()) && refused_.ok()) {
        refused_ = absl::DataLossError(fmt::format("observation {} of space {} was refused with code {}: {}",
                                                   rejection.sequence(), plan_.space, rejection.code(),
                                                   rejection.message()));
      }
      const int64_t wait = std::clamp<int64_t>(rejection.retry_after_us(), 0, kMostWaitMicros);
      not_before_ = std::max(not_before_, now + wait * 1000);
      // Of several refusals in a row only the first names where to go on; the rest is OUT_OF_RANGE behind it.
      const uint64_t again = (std::max<uint64_t>(ack->next_sequence(), 1) - 1) / rows_;
      if (again < next_) {
        outcome_.sent_again += (next_ - again) * rows_;
        next_ = again;
      }
    }
    changed_.NotifyAll();
  }

  void Started(v1::Durability durability) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    outcome_.durability = durability;
  }

  void Over() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    over_ = true;
    changed_.NotifyAll();
  }

  absl::StatusOr<StreamOutcome> Finish() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    ENGRAM_RETURN_IF_ERROR(refused_);
    if (reached_ < Sent()) {
      return absl::DataLossError(fmt::format("space {}: {} of {} observations were acknowledged before the stream ended",
                                             plan_.space, reached_, Sent()));
    }
    outcome_.acknowledged = reached_;
    return std::move(outcome_);
  }

 private:
  uint64_t Sent() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return due_.size() * rows_; }

  // Of the frame behind the last one; nullopt when the plan has no more.
  std::optional<int64_t> DueOfNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (due_.size() >= plan_.most_frames) return std::nullopt;
    const double behind = plan_.frames_per_second == 0
                              ? 0
                              : static_cast<double>(due_.size()) / plan_.frames_per_second * kNanosPerSecond;
    const int64_t due = plan_.frames_per_second == 0 ? NowNanos() : began_ + static_cast<int64_t>(behind);
    if (due >= until_) return std::nullopt;
    return due;
  }

  const StreamPlan& plan_;
  const uint64_t rows_;
  const int64_t began_, until_;

  Mutex mu_;
  CondVar changed_;
  std::vector<int64_t> due_ ABSL_GUARDED_BY(mu_);  // Of each frame begun.
  int64_t not_before_ ABSL_GUARDED_BY(mu_) = 0;    // Where there was no room, as the server asked for.
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;         // Behind due_'s end only where nothing is sent again.
  uint64_t reached_ ABSL_GUARDED_BY(mu_) = 0;
  bool over_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status refused_ ABSL_GUARDED_BY(mu_);
  StreamOutcome outcome_ ABSL_GUARDED_BY(mu_);
};

template <class Message>
uint64_t ReachedBy(const Message& message, v1::AckLevel level) {
  switch (level) {
    case v1::ACK_LEVEL_RECEIVED:
      return message.received_through();
    case v1::ACK_LEVEL_INDEXED:
      return message.indexed_through();
    default:
      return message.durable_through();
  }
}

}  // namespace

FramePool::FramePool(const Matrix& vectors, size_t first_row, size_t frames, uint32_t rows)
    : rows_(rows), frames_(frames) {
  for (size_t f = 0; f < frames; ++f) {
    v1::ObservationBatch& batch = *frames_[f].mutable_batch();
    for (uint32_t i = 0; i < rows; ++i) {
      const size_t row = (first_row + f * rows + i) % vectors.rows();
      const SampleText text = RandomText(row);
      v1::Observation& observation = *batch.add_observations();
      observation.set_content(text.content);
      SetEmbedding(vectors.row(row), observation.mutable_embedding_f32());
      for (const auto& [key, value] : text.tags) (*observation.mutable_tags())[key] = value;
    }
  }
  payload_bytes_ = static_cast<double>(PayloadBytes(frames_)) / static_cast<double>(frames * rows);
}

const v1::ObserveStreamRequest& FramePool::Numbered(uint64_t n) {
  v1::ObserveStreamRequest& frame = frames_[n % frames_.size()];
  frame.mutable_batch()->set_first_sequence(n * rows_ + 1);
  return frame;
}

absl::StatusOr<StreamOutcome> RunPacedStream(v1::MemoryService::Stub& stub, const StreamPlan& plan, FramePool& pool) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience +
                       std::chrono::milliseconds(static_cast<int64_t>(plan.seconds * 1000)));
  const std::unique_ptr<Stream> stream = stub.ObserveStream(&context);
  v1::ObserveStreamRequest start;
  start.mutable_start()->set_space(plan.space);
  start.mutable_start()->set_ack_level(plan.level);
  v1::ObserveStreamResponse first;
  if (!stream->Write(start) || !stream->Read(&first) || !first.has_started()) {
    context.TryCancel();
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stream->Finish(), "open a stream into " + plan.space));
    return absl::InternalError(fmt::format("the stream into {} did not begin with `started`", plan.space));
  }

  // The clock starts behind the opening, which on a new connection includes the handshake.
  Progress progress(plan, pool.rows());
  progress.Started(first.started().durability());
  std::jthread reader([&] {
    for (v1::ObserveStreamResponse response; stream->Read(&response);) {
      if (response.has_ack()) progress.Take(ReachedBy(response.ack(), plan.level), &response.ack());
      if (response.has_ended()) progress.Take(ReachedBy(response.ended(), plan.level), nullptr);
    }
    progress.Over();
  });
  v1::ObserveStreamRequest end;
  end.mutable_end()->set_drain(true);
  while (const std::optional<Progress::Turn> turn = progress.Next()) {
    // Without a rate each is due now, unless the server has asked to be left alone for a while.
    if (turn->not_before > NowNanos()) SleepUntilNanos(turn->not_before);
    if (!stream->Write(pool.Numbered(turn->frame))) break;
  }
  stream->Write(end);
  stream->WritesDone();
  reader.join();
  ENGRAM_RETURN_IF_ERROR(FromGrpc(stream->Finish(), "stream into space " + plan.space));
  return progress.Finish();
}

}  // namespace engram
