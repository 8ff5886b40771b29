#include "core/stream/worker_pool.h"

#include <sched.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "core/base/thread_name.h"
#include "core/stream/batch_size.h"

namespace engram {
namespace {

// A worker hands its slot back this often, so lanes share the slots when there are fewer of these than workers.
constexpr Duration kQuantum{2000};
// A poller that found nothing for this long parks after all; the next arrival wakes a worker at once.
constexpr Duration kPollFor{50'000};
// A yield that takes longer has let another thread run.
constexpr Duration kOthersRan{20};
// The same bound in rounds, for a clock that stands still.
constexpr uint64_t kPollRounds = 1'000'000;

}  // namespace

WorkerPool::WorkerPool(size_t workers, uint64_t queue_capacity, const WorkerTuning& tuning, BatchHandler* handler,
                       Executor* executor, Clock* clock)
    : lane_capacity_(std::max<uint64_t>(queue_capacity / workers, 1)),
      handler_(handler),
      executor_(executor),
      clock_(clock),
      gather_due_(workers, MonotonicTime::max()) {
  for (size_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>());
  Tune(tuning);
  gatherer_ = std::jthread([this](const std::stop_token& stop) {
    NameThread("gatherer");
    GatherLoop(stop);
  });
}

WorkerPool::~WorkerPool() {
  AwaitIdle(MonotonicTime::max());
  stopping_.store(true);
  {
    MutexLock lock(gather_mu_);
    gatherer_.request_stop();
    gather_.NotifyAll();
  }
  gatherer_.join();
  MutexLock lock(idle_mu_);
  while (tasks_.load() != 0) idle_.Wait(idle_mu_);
}

void WorkerPool::Tune(const WorkerTuning& tuning) {
  min_batch_.store(tuning.min_batch, std::memory_order_relaxed);
  max_batch_.store(tuning.max_batch, std::memory_order_relaxed);
  steal_threshold_.store(tuning.steal_threshold, std::memory_order_relaxed);
  idle_sleep_us_.store(tuning.idle_sleep.count(), std::memory_order_relaxed);
}

void WorkerPool::Push(size_t lane, const std::shared_ptr<SpaceQueue>& space, Slice slice) {
  const bool high = slice.frame->priority == Priority::kHigh;
  Worker& worker = *workers_[lane];
  unfinished_.fetch_add(1, std::memory_order_relaxed);
  worker.lane.Push(space, std::move(slice));
  // Pairs with the fences in Run and Poll: either they see the slice, or this sees them idle.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (worker.state.load() == State::kIdle && !polling_.load()) {
    const Duration sleep{idle_sleep_us_.load(std::memory_order_relaxed)};
    if (sleep.count() == 0 || high || worker.lane.depth() >= min_batch_.load(std::memory_order_relaxed)) {
      Wake(lane);
    } else {
      ArmGather(lane, sleep);
    }
  }
  OfferBatches(lane);
}

void WorkerPool::OfferBatches(size_t lane) {
  const Lane& deep = workers_[lane]->lane;
  if (deep.depth() <= steal_threshold_.load(std::memory_order_relaxed) || !deep.Ready()) return;
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (i != lane && workers_[i]->state.load() == State::kIdle && Wake(i)) return;
  }
}

bool WorkerPool::Wake(size_t index) {
  State idle = State::kIdle;
  if (!workers_[index]->state.compare_exchange_strong(idle, State::kAwake)) return false;
  tasks_.fetch_add(1);
  executor_->Submit(WorkClass::kNormal, [this, index] { Run(index); });
  return true;
}

void WorkerPool::Run(size_t index) noexcept {
  std::optional<size_t> next = index;
  while (next) {
    if (!RunTurns(*next)) return;  // It goes on in another task.
    next = idle_sleep_us_.load(std::memory_order_relaxed) == 0 ? Poll(*next) : std::nullopt;
  }
  // The last use of this object: the destructor may be waiting for it.
  MutexLock lock(idle_mu_);
  if (tasks_.fetch_sub(1) == 1) idle_.NotifyAll();
}

