// Keeps the graphs catching up with their slabs, behind everything else.
//
// Threads:  any; links on the executor's low class, one task per space at a time. Ownership: the executor outlives it; its
//           tasks share their space. Blocking: the destructor, until the last task has ended.
// Errors:   linking that runs out of memory stops until the space's next commit; the scan finds everything meanwhile.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "core/base/executor.h"
#include "core/space.h"

namespace engram {

class Linker {
 public:
  // `on_linked` is told of a space whose graph came further; from any thread.
  Linker(Executor* executor, std::function<void(const Space&)> on_linked)
      : executor_(executor), on_linked_(std::move(on_linked)) {}
  ~Linker() { Stop(); }

  // Sees to it that the space is being linked while it has a backlog.
  void Schedule(const std::shared_ptr<Space>& space);
  // No more Schedule; waits for what is linking.
  void Stop();

  // Linking holds back between the two.
  void RecallBegins() { recalls_.fetch_add(1, std::memory_order_relaxed); }
  void RecallEnds() { recalls_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  void LinkSome(const std::shared_ptr<Space>& space);

  // Constant after construction.
  Executor* const executor_;
  const std::function<void(const Space&)> on_linked_;
  // Atomic: a sum, and a one-way flag.
  std::atomic<int64_t> recalls_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace engram
