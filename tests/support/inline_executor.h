// An executor without threads: tasks wait until the test runs them, on its own thread, in an order drawn from a seed.
//
// Threads:  Submit from any; RunOne, RunAll and AwaitIdle run tasks on the caller's thread, which may be inside a task.
// Why:      what a pool does next depends on which task runs first; here a test decides it, and can decide it again.
#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mutex.h"

namespace engram::testing {

class InlineExecutor final : public Executor {
 public:
  explicit InlineExecutor(uint64_t seed = 1) : random_(seed) {}
  ~InlineExecutor() override { AwaitIdle(); }

  void Submit(WorkClass, Task task) override ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    tasks_.push_back(std::move(task));
    ++submitted_;
    arrival_.NotifyAll();
  }

  void RunHigh(const Task& task) override { task(); }

  void AwaitIdle() override ABSL_LOCKS_EXCLUDED(mu_) { RunAll(); }

  // Runs one of the waiting tasks; false when there is none.
  bool RunOne() ABSL_LOCKS_EXCLUDED(mu_) {
    Task task;
    {
      MutexLock lock(mu_);
      if (tasks_.empty()) return false;
      std::swap(tasks_[std::uniform_int_distribution<size_t>(0, tasks_.size() - 1)(random_)], tasks_.back());
      task = std::move(tasks_.back());
      tasks_.pop_back();
    }
    task();
    return true;
  }

  // Runs tasks, also those that they submit, until none waits.
  void RunAll() {
    while (RunOne()) {
    }
  }

  // Blocks until `count` tasks wait: another thread submits them.
  void AwaitQueued(size_t count) ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    while (tasks_.size() < count) arrival_.Wait(mu_);
  }

  size_t queued() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return tasks_.size();
  }
  // Tasks ever submitted.
  uint64_t submitted() const ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return submitted_;
  }

 private:
  mutable Mutex mu_;
  CondVar arrival_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mu_);
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mu_);
  uint64_t submitted_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram::testing
