#include "core/stream/tbb_executor.h"

#include <sys/resource.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

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

class TbbExecutor final : public Executor {
 public:
  explicit TbbExecutor(unsigned slots)
      : parallelism_(tbb::global_control::max_allowed_parallelism, slots + kHighSlots + 1),
        callers_(CallerSlots(slots)),
        high_(callers_ + kHighSlots, static_cast<unsigned>(callers_), tbb::task_arena::priority::high),
        normal_(static_cast<int>(slots), 0, tbb::task_arena::priority::normal),
        low_(kLowSlots, kLowNiceness, "linker") {
    high_.initialize();
    normal_.initialize();
    workers_.emplace(normal_, kNormalNiceness);
  }

  ~TbbExecutor() override {
    AwaitIdle();
    workers_.reset();
  }

  void Submit(WorkClass work_class, Task task) override {
    {
      MutexLock lock(mu_);
      ++pending_;
    }
    // oneTBB keeps the functor const and ends the process when a body throws.
    auto counted = [this, task = std::move(task)]() noexcept {
      task();
      const_cast<Task&>(task) = nullptr;  // What it holds is let go before it counts as done.
      MutexLock lock(mu_);
      if (--pending_ == 0) idle_.NotifyAll();
    };
    if (work_class == WorkClass::kLow) {
      low_.Submit(work_class, std::move(counted));
    } else {
      (work_class == WorkClass::kHigh ? high_ : normal_).enqueue(std::move(counted));
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

  static int CallerSlots(unsigned slots) { return std::max(static_cast<int>(slots), EffectiveCpus()); }

  // Keeps oneTBB from capping the workers at the number of cores.
  tbb::global_control parallelism_;
  // Constant after construction.
  const int callers_;
  tbb::task_arena high_;
  tbb::task_arena normal_;
  std::optional<Workers> workers_;
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

std::unique_ptr<Executor> MakeTbbExecutor(unsigned slots) { return std::make_unique<TbbExecutor>(slots); }

}  // namespace engram
