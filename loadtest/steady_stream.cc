#include "loadtest/steady_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "loadtest/observe_client.h"
#include "loadtest/open_loop.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr uint32_t kHits = 10, kMostFrameRows = 256, kFramesPerSecond = 100;
constexpr std::chrono::hours kPatience{6};
// Recalls may take so many times as long as they were to take before the rest of them is given up.
constexpr double kOverrun = 1.5;

bool IsTransient(int32_t code) {
  return code == grpc::StatusCode::RESOURCE_EXHAUSTED || code == grpc::StatusCode::OUT_OF_RANGE;
}

}  // namespace

void RotatedRow(const Matrix& matrix, uint64_t number, std::string* bytes) {
  const auto row = matrix.row(number % matrix.rows());
  const size_t by = number / matrix.rows() % matrix.dimension;
  bytes->assign(reinterpret_cast<const char*>(row.data() + by), (row.size() - by) * sizeof(float));
  bytes->append(reinterpret_cast<const char*>(row.data()), by * sizeof(float));
}

SteadyStream::SteadyStream(const std::string& address, const SteadyPlan& plan, const Matrix& matrix)
    : plan_(plan),
      matrix_(matrix),
      frame_rows_(std::clamp(static_cast<uint32_t>(plan.observations_per_second) / kFramesPerSecond, 1u,
                             kMostFrameRows)),
      stub_(v1::MemoryService::NewStub(ConnectTo(address))) {}

absl::StatusOr<std::unique_ptr<SteadyStream>> SteadyStream::Start(const std::string& address, const SteadyPlan& plan,
                                                                  const Matrix& matrix) {
  std::unique_ptr<SteadyStream> steady(new SteadyStream(address, plan, matrix));
  ENGRAM_RETURN_IF_ERROR(steady->Open());
  return steady;
}

absl::Status SteadyStream::Open() {
  context_.set_deadline(std::chrono::system_clock::now() + kPatience);
  stream_ = stub_->ObserveStream(&context_);
  v1::ObserveStreamRequest start;
  start.mutable_start()->set_space(plan_.space);
  start.mutable_start()->set_ack_level(v1::ACK_LEVEL_DURABLE);
  v1::ObserveStreamResponse first;
  if (!stream_->Write(start) || !stream_->Read(&first) || !first.has_started()) {
    context_.TryCancel();
    const absl::Status status = FromGrpc(stream_->Finish(), "open a stream into " + plan_.space);
    stream_.reset();
    return status.ok() ? absl::InternalError("the stream did not begin with `started`") : status;
  }
  began_ = NowNanos();
  reader_ = std::jthread([this] { Read(); });
  writer_ = std::jthread([this] { Write(); });
  return absl::OkStatus();
}

v1::ObserveStreamRequest SteadyStream::FrameFrom(uint64_t first_sequence) const {
  v1::ObserveStreamRequest frame;
  frame.mutable_batch()->set_first_sequence(first_sequence);
  for (uint32_t i = 0; i < frame_rows_; ++i) {
    const uint64_t number = plan_.first_id + first_sequence - 1 + i;
    v1::Observation& observation = *frame.mutable_batch()->add_observations();
    SampleText text = RandomText(number);
    observation.set_id(std::move(text.id));
    observation.set_content(std::move(text.content));
    RotatedRow(matrix_, number, observation.mutable_embedding_f32());
  }
  return frame;
}

void SteadyStream::Write() {
  const double period = kNanosPerSecond / plan_.observations_per_second;
  while (!stopping_.load(std::memory_order_relaxed)) {
    uint64_t first;
    {
      MutexLock lock(mu_);
      first = next_sequence_;
      next_sequence_ += frame_rows_;
    }
    SleepUntilNanos(began_ + static_cast<int64_t>(static_cast<double>(first - 1) * period));
    if (!stream_->Write(FrameFrom(first))) break;
  }
  v1::ObserveStreamRequest end;
  end.mutable_end()->set_drain(false);
  stream_->Write(end);
  stream_->WritesDone();
}

void SteadyStream::Read() {
  for (v1::ObserveStreamResponse response; stream_->Read(&response);) {
    if (!response.has_ack()) continue;
    acknowledged_.store(response.ack().durable_through(), std::memory_order_relaxed);
    for (const v1::Rejection& rejection : response.ack().rejected()) {
      MutexLock lock(mu_);
      if (IsTransient(rejection.code())) {
        next_sequence_ = std::min<uint64_t>(next_sequence_, std::max<uint64_t>(response.ack().next_sequence(), 1));
      } else if (refused_.ok()) {
        refused_ = absl::DataLossError(fmt::format("observation {} of space {} was refused: {}", rejection.sequence(),
                                                   plan_.space, rejection.message()));
      }
    }
  }
}

double SteadyStream::ShareKept() const {
  const double due = std::max(1.0, Seconds(NowNanos() - began_) * plan_.observations_per_second - frame_rows_);
  return std::min(1.0, static_cast<double>(acknowledged()) / due);
}

absl::Status SteadyStream::Stop() {
  if (stream_ == nullptr) return ended_;
  stopping_.store(true, std::memory_order_relaxed);
  writer_.join();
  reader_.join();
  ended_ = FromGrpc(stream_->Finish(), "stream into " + plan_.space);
  stream_.reset();
  MutexLock lock(mu_);
  if (!refused_.ok()) ended_ = refused_;
  return ended_;
}

absl::StatusOr<Histogram> RecallSteadily(v1::MemoryService::Stub& stub, const std::string& space, const Matrix& cues,
                                         double recalls_per_second, double seconds) {
  Histogram latency;
  const auto count = static_cast<uint64_t>(std::max(1.0, recalls_per_second * seconds));
  const int64_t began = NowNanos();
  const int64_t give_up = began + static_cast<int64_t>(kOverrun * seconds * kNanosPerSecond);
  for (uint64_t i = 0; i < count; ++i) {
    const int64_t due = began + static_cast<int64_t>(static_cast<double>(i) * kNanosPerSecond / recalls_per_second);
    if (NowNanos() > give_up) {
      latency.Record(NowNanos() - due);
      continue;
    }
    SleepUntilNanos(due);
    ENGRAM_RETURN_IF_ERROR(TimeRecall(stub, space, kHits, cues.row(i % cues.rows())).status());
    latency.Record(NowNanos() - due);
  }
  return latency;
}

}  // namespace engram
