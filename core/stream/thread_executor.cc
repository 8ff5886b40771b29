#include "core/stream/thread_executor.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/thread_name.h"

namespace engram {

ThreadExecutor::ThreadExecutor(unsigned threads, int niceness, const char* name) : slots_(std::max(threads, 1u)) {
  for (unsigned i = 0; i < slots_; ++i) {
    threads_.emplace_back([this, niceness, name] {
      NameThread(name);
      Loop(niceness);
    });
  }
}

ThreadExecutor::~ThreadExecutor() {
  AwaitIdle();
  {
    MutexLock lock(mu_);
    stopping_ = true;
    work_.NotifyAll();
  }
  threads_.clear();
}

void ThreadExecutor::Submit(WorkClass work_class, Task task) {
  MutexLock lock(mu_);
  tasks_[static_cast<size_t>(work_class)].push_back(std::move(task));
  work_.NotifyOne();
}

void ThreadExecutor::RunHigh(const Task& task) {
  {
    MutexLock lock(mu_);
    while (high_ >= slots_) slot_.Wait(mu_);
    ++high_;
  }
  task();
  MutexLock lock(mu_);
  --high_;
  slot_.NotifyOne();
}

void ThreadExecutor::AwaitIdle() {
  MutexLock lock(mu_);
  while (running_ > 0 || std::any_of(tasks_.begin(), tasks_.end(), [](const auto& t) { return !t.empty(); })) {
    idle_.Wait(mu_);
  }
}

void ThreadExecutor::Loop(int niceness) {
  // Linux keeps a niceness for each thread. Without the right to change it the thread runs like any other.
  if (niceness != 0) setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness);
  MutexLock lock(mu_);
  while (true) {
    auto waiting = std::find_if(tasks_.begin(), tasks_.end(), [](const auto& t) { return !t.empty(); });
    if (waiting == tasks_.end()) {
      if (stopping_) return;
      work_.Wait(mu_);
      continue;
    }
    Task task = std::move(waiting->front());
    waiting->pop_front();
    ++running_;
    mu_.unlock();
    task();
    task = nullptr;  // What it holds is let go before it counts as done.
    mu_.lock();
    if (--running_ == 0) idle_.NotifyAll();
  }
}

}  // namespace engram
