#include "core/stream/capacity_gate.h"

#include <algorithm>

#include "core/base/check.h"

namespace engram {

CapacityGate::CapacityGate(uint64_t capacity, double high_ratio, Clock* clock)
    : capacity_(capacity),
      high_share_(static_cast<uint64_t>(static_cast<double>(capacity) * high_ratio)),
      shares_{capacity - high_share_, high_share_ > 0 ? high_share_ : capacity},
      clock_(clock),
      window_start_(clock->Now()),
      emptied_(window_start_) {}

uint64_t CapacityGate::TakeUpTo(Priority share, uint64_t want, uint64_t spare) {
  const size_t place = Place(share);
  MutexLock lock(mu_);
  const uint64_t granted = std::min(want, Free(place, spare));
  // Time without work says nothing about the speed.
  if (granted > 0 && Taken() == 0) window_start_ += clock_->Now() - emptied_;
  taken_[place] += granted;
  peak_ = std::max(peak_, Taken());
  return granted;
}

void CapacityGate::Release(Priority share, uint64_t units) {
  if (units == 0) return;
  const size_t place = Place(share);
  const MonotonicTime now = clock_->Now();
  MutexLock lock(mu_);
  ENGRAM_CHECK(taken_[place] >= units);
  taken_[place] -= units;
  if (Taken() == 0) emptied_ = now;
  window_units_ += units;
  const double seconds = std::chrono::duration<double>(now - window_start_).count();
  if (seconds >= 0.1) {
    const double latest = static_cast<double>(window_units_) / seconds;
    speed_ = speed_ == 0 ? latest : (speed_ + latest) / 2;
    window_units_ = 0;
    window_start_ = now;
  }
  if (waiting_ > 0) room_.NotifyAll();
}

void CapacityGate::Return(Priority share, uint64_t units) {
  if (units == 0) return;
  const size_t place = Place(share);
  MutexLock lock(mu_);
  ENGRAM_CHECK(taken_[place] >= units);
  taken_[place] -= units;
  if (Taken() == 0) emptied_ = clock_->Now();
  if (waiting_ > 0) room_.NotifyAll();
}

bool CapacityGate::AwaitRoom(Priority share, uint64_t units, MonotonicTime deadline, uint64_t spare, uint64_t least) {
  const size_t place = Place(share);
  const uint64_t enough = std::max(std::clamp<uint64_t>(shares_[place] / 8, 1, std::max<uint64_t>(units, 1)), least);
  MutexLock lock(mu_);
  ++waiting_;
  bool in_time = true;
  while (!shut_ && in_time && Free(place, spare) < enough) {
    in_time = clock_->WaitUntil(room_, mu_, deadline);
  }
  --waiting_;
  return !shut_ && Free(place, spare) > 0;
}

void CapacityGate::Shut() {
  MutexLock lock(mu_);
  shut_ = true;
  room_.NotifyAll();
}

void CapacityGate::Reopen() {
  MutexLock lock(mu_);
  shut_ = false;
}

uint64_t CapacityGate::fill() const {
  MutexLock lock(mu_);
  if (high_share_ == 0) return Taken();
  const auto of_all = [this](size_t place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return static_cast<double>(taken_[place]) / static_cast<double>(shares_[place]) * static_cast<double>(capacity_);
  };
  return static_cast<uint64_t>(std::max(of_all(0), of_all(1)));
}

uint64_t CapacityGate::depth() const {
  MutexLock lock(mu_);
  return Taken();
}

uint64_t CapacityGate::peak() const {
  MutexLock lock(mu_);
  return peak_;
}

Duration CapacityGate::RetryAfter() const {
  MutexLock lock(mu_);
  const double excess = static_cast<double>(Taken()) - 0.4 * static_cast<double>(capacity_);
  if (speed_ <= 0) return Duration{100'000};
  return Duration{static_cast<int64_t>(std::clamp(excess / speed_ * 1e6, 1e3, 60e6))};
}

}  // namespace engram
