// A shared/exclusive lock in which neither side starves.
//
// Threads:  any. Not recursive, and a shared hold cannot be raised to an exclusive one.
// Blocking: a waiting exclusive request lets nobody else in, so it waits for the present shared holders only; the shared
//           requests that gathered meanwhile all enter before the next exclusive one.
// Why:      glibc's reader-writer lock prefers readers, and a stream of searches then keeps a graph from ever growing.
#pragma once

#include <absl/base/thread_annotations.h>

#include <cstdint>

#include "core/base/mutex.h"

namespace engram {

class ABSL_LOCKABLE PhaseLock {
 public:
  PhaseLock() = default;
  PhaseLock(const PhaseLock&) = delete;
  PhaseLock& operator=(const PhaseLock&) = delete;

  void LockShared() ABSL_SHARED_LOCK_FUNCTION() {
    MutexLock lock(mu_);
    if (!exclusive_ && exclusive_waiting_ == 0) {
      ++shared_;
      return;
    }
    // The exclusive holder that ends this phase counts us in, so a new exclusive request cannot overtake.
    const uint64_t phase = phase_;
    ++shared_waiting_;
    while (phase_ == phase) shared_turn_.Wait(mu_);
  }

  void UnlockShared() ABSL_UNLOCK_FUNCTION() {
    MutexLock lock(mu_);
    if (--shared_ == 0 && exclusive_waiting_ != 0) exclusive_turn_.NotifyOne();
  }

  void LockExclusive() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    MutexLock lock(mu_);
    ++exclusive_waiting_;
    while (exclusive_ || shared_ != 0) exclusive_turn_.Wait(mu_);
    --exclusive_waiting_;
    exclusive_ = true;
  }

  void UnlockExclusive() ABSL_UNLOCK_FUNCTION() {
    MutexLock lock(mu_);
    exclusive_ = false;
    ++phase_;
    shared_ = shared_waiting_;
    shared_waiting_ = 0;
    if (shared_ != 0) {
      shared_turn_.NotifyAll();
    } else if (exclusive_waiting_ != 0) {
      exclusive_turn_.NotifyOne();
    }
  }

 private:
  Mutex mu_;
  CondVar shared_turn_;
  CondVar exclusive_turn_;
  uint64_t phase_ ABSL_GUARDED_BY(mu_) = 0;  // Exclusive holds that have ended.
  uint32_t shared_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t shared_waiting_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t exclusive_waiting_ ABSL_GUARDED_BY(mu_) = 0;
  bool exclusive_ ABSL_GUARDED_BY(mu_) = false;
};

class ABSL_SCOPED_LOCKABLE SharedPhase {
 public:
  explicit SharedPhase(PhaseLock& lock) ABSL_SHARED_LOCK_FUNCTION(lock) : lock_(lock) { lock_.LockShared(); }
  ~SharedPhase() ABSL_UNLOCK_FUNCTION() { lock_.UnlockShared(); }
  SharedPhase(const SharedPhase&) = delete;
  SharedPhase& operator=(const SharedPhase&) = delete;

 private:
  PhaseLock& lock_;
};

class ABSL_SCOPED_LOCKABLE ExclusivePhase {
 public:
  explicit ExclusivePhase(PhaseLock& lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock) : lock_(lock) { lock_.LockExclusive(); }
  ~ExclusivePhase() ABSL_UNLOCK_FUNCTION() { lock_.UnlockExclusive(); }
  ExclusivePhase(const ExclusivePhase&) = delete;
  ExclusivePhase& operator=(const ExclusivePhase&) = delete;

 private:
  PhaseLock& lock_;
};

}  // namespace engram
