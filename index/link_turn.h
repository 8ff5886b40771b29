// A turn of linking that several threads share: who inserts which ordinal, and how far all before is in.
//
// Ordinals are handed out in order, one at a time, and may come back in any order. What lies below the watermark is in the
// graph, links and all, or is dead to every view.
//
// Threads:   Open, Close and AwaitOthers: the linker. Take and Done: any thread; Take's `skip` runs under the mutex.
// Ownership: the watermark outlives it, and only it writes there.
// Blocking:  AwaitOthers, until what others have taken is done: an insertion each. The rest for a moment.
// Errors:    what `skip` throws leaves Take, and nothing is taken.
// Why:       an insertion takes a hundred microseconds and more, a turn's mutex a fraction of one; so ordinals need not be
//            handed out by the dozen, nobody waits long at the end, and one that is slow holds back nobody else's.
#pragma once

#include <absl/base/thread_annotations.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/base/mutex.h"
#include "core/base/types.h"

namespace engram {

class CodeGraph;

class LinkTurn {
 public:
  // More find nothing to take.
  static constexpr size_t kMostThreads = 16;

  struct Taken {
    Ordinal ordinal = kNoOrdinal;  // kNoOrdinal: there is nothing to take.
    CodeGraph* graph = nullptr;
  };

  // Stores into `through` what pairs with whoever loads it to acquire.
  explicit LinkTurn(std::atomic<Ordinal>& through) : through_(through) {}

  // Hands out up to `most` ordinals from the watermark up to `end`.
  void Open(CodeGraph* graph, Ordinal end, uint32_t most) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    graph_ = graph;
    next_ = through_.load(std::memory_order_relaxed);
    end_ = end;
    left_ = most;
    failed_ = kNoOrdinal;
  }
  // Hands out no more.
  void Close() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    left_ = 0;
  }
  // After Close, when the caller has nothing taken.
  void AwaitOthers() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    while (taken_count_ != 0) others_done_.Wait(mu_);
    graph_ = nullptr;
  }

  // The next one that `skip` does not pass over.
  Taken Take(const std::function<bool(Ordinal)>& skip) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (left_ == 0 || taken_count_ == kMostThreads) return {};
    while (next_ < end_ && skip(next_)) ++next_;
    Taken taken;
    if (next_ < end_) {
      --left_;
      taken = {next_, graph_};
      taken_[taken_count_++] = next_++;
    }
    Advance();
    return taken;
  }
  // `inserted` is false when it could not be: the turn ends, and the next one begins there.
  void Done(const Taken& taken, bool inserted) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    for (size_t i = 0; i < taken_count_; ++i) {
      if (taken_[i] == taken.ordinal) taken_[i] = taken_[--taken_count_];
    }
    if (!inserted) {
      failed_ = std::min(failed_, taken.ordinal);
      left_ = 0;
    }
    Advance();
    if (taken_count_ == 0) others_done_.NotifyAll();
  }

 private:
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Ordinal through = std::min(next_, failed_);
    for (size_t i = 0; i < taken_count_; ++i) through = std::min(through, taken_[i]);
    through_.store(through, std::memory_order_release);
  }

  // Atomic: the watermark, read by everybody.
  std::atomic<Ordinal>& through_;

  Mutex mu_;
  CondVar others_done_;
  CodeGraph* graph_ ABSL_GUARDED_BY(mu_) = nullptr;
  Ordinal next_ ABSL_GUARDED_BY(mu_) = 0;
  Ordinal end_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t left_ ABSL_GUARDED_BY(mu_) = 0;
  Ordinal failed_ ABSL_GUARDED_BY(mu_) = kNoOrdinal;
  // What threads are at, in no order.
  std::array<Ordinal, kMostThreads> taken_ ABSL_GUARDED_BY(mu_);
  size_t taken_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram
