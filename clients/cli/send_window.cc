#include "clients/cli/send_window.h"

#include <absl/status/status.h>

#include <algorithm>
#include <utility>

namespace engram {
namespace {

// How long refusals that are under way may take; then the window goes on without them.
constexpr int64_t kSettleMicros = 1'000'000;
constexpr int32_t kOutOfRange = static_cast<int32_t>(absl::StatusCode::kOutOfRange);

bool IsTransient(int32_t code) {
  return code == static_cast<int32_t>(absl::StatusCode::kResourceExhausted) ||
         code == kOutOfRange ||
         code == static_cast<int32_t>(absl::StatusCode::kUnavailable);
}

}  // namespace

SendWindow::SendWindow(uint64_t next_sequence, v1::AckLevel level, uint64_t capacity)
    : level_(level),
      capacity_(capacity),
      base_(next_sequence),
      end_(next_sequence),
      cursor_(next_sequence),
      sent_(next_sequence - 1),
      ever_sent_(next_sequence - 1),
      received_(next_sequence - 1),
      durable_(next_sequence - 1),
      indexed_(next_sequence - 1) {}

void SendWindow::Add(uint64_t line, v1::Observation observation, std::string fault) {
  const uint64_t bytes = observation.ByteSizeLong();
  bytes_ += bytes;
  entries_.push_back({line, bytes, std::move(observation), std::move(fault)});
  ++end_;
}

bool SendWindow::TakeBatch(size_t most, size_t bytes, v1::ObservationBatch* batch) {
  if (going_back_ || cursor_ == end_) return false;
  batch->clear_observations();
  batch->set_first_sequence(cursor_);
  size_t used = 0;
  most = std::min<uint64_t>(most, most_in_batch_);
  for (size_t taken = 0; taken < most && cursor_ < end_; ++taken) {
    const Entry& entry = entries_[cursor_ - base_];
    used += entry.bytes + 8;
    if (taken > 0 && used > bytes) break;
    *batch->add_observations() = entry.observation;
    if (cursor_ <= ever_sent_) ++resent_;
    ++cursor_;
  }
  sent_ = cursor_ - 1;
  ever_sent_ = std::max(ever_sent_, sent_);
  return true;
}

std::vector<SendWindow::Refused> SendWindow::OnAck(const v1::Ack& ack, int64_t now_us) {
  std::vector<Refused> refused;
  bool any_transient = false;
  const uint64_t received_before = received_;
  for (const v1::Rejection& rejection : ack.rejected()) {
    const uint64_t first = rejection.sequence(), last = first + std::max<uint64_t>(1, rejection.count()) - 1;
    if (IsTransient(rejection.code())) {
      any_transient = true;
      // Refused for following another one, which has the reason.
      const bool follower = rejection.code() == kOutOfRange;
      // Begins where the daemon goes on, so it is no gap: limits.max_batch_observations is lower than it was.
      if (follower && first <= ack.received_through() + 1) {
        most_in_batch_ = std::max<uint64_t>(1, std::min<uint64_t>(most_in_batch_, rejection.count()) / 2);
      }
      if (!follower || transient_reason_.empty()) transient_reason_ = rejection.message();
      if (!going_back_) {
        going_back_ = true;
        settled_ = false;
        go_on_at_us_ = now_us;
        settled_by_us_ = now_us + rejection.retry_after_us() + kSettleMicros;
      }
      settled_ |= last >= sent_;
      go_on_at_us_ = std::max(go_on_at_us_, now_us + rejection.retry_after_us());
      continue;
    }
    for (uint64_t sequence = first; sequence <= last; ++sequence) {
      Refused& one = refused.emplace_back();
      one.sequence = sequence;
      one.reason = rejection.message();
      if (sequence < base_ || sequence >= end_) continue;
      const Entry& entry = entries_[sequence - base_];
      one.line = entry.line;
      one.id = entry.observation.id();
      one.of_input = !entry.fault.empty();
      if (one.of_input) one.reason = entry.fault;
    }
  }
  received_ = std::clamp(ack.received_through(), received_, std::max(received_, end_ - 1));
  if (received_ > received_before) stuck_since_us_ = -1;
  if (any_transient && stuck_since_us_ < 0) stuck_since_us_ = now_us;
  durable_ = std::max(durable_, ack.durable_through());
  indexed_ = std::max(indexed_, ack.indexed_through());
  Release();
  return refused;
}

void SendWindow::OnEnded(const v1::StreamEnded& ended) {
  received_ = std::clamp(ended.received_through(), received_, std::max(received_, end_ - 1));
  durable_ = std::max(durable_, ended.durable_through());
  indexed_ = std::max(indexed_, ended.indexed_through());
}

void SendWindow::Release() {
  // Until it is durable an observation may still be refused, and is then reported with its line.
  const uint64_t through =
      std::min(level_ == v1::ACK_LEVEL_RECEIVED ? received_ : std::min(durable_, received_), cursor_ - 1);
  while (base_ <= through && !entries_.empty()) {
    bytes_ -= entries_.front().bytes;
    entries_.pop_front();
    ++base_;
  }
}

bool SendWindow::GoOn(int64_t now_us) {
  if (!going_back_ || now_us < go_on_at_us_) return false;
  if (!settled_ && received_ < sent_ && now_us < settled_by_us_) return false;
  going_back_ = false;
  cursor_ = std::max(base_, received_ + 1);
  sent_ = cursor_ - 1;
  return true;
}

uint64_t SendWindow::acknowledged() const {
  switch (level_) {
    case v1::ACK_LEVEL_RECEIVED:
      return received_;
    case v1::ACK_LEVEL_INDEXED:
      return std::min(indexed_, end_ - 1);
    default:
      return std::min(durable_, end_ - 1);
  }
}

}  // namespace engram
