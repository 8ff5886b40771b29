// An executor of plain threads: what ThreadSanitizer can see into. Same contract as the oneTBB one.
#pragma once

#include <deque>
#include <array>
#include <thread>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mutex.h"

namespace engram {

class ThreadExecutor final : public Executor {
 public:
  // `threads` run tasks, the highest class first; as many callers of RunHigh run beside them. The threads step back for
  // others by `niceness`, 0..19. `name` outlives the call.
  explicit ThreadExecutor(unsigned threads, int niceness = 0, const char* name = "worker");
  ~ThreadExecutor() override;

  void Submit(WorkClass work_class, Task task) override ABSL_LOCKS_EXCLUDED(mu_);
  void RunHigh(const Task& task) override ABSL_LOCKS_EXCLUDED(mu_);
  void AwaitIdle() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Loop(int niceness) ABSL_LOCKS_EXCLUDED(mu_);

  const unsigned slots_;
  Mutex mu_;
  CondVar work_;
  CondVar slot_;
  CondVar idle_;
  std::array<std::deque<Task>, 3> tasks_ ABSL_GUARDED_BY(mu_);
  unsigned running_ ABSL_GUARDED_BY(mu_) = 0;
  unsigned high_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace engram