bool WorkerPool::RunTurns(size_t index) {
  Worker& worker = *workers_[index];
  const MonotonicTime start = clock_->Now();
  const auto count_busy = [&] {
    const MonotonicTime now = clock_->Now();
    worker.busy_ns.fetch_add(std::chrono::nanoseconds(now - start).count(), std::memory_order_relaxed);
  };
  while (true) {
    if (Turn(index)) {
      if (clock_->Now() - start < kQuantum) continue;
      count_busy();
      executor_->Submit(WorkClass::kNormal, [this, index] { Run(index); });
      return false;
    }
    worker.state.store(State::kIdle);
    // Pairs with the fence in Push.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    State idle = State::kIdle;
    if (!worker.lane.Ready() && !Victim(index)) break;
    if (!worker.state.compare_exchange_strong(idle, State::kAwake)) break;
  }
  count_busy();
  return true;
}

std::optional<size_t> WorkerPool::Poll(size_t index) {
  bool nobody = false;
  if (stopping_.load() || !polling_.compare_exchange_strong(nobody, true)) return std::nullopt;
  const MonotonicTime start = clock_->Now();
  std::optional<size_t> found;
  for (uint64_t round = 1; round < kPollRounds && !stopping_.load(); ++round) {
    for (size_t lane = 0; lane < workers_.size() && !found; ++lane) {
      Worker& worker = *workers_[lane];
      State idle = State::kIdle;
      if (worker.lane.Ready() && worker.state.compare_exchange_strong(idle, State::kAwake)) found = lane;
    }
    // Somebody may have woken this worker to steal: its task needs the slot that the polling occupies.
    if (found || workers_[index]->state.load() == State::kAwake) break;
    workers_[index]->polls.fetch_add(1, std::memory_order_relaxed);
    const MonotonicTime before = clock_->Now();
    if (before - start > kPollFor) break;
    sched_yield();
    // Somebody else had use for the core: the work that is polled for comes sooner when it is left to them.
    if (clock_->Now() - before > kOthersRan) break;
  }
  polling_.store(false);
  // Pairs with the fence in Push: what arrived while polling_ was still seen set is woken here, also beside the lane that
  // was found.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (size_t lane = 0; lane < workers_.size(); ++lane) {
    if (lane != found && workers_[lane]->lane.Ready()) Wake(lane);
  }
  return found;
}

std::optional<size_t> WorkerPool::Victim(size_t thief) const {
  uint64_t deepest = steal_threshold_.load(std::memory_order_relaxed);
  std::optional<size_t> victim;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const uint64_t depth = workers_[i]->lane.depth();
    if (i != thief && depth > deepest && workers_[i]->lane.Ready()) {
      deepest = depth;
      victim = i;
    }
  }
  return victim;
}

bool WorkerPool::Turn(size_t index) {
  const uint64_t least = min_batch_.load(std::memory_order_relaxed);
  const uint64_t most = max_batch_.load(std::memory_order_relaxed);
  Worker& worker = *workers_[index];
  Lane* lane = &worker.lane;
  std::optional<Batch> batch = lane->Take(BatchSize(lane->depth(), lane_capacity_, least, most));
  size_t home = index;
  if (!batch) {
    const std::optional<size_t> victim = Victim(index);
    if (!victim) return false;
    home = *victim;
    lane = &workers_[home]->lane;
    batch = lane->Take(BatchSize(lane->depth(), lane_capacity_, least, most));
    if (!batch) return false;
    worker.stolen.fetch_add(1, std::memory_order_relaxed);
  }
  batch->turn = {.begun = clock_->Now(),
                 .number = worker.batches.fetch_add(1, std::memory_order_relaxed) + 1,
                 .observations = batch->observations,
                 .worker = static_cast<uint32_t>(index),
                 .lane = static_cast<uint32_t>(home)};
  for (Portion& portion : batch->portions) portion.turn = batch->turn;
  OfferBatches(home);
  Process(*batch, index, home != index);
  uint64_t slices = 0;
  for (const Portion& portion : batch->portions) {
    for (const Slice& slice : portion.slices) slices += slice.last ? 1 : 0;
  }
  // Spaces that were passed over while busy have work again; their own worker may have gone idle meanwhile.
  if (lane->Done(*batch) && home != index) {
    // Pairs with the fence in RunTurns, as the one in Push does.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    Wake(home);
  }
  Finished(slices);
  return true;
}

