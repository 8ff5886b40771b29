// A thread that does a chore once a second.
//
// Threads:  Start, RequestStop and Join from one. Ownership: the clock and what the chore needs outlive Join.
// Blocking: Join until a chore under way has ended. Errors: the chore deals with its own.
#pragma once

#include <functional>
#include <thread>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/thread_name.h"

namespace engram {

class Janitor {
 public:
  Janitor(Clock* clock, std::function<void()> chore) : clock_(clock), chore_(std::move(chore)) {}
  ~Janitor() {
    RequestStop();
    Join();
  }

  void Start() {
    thread_ = std::jthread([this] {
      NameThread("janitor");
      Run();
    });
  }
  // No chore begins after it.
  void RequestStop() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    stopping_ = true;
    stop_.NotifyAll();
  }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_) {
    constexpr std::chrono::seconds kPeriod{1};
    while (true) {
      const MonotonicTime next = clock_->Now() + kPeriod;
      {
        MutexLock lock(mu_);
        while (!stopping_ && clock_->Now() < next) clock_->WaitUntil(stop_, mu_, next);
        if (stopping_) return;
      }
      chore_();
    }
  }

  // Constant after construction.
  Clock* const clock_;
  const std::function<void()> chore_;

  Mutex mu_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::jthread thread_;
};

}  // namespace engram
