#include "core/stream_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/space.h"

namespace engram {
namespace {

// The sequence is not to be sent again; see engram.v1.Rejection.code.
bool UsedUp(const absl::Status& status) {
  return !absl::IsResourceExhausted(status) && !absl::IsOutOfRange(status) && !absl::IsUnavailable(status);
}

}  // namespace

void StreamState::Tell() {
  if (listener_ != nullptr) listener_->OnProgress();
}

uint64_t StreamState::Attach(AckLevel level, StreamListener* listener) {
  MutexLock lock(mu_);
  ++generation_;
  Tell();
  room_.NotifyAll();
  listener_ = listener;
  level_ = level;
  told_ = 0;
  ack_due_ = false;
  rejected_.assign(remembered_.begin(), remembered_.end());
  pressure_ = {};
  pressure_due_ = false;
  ended_ = absl::OkStatus();
  end_when_reached_ = absl::OkStatus();
  return generation_;
}

void StreamState::Detach(uint64_t generation) {
  MutexLock lock(mu_);
  if (generation != generation_) return;
  ++generation_;
  listener_ = nullptr;
  rejected_.clear();
  room_.NotifyAll();
}

bool StreamState::Current(uint64_t generation) const {
  MutexLock lock(mu_);
  return generation == generation_ && ended_.ok();
}

void StreamState::End(const absl::Status& why) {
  MutexLock lock(mu_);
  if (ended_.ok()) ended_ = why;
  room_.NotifyAll();
  Tell();
}

void StreamState::EndWhenReached(const absl::Status& why) {
  MutexLock lock(mu_);
  end_when_reached_ = why;
  Tell();
}

void StreamState::Reopen() {
  MutexLock lock(mu_);
  end_when_reached_ = absl::OkStatus();
}

// The space is asked under mu_: what is committed later cannot be taken for linked already.
void StreamState::Advance() const {
  if (unindexed_.empty()) return;
  const SpaceIndex* index = space_->index();
  // Without an index nothing was stored: only refusals have passed.
  const uint64_t linked =
      index == nullptr ? UINT64_MAX : index->link_backlog() == 0 ? index->size() : index->linked();
  while (!unindexed_.empty() && unindexed_.front().end <= linked) {
    indexed_ = unindexed_.front().through;
    unindexed_.pop_front();
  }
}

uint64_t StreamState::Level() const {
  Advance();
  switch (level_) {
    case AckLevel::kReceived: return received_;
    case AckLevel::kDurable: return durable_;
    case AckLevel::kIndexed: return indexed_;
  }
  return durable_;
}

StreamProgress StreamState::Take(uint64_t generation) {
  StreamProgress progress;
  MutexLock lock(mu_);
  const uint64_t level = Level();
  progress.received_through = received_;
  progress.durable_through = durable_;
  progress.indexed_through = indexed_;
  progress.token = token_;
  if (generation != generation_) {
    progress.ended = absl::AbortedError(fmt::format("stream '{}' was opened by a newer connection", id_));
    return progress;
  }
  progress.ack_due = std::exchange(ack_due_, false) || level > told_ || !rejected_.empty();
  told_ = level;
  progress.rejected.swap(rejected_);
  progress.pressure = pressure_;
  progress.pressure_due = std::exchange(pressure_due_, false);
  if (ended_.ok() && !end_when_reached_.ok() && level >= received_) ended_ = end_when_reached_;
  progress.ended = ended_;
  if (!progress.rejected.empty()) room_.NotifyAll();
  return progress;
}

bool StreamState::Reached(uint64_t generation) const {
  MutexLock lock(mu_);
  return generation == generation_ && Level() >= received_;
}

void StreamState::NotePressure(const PressureReading& reading) {
  MutexLock lock(mu_);
  pressure_due_ |= reading.level != pressure_.level;
  pressure_ = reading;
  Tell();
}

void StreamState::NoteLinked() {
  MutexLock lock(mu_);
  if (level_ == AckLevel::kIndexed) Tell();
}

uint64_t StreamState::received_through() const {
  MutexLock lock(mu_);
  return received_;
}

bool StreamState::Claim(uint64_t generation, uint64_t from, uint64_t through, std::span<const Rejected> refused) {
  MutexLock lock(mu_);
  if (generation != generation_ || !ended_.ok() || received_ + 1 != from) return false;
  for (const Rejected& rejected : refused) {
    Remember(rejected);
    rejected_.push_back(rejected);
  }
  received_ = through;
  if (level_ == AckLevel::kReceived || !refused.empty()) Tell();
  return true;
}

void StreamState::Received(uint64_t through) {
  MutexLock lock(mu_);
  received_ = std::max(received_, through);
}

void StreamState::Refuse(uint64_t generation, Rejected rejected) {
  MutexLock lock(mu_);
  if (generation != generation_) return;
  rejected_.push_back(std::move(rejected));
  Tell();
}

void StreamState::Reject(Rejected rejected) {
  MutexLock lock(mu_);
  Remember(rejected);
  rejected_.push_back(std::move(rejected));
  Tell();
}

void StreamState::Remember(const Rejected& rejected) {
  if (!UsedUp(rejected.status)) return;
  if (remembered_.size() == kMostRemembered) remembered_.pop_front();
  remembered_.push_back(rejected);
}

void StreamState::Repeated(uint64_t first, uint64_t last) {
  MutexLock lock(mu_);
  ack_due_ = true;
  for (const Rejected& rejected : remembered_) {
    if (rejected.sequence >= first && rejected.sequence <= last) rejected_.push_back(rejected);
  }
  Tell();
}

bool StreamState::AwaitRejectedRoom(uint64_t generation) {
  MutexLock lock(mu_);
  while (generation == generation_ && ended_.ok() && rejected_.size() >= kMostRejected) room_.Wait(mu_);
  return generation == generation_ && ended_.ok();
}

void StreamState::Recorded(uint64_t through) {
  MutexLock lock(mu_);
  recorded_ = std::max(recorded_, through);
}

uint64_t StreamState::recorded_through() const {
  MutexLock lock(mu_);
  return recorded_;
}

void StreamState::Underway() {
  MutexLock lock(mu_);
  ++underway_;
}

void StreamState::Landed(uint64_t through, Token token, Ordinal end) {
  MutexLock lock(mu_);
  if (--underway_ == 0) through = std::max(through, std::exchange(done_behind_, 0));
  Reach(through, token, end);
}

void StreamState::Withdrawn() {
  MutexLock lock(mu_);
  if (--underway_ > 0 || done_behind_ == 0) return;
  Reach(std::exchange(done_behind_, 0), Token{}, 0);
}

void StreamState::Committed(uint64_t through, Token token, Ordinal end) {
  MutexLock lock(mu_);
  if (underway_ > 0) {
    done_behind_ = std::max(done_behind_, through);
  } else {
    Reach(through, token, end);
  }
}

void StreamState::Reach(uint64_t through, Token token, Ordinal end) {
  durable_ = std::max(durable_, through);
  if (token.position > token_.position) token_ = token;
  if (unindexed_.size() >= kMostUnindexed) {
    // Of two neighbours the later one speaks for both: the watermark moves in larger steps.
    SlimQueue<Unindexed> kept;
    for (size_t i = 1; i < unindexed_.size(); i += 2) kept.push_back(unindexed_[i]);
    unindexed_ = std::move(kept);
  }
  unindexed_.push_back({durable_, end});
  Advance();
  Tell();
}

}  // namespace engram