void WorkerPool::Process(const Batch& batch, size_t worker, bool stolen) {
  handler_->Started(batch, worker, stolen);
  for (const Portion& portion : batch.portions) {
    bool threw = false;
    absl::Status status;
    try {
      status = handler_->Commit(portion);
    } catch (...) {
      threw = true;
    }
    if (!threw && status.ok()) continue;
    handler_->Failed(worker, threw);
    RetryOneByOne(portion);
  }
}

void WorkerPool::RetryOneByOne(const Portion& portion) {
  Portion single{portion.space, std::vector<Slice>(1), portion.turn};
  for (const Slice& slice : portion.slices) {
    for (uint32_t place = slice.begin; place < slice.end || place == slice.begin; ++place) {
      Slice& one = single.slices[0] = slice;
      one.begin = place;
      one.end = std::min(place + 1, slice.end);
      if (one.end < slice.end) {
        one.through_sequence = slice.frame->SequenceOf(one.end) - 1;
        one.last = false;
      }
      absl::Status status;
      try {
        status = handler_->Commit(single);
      } catch (const std::exception& e) {
        status = absl::InternalError(e.what());
      } catch (...) {
        status = absl::InternalError("an exception of an unknown type");
      }
      if (!status.ok()) handler_->Refuse(single, status);
    }
  }
}

void WorkerPool::ArmGather(size_t lane, Duration after) {
  const MonotonicTime due = clock_->Now() + after;
  MutexLock lock(gather_mu_);
  if (gather_due_[lane] != MonotonicTime::max()) return;
  gather_due_[lane] = due;
  gather_.NotifyOne();
}

void WorkerPool::GatherLoop(const std::stop_token& stop) {
  MutexLock lock(gather_mu_);
  while (!stop.stop_requested()) {
    const MonotonicTime now = clock_->Now();
    MonotonicTime next = MonotonicTime::max();
    for (size_t lane = 0; lane < gather_due_.size(); ++lane) {
      if (gather_due_[lane] <= now) {
        gather_due_[lane] = MonotonicTime::max();
        if (workers_[lane]->lane.Ready() && Wake(lane)) {
          workers_[lane]->gathered.fetch_add(1, std::memory_order_relaxed);
        }
      }
      next = std::min(next, gather_due_[lane]);
    }
    if (next == MonotonicTime::max()) {
      gather_.Wait(gather_mu_);
    } else {
      clock_->WaitUntil(gather_, gather_mu_, next);
    }
  }
}

void WorkerPool::Finished(uint64_t slices) {
  if (slices == 0 || unfinished_.fetch_sub(slices, std::memory_order_acq_rel) != slices) return;
  MutexLock lock(idle_mu_);
  idle_.NotifyAll();
}

bool WorkerPool::AwaitIdle(MonotonicTime deadline) {
  MutexLock lock(idle_mu_);
  while (unfinished() != 0) {
    if (deadline == MonotonicTime::max()) {
      idle_.Wait(idle_mu_);
    } else if (!clock_->WaitUntil(idle_, idle_mu_, deadline)) {
      return unfinished() == 0;
    }
  }
  return true;
}

WorkerPool::WorkerReading WorkerPool::Read(size_t index) const {
  const Worker& worker = *workers_[index];
  WorkerReading reading;
  reading.batches = worker.batches.load(std::memory_order_relaxed);
  reading.stolen = worker.stolen.load(std::memory_order_relaxed);
  reading.polls = worker.polls.load(std::memory_order_relaxed);
  reading.gathered = worker.gathered.load(std::memory_order_relaxed);
  reading.busy = std::chrono::duration_cast<Duration>(
      std::chrono::nanoseconds(worker.busy_ns.load(std::memory_order_relaxed)));
  return reading;
}

}  // namespace engram
