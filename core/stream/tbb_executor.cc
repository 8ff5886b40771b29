#include "core/stream/tbb_executor.h"

#include <sys/resource.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "core/base/clock.h"
#include "core/base/effective_cpus.h"
#include "core/base/mutex.h"
#include "core/base/thread_name.h"
#include "core/stream/thread_executor.h"

namespace engram {
namespace {

// Gives oneTBB's threads their name and niceness when they first come into an arena. They keep both: without a privilege a
// thread cannot take the latter back.
class Workers final : public tbb::task_scheduler_observer {
 public:
  Workers(tbb::task_arena& arena, int niceness) : tbb::task_scheduler_observer(arena), niceness_(niceness) {
    observe(true);
  }
  ~Workers() override { observe(false); }

  void on_scheduler_entry(bool is_worker) override {
    thread_local bool set = false;
    if (!is_worker || set) return;
    set = true;
    NameThread("worker");
    const auto self = static_cast<id_t>(gettid());
    // A daemon that was started further back stays there.
    setpriority(PRIO_PROCESS, self, std::max(getpriority(PRIO_PROCESS, self), niceness_));
  }

 private:
  const int niceness_;
};

// Tasks for the threads of an arena, which wait here for the next one before they go back to oneTBB. One that goes back
// spins and yields there for some hundred microseconds before it sleeps, and again after each task: with a thousand
// arrivals a second that was most of what they cost.
class Runners {
 public:
  // At most `most` of them at one time; each waits `stay`.
  Runners(tbb::task_arena& arena, size_t most, Duration stay) : arena_(arena), most_(most), stay_(stay) {}
  ~Runners() {
    MutexLock lock(mu_);
    stopping_ = true;
    work_.NotifyAll();
    while (running_ != 0) gone_.Wait(mu_);
  }

  void Submit(Executor::Task task) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      tasks_.push_back(std::move(task));
      if (waiting_ != 0) work_.NotifyOne();
      if (tasks_.size() <= waiting_ || running_ == most_) return;
      ++running_;
    }
    try {
      arena_.enqueue([this]() noexcept { Run(); });
    } catch (...) {
      MutexLock lock(mu_);
      // Another thread takes the task or has taken it, or one that is started for the next; else it is the caller's again.
      if (--running_ != 0 || tasks_.size() != 1) return;
      tasks_.pop_front();
      throw;
    }
  }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_) {
    while (std::optional<Executor::Task> task = Next()) (*task)();
  }

  // Nothing when this thread is to go.
  std::optional<Executor::Task> Next() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    const MonotonicTime until = clock_.Now() + stay_;
    ++waiting_;
    while (tasks_.empty() && !stopping_ && clock_.WaitUntil(work_, mu_, until)) {
    }
    --waiting_;
    if (tasks_.empty()) {
      --running_;
      gone_.NotifyAll();
      return std::nullopt;
    }
    Executor::Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

  // Constant after construction.
  tbb::task_arena& arena_;
  const size_t most_;
  const Duration stay_;
  RealClock clock_;

  Mutex mu_;
  CondVar work_;
  CondVar gone_;
  std::deque<Executor::Task> tasks_ ABSL_GUARDED_BY(mu_);
  // Threads of the arena that run tasks or are on their way, and those of them that wait.
  size_t running_ ABSL_GUARDED_BY(mu_) = 0;
  size_t waiting_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

class TbbExecutor final : public Executor {
 public:
  TbbExecutor(unsigned slots, Duration stay)
      : parallelism_(tbb::global_control::max_allowed_parallelism, slots + kHighSlots + 1),
        callers_(CallerSlots(slots)),
        high_(callers_ + kHighSlots, static_cast<unsigned>(callers_), tbb::task_arena::priority::high),
        normal_(static_cast<int>(slots), 0, tbb::task_arena::priority::normal),
        low_(kLowSlots, kLowNiceness, "linker") {
    high_.initialize();
    normal_.initialize();
    workers_.emplace(normal_, kNormalNiceness);
    runners_.emplace(normal_, slots, stay);
  }

  ~TbbExecutor() override {
    AwaitIdle();
    runners_.reset();
    workers_.reset();
  }

  void Submit(WorkClass work_class, Task task) override {
    {
      MutexLock lock(mu_);
      ++pending_;
    }
    try {
      Start(work_class, std::move(task));
    } catch (...) {
      Ended();
      throw;
    }
  }

  void RunHigh(const Task& task) override {
    {
      // Without a free slot oneTBB would run the task on some other thread.
      MutexLock lock(mu_);
      while (calling_ >= callers_) slot_.Wait(mu_);
      ++calling_;
    }
    high_.execute(task);
    MutexLock lock(mu_);
    --calling_;
    slot_.NotifyOne();
  }

  void AwaitIdle() override {
    MutexLock lock(mu_);
    while (pending_ != 0) idle_.Wait(mu_);
  }

 private:
  // Linkers are threads of their own: an arena's priority orders only what oneTBB starts, while the machine's scheduler
  // decides between a linker that runs and a recall on its caller's thread. Nice 10 gives it a tenth of a contended core.
  static constexpr int kLowSlots = 2;
  static constexpr int kLowNiceness = 10;
  // Of the workers, which come before linkers and behind recalls: a third of a contended core.
  static constexpr int kNormalNiceness = 5;
  // For submitted high tasks: into slots kept for callers no worker of oneTBB goes.
  static constexpr int kHighSlots = 1;

  void Start(WorkClass work_class, Task task) {
    // oneTBB keeps the functor const and ends the process when a body throws.
    auto counted = [this, task = std::move(task)]() noexcept {
      task();
      const_cast<Task&>(task) = nullptr;  // What it holds is let go before it counts as done.
      Ended();
    };
    switch (work_class) {
      case WorkClass::kHigh:
        return high_.enqueue(std::move(counted));
      case WorkClass::kNormal:
        return runners_->Submit(std::move(counted));
      case WorkClass::kLow:
        return low_.Submit(work_class, std::move(counted));
    }
  }

  void Ended() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    if (--pending_ == 0) idle_.NotifyAll();
  }

  static int CallerSlots(unsigned slots) { return std::max(static_cast<int>(slots), EffectiveCpus()); }

  // Keeps oneTBB from capping the workers at the number of cores.
  tbb::global_control parallelism_;
  // Constant after construction.
  const int callers_;
  tbb::task_arena high_;
  tbb::task_arena normal_;
  std::optional<Workers> workers_;
  std::optional<Runners> runners_;
  ThreadExecutor low_;
  Mutex mu_;
  CondVar idle_;
  CondVar slot_;
  // Tasks submitted and not finished.
  uint64_t pending_ ABSL_GUARDED_BY(mu_) = 0;
  // Threads in RunHigh that have a slot.
  int calling_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace

std::unique_ptr<Executor> MakeTbbExecutor(unsigned slots, Duration stay) {
  return std::make_unique<TbbExecutor>(slots, stay);
}

}  // namespace engram
