// The workers: num_workers logical ones, each at home in one lane, run as tasks of an executor.
//
// A worker that is awake takes batches from its own lane, else a whole batch from the deepest lane beyond steal_threshold,
// else it goes idle: with idle_sleep 0 one worker at a time polls all lanes before parking; otherwise arrivals gather for
// at most idle_sleep before a worker is woken (a full smallest batch, or high work, wakes it at once).
//
// Threads:   Push from any. One thread of its own, the gatherer, which only waits for time and wakes workers.
// Ownership: the executor, clock and handler outlive it. Its destructor finishes what was pushed.
// Blocking:  Push never; AwaitIdle until everything pushed is done.
// Errors:    a batch that throws or fails is counted, retried once one observation at a time, and only what fails alone is
//            refused. A worker never ends by an exception.
// Why:       oneTBB has no steal threshold and no order between tasks, so both live here; it decides only which thread runs
//            a worker.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/stream/batch_handler.h"
#include "core/stream/lane.h"

namespace engram {

// The knobs that can change at run time.
struct WorkerTuning {
  uint64_t min_batch = 10;
  uint64_t max_batch = 500;
  uint64_t steal_threshold = 1000;
  Duration idle_sleep{1000};
};

class WorkerPool {
 public:
  WorkerPool(size_t workers, uint64_t queue_capacity, const WorkerTuning& tuning, BatchHandler* handler,
             Executor* executor, Clock* clock);
  ~WorkerPool();

  void Push(size_t lane, const std::shared_ptr<SpaceQueue>& space, Slice slice) ABSL_LOCKS_EXCLUDED(gather_mu_);
  void Tune(const WorkerTuning& tuning);

  // Waits until nothing pushed is unfinished; false at the deadline.
  bool AwaitIdle(MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(idle_mu_);
  uint64_t unfinished() const { return unfinished_.load(std::memory_order_acquire); }

  size_t lanes() const { return workers_.size(); }
  const Lane& lane(size_t index) const { return workers_[index]->lane; }

  struct WorkerReading {
    uint64_t batches = 0;
    uint64_t stolen = 0;
    uint64_t polls = 0;     // Rounds of looking for work without parking (idle_sleep 0).
    uint64_t gathered = 0;  // Times it was woken by the gatherer.
    Duration busy{0};
  };
  WorkerReading Read(size_t worker) const;

 private:
  enum class State : uint8_t { kIdle, kAwake };

  struct Worker {
    Lane lane;
    // Atomic: hands the right to run this worker from one thread to the next (acquire/release through compare-exchange).
    std::atomic<State> state{State::kIdle};
    // Atomic: counters for Read.
    std::atomic<uint64_t> batches{0}, stolen{0}, polls{0}, gathered{0};
    std::atomic<int64_t> busy_ns{0};
  };

  // A task: worker `index`, whose state is kAwake, until it is idle.
  void Run(size_t index) noexcept;
  // Takes turns until there is nothing to do (true, the worker is idle) or its quantum is over (false, it goes on in
  // another task).
  bool RunTurns(size_t index);
  // Takes and processes one batch; false when there was none.
  bool Turn(size_t index);
  std::optional<size_t> Victim(size_t thief) const;
  void Process(const Batch& batch, size_t worker, bool stolen);
  void RetryOneByOne(const Portion& portion);
  // Becomes awake if it was idle, and runs as a task.
  bool Wake(size_t index);
  // Lets another worker help with a lane that is beyond the threshold.
  void OfferBatches(size_t lane);
  // With idle_sleep 0: looks for work for a while. The worker it made awake, for the caller to run.
  std::optional<size_t> Poll(size_t index);
  void ArmGather(size_t lane, Duration after) ABSL_LOCKS_EXCLUDED(gather_mu_);
  void GatherLoop(const std::stop_token& stop) ABSL_LOCKS_EXCLUDED(gather_mu_);
  void Finished(uint64_t slices) ABSL_LOCKS_EXCLUDED(idle_mu_);

  // Constant after construction.
  const uint64_t lane_capacity_;
  BatchHandler* const handler_;
  Executor* const executor_;
  Clock* const clock_;
  std::vector<std::unique_ptr<Worker>> workers_;

  // Atomic: each knob is read by itself, once a turn.
  std::atomic<uint64_t> min_batch_, max_batch_, steal_threshold_;
  std::atomic<int64_t> idle_sleep_us_;
  // Atomic: slices pushed and not finished; zero releases AwaitIdle.
  std::atomic<uint64_t> unfinished_{0};
  // Atomic: chains of tasks of ours in the executor, so that the destructor can wait for the last one.
  std::atomic<uint64_t> tasks_{0};
  // Atomic: some worker polls. Set and cleared with seq_cst, see Push.
  std::atomic<bool> polling_{false};
  std::atomic<bool> stopping_{false};

  Mutex idle_mu_;
  CondVar idle_;

  Mutex gather_mu_;
  CondVar gather_;
  std::vector<MonotonicTime> gather_due_ ABSL_GUARDED_BY(gather_mu_);  // MonotonicTime::max(): not armed.
  std::jthread gatherer_;
};

}  // namespace engram
