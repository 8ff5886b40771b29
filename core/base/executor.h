// Where work runs. Three classes of it: recalls before batches before linking.
//
// Threads:   any may call. Blocking: Submit never does; RunHigh waits for a slot.
// Ownership: a task holds what it needs; the executor outlives every task (its destructor waits for them).
// Errors:    tasks do not throw (an exception that leaves one ends the process).
// Why:       oneTBB cannot be seen by ThreadSanitizer, so it stays behind this seam and the sanitizer runs plain threads.
#pragma once

#include <cstdint>
#include <functional>

namespace engram {

enum class WorkClass : uint8_t { kHigh, kNormal, kLow };

class Executor {
 public:
  using Task = std::function<void()>;

  virtual ~Executor() = default;

  // Runs `task` soon on some worker of that class. No order is promised between tasks.
  virtual void Submit(WorkClass work_class, Task task) = 0;
  // Runs `task` on the calling thread as soon as a high-priority slot is free, and returns when it has run.
  virtual void RunHigh(const Task& task) = 0;
  // Returns when no task of any class is queued or running. Only meaningful once nobody submits any more.
  virtual void AwaitIdle() = 0;
};

}  // namespace engram
