// A listener that somebody waits on: for calls that are answered when their own acknowledgement comes.
//
// Threads: OnProgress from any, Await from one. Ownership: the clock outlives it. Blocking: Await, until progress or the
// deadline.
#pragma once

#include <utility>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/observe_stream.h"

namespace engram {

class OneShotListener final : public StreamListener {
 public:
  explicit OneShotListener(Clock* clock) : clock_(clock) {}
  void OnProgress() noexcept override {
    MutexLock lock(mu_);
    moved_ = true;
    cv_.NotifyAll();
  }
  // False at the deadline.
  bool Await(MonotonicTime deadline) {
    MutexLock lock(mu_);
    bool in_time = true;
    while (!moved_ && in_time) in_time = clock_->WaitUntil(cv_, mu_, deadline);
    return std::exchange(moved_, false);
  }

 private:
  Clock* const clock_;
  Mutex mu_;
  CondVar cv_;
  bool moved_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace engram
