#include "loadtest/load_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stop_token>
#include <utility>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
// Before the next try after a connection that could not be had, or ended badly.
constexpr int64_t kLeastBackoff = 20 * kMillisecond, kMostBackoff = 500 * kMillisecond;
// A stop and the end of a connection are noticed within this.
constexpr int64_t kLookUp = 20 * kMillisecond;
constexpr std::chrono::hours kPatience{12};

// The sequence is not used up.
bool IsTransient(int32_t code) {
  return code == grpc::StatusCode::RESOURCE_EXHAUSTED || code == grpc::StatusCode::OUT_OF_RANGE ||
         code == grpc::StatusCode::UNAVAILABLE;
}

}  // namespace

LoadStream::LoadStream(Plan plan, const LoadShape* shape, const MadeObservations* made)
    : plan_(std::move(plan)),
      shape_(shape),
      made_(made),
      total_(shape->Count(plan_.share)),
      stub_(v1::MemoryService::NewStub(ConnectTo(plan_.address))) {}

void LoadStream::Start() {
  writer_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void LoadStream::Finish() {
  if (!writer_.joinable()) return;
  writer_.request_stop();
  writer_.join();
}

int64_t LoadStream::DueAt(uint64_t sequence) const {
  return plan_.began + shape_->DueNanos(sequence - 1, plan_.share).value_or(0);
}

int64_t LoadStream::LagNanos(int64_t now) const {
  const uint64_t durable = durable_.load(std::memory_order_relaxed);
  return durable >= total_ ? 0 : std::max<int64_t>(0, now - DueAt(durable + 1));
}

void LoadStream::Run(const std::stop_token& stop) {
  int64_t backoff = kLeastBackoff;
  while (!stop.stop_requested() && !Complete()) {
    const uint64_t before = durable();
    const int code = RunConnection(stop);
    if (code != grpc::StatusCode::OK) ++ended_[code];
    backoff = code == grpc::StatusCode::OK || durable() > before ? kLeastBackoff : std::min(kMostBackoff, 2 * backoff);
    if (code != grpc::StatusCode::OK && !stop.stop_requested()) SleepUntilNanos(NowNanos() + backoff);
  }
}

int LoadStream::RunConnection(const std::stop_token& stop) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  // Between calls that fail at once nobody would look after the connection: gRPC itself does every five seconds.
  context.set_wait_for_ready(true);
  // A daemon that stands still takes nothing, and a write waits for it.
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const std::unique_ptr<Call> call = stub_->ObserveStream(&context);
  v1::ObserveStreamRequest start;
  start.mutable_start()->set_space(plan_.space);
  start.mutable_start()->set_stream_id(fmt::format("load-{}", plan_.number));
  start.mutable_start()->set_resume(true);
  start.mutable_start()->set_ack_level(v1::ACK_LEVEL_DURABLE);
  v1::ObserveStreamResponse first;
  const bool answered = call->Write(start) && call->Read(&first);
  if (!answered || !first.has_started()) {
    // A call that has ended says itself why.
    if (answered) context.TryCancel();
    const int code = call->Finish().error_code();
    if (stop.stop_requested()) return grpc::StatusCode::OK;
    return code == grpc::StatusCode::OK ? int{grpc::StatusCode::INTERNAL} : code;
  }
  ++connections_;
  ledger_.Resumed(first.started().next_sequence());
  {
    MutexLock lock(mu_);
    next_ = first.started().next_sequence();
    not_before_ = 0;
  }
  over_.store(false);
  const int64_t until = plan_.reconnect_every > 0 ? NowNanos() + plan_.reconnect_every : INT64_MAX;
  std::jthread reader([&] { Read(*call); });
  Write(*call, stop, until);
  // Goes away without a word, as clients do; unless everything is there, or the daemon has ended it.
  const bool broken_off = !over_.load();
  if (broken_off) context.TryCancel();
  reader.join();
  const int code = call->Finish().error_code();
  const bool our_doing = broken_off || stop.stop_requested();
  return our_doing && code == grpc::StatusCode::CANCELLED ? int{grpc::StatusCode::OK} : code;
}

uint64_t LoadStream::AwaitDue(uint64_t next, const std::stop_token& stop, int64_t until) const {
  while (!stop.stop_requested() && !over_.load()) {
    const int64_t now = NowNanos();
    if (now >= until) return 0;
    if (next > total_) {
      if (Complete()) return 0;
      SleepUntilNanos(now + kMillisecond);
      return UINT64_MAX;  // Nothing to write, and something may come to be written again.
    }
    const int64_t due = DueAt(next);
    if (due <= now) {
      uint64_t count = 1;
      while (count < plan_.batch && next + count <= total_ && DueAt(next + count) <= now) ++count;
      return count;
    }
    SleepUntilNanos(std::min({due, now + kLookUp, until}));
  }
  return 0;
}

void LoadStream::Write(Call& call, const std::stop_token& stop, int64_t until) {
  v1::ObserveStreamRequest frame;
  for (;;) {
    uint64_t next;
    int64_t not_before;
    {
      MutexLock lock(mu_);
      next = next_;
      not_before = not_before_;
    }
    if (const int64_t now = NowNanos(); not_before > now && !stop.stop_requested() && !over_.load() && now < until) {
      SleepUntilNanos(std::min(not_before, now + kLookUp));
      continue;
    }
    const uint64_t count = AwaitDue(next, stop, until);
    if (count == 0) return;
    if (count == UINT64_MAX) continue;
    frame.Clear();
    frame.mutable_batch()->set_first_sequence(next);
    for (uint64_t i = 0; i < count; ++i) made_->Make(plan_.number, next + i, frame.mutable_batch()->add_observations());
    {
      MutexLock lock(mu_);
      // Sent back meanwhile.
      if (next_ != next) continue;
      next_ = next + count;
    }
    ledger_.Sent(next + count - 1);
    if (!call.Write(frame)) return;
  }
}

void LoadStream::Read(Call& call) {
  v1::ObserveStreamResponse response;
  while (call.Read(&response)) {
    if (response.has_ack()) TakeAck(response.ack());
    if (plan_.read_every == 0) continue;
    const int64_t next = NowNanos() + plan_.read_every;
    while (NowNanos() < next && !Complete()) SleepUntilNanos(std::min(next, NowNanos() + kLookUp));
  }
  over_.store(true);
}

void LoadStream::TakeAck(const v1::Ack& ack) {
  for (const v1::Rejection& rejection : ack.rejected()) {
    if (!IsTransient(rejection.code())) {
      ledger_.Refused(rejection.sequence(), rejection.count(), rejection.message());
      continue;
    }
    if (rejection.code() != grpc::StatusCode::OUT_OF_RANGE) pushed_back_ += rejection.count();
    MutexLock lock(mu_);
    next_ = std::min<uint64_t>(next_, std::max<uint64_t>(ack.next_sequence(), 1));
    not_before_ = std::max(not_before_, NowNanos() + std::max<int64_t>(rejection.retry_after_us(), 0) * 1000);
  }
  Acknowledge(ack.durable_through());
}

void LoadStream::Acknowledge(uint64_t through) {
  ledger_.Durable(through);
  const uint64_t before = durable();
  const uint64_t now_durable = std::min(through, total_);
  if (now_durable <= before) return;
  const int64_t now = NowNanos();
  for (uint64_t sequence = before + 1; sequence <= now_durable; ++sequence) latency_.Record(now - DueAt(sequence));
  durable_.store(now_durable, std::memory_order_relaxed);
}

}  // namespace engram
