#include "server/injected_faults.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>

#include "core/base/memory_limit.h"
#include "core/base/thread_name.h"
#include "server/faulty_parts.h"

namespace engram {
namespace {

constexpr int64_t kUntilHealed = std::numeric_limits<int64_t>::max();
// Far from what overflows when an instant is added, and far beyond what anybody waits for.
constexpr Duration kMostDuration = std::chrono::hours(30 * 24), kMostDelay = std::chrono::hours(1),
                   kMostShift = std::chrono::hours(100 * 366 * 24);

MonotonicTime InstantOf(int64_t until) {
  return until == kUntilHealed ? MonotonicTime::max() : MonotonicTime(std::chrono::nanoseconds(until));
}

}  // namespace

InjectedFaults::InjectedFaults(Clock* clock, uint32_t workers)
    : clock_(clock), workers_(workers), shifted_clock_(std::make_unique<ShiftedClock>(clock, this)) {
  keeper_ = std::jthread([this](const std::stop_token& stop) {
    NameThread("fault keeper");
    KeepTime(stop);
  });
}

InjectedFaults::~InjectedFaults() {
  Heal();
  {
    MutexLock lock(memory_mu_);
    keeper_.request_stop();
    memory_changed_.NotifyAll();
  }
  keeper_.join();
}

std::unique_ptr<Executor> InjectedFaults::Wrap(std::unique_ptr<Executor> executor) {
  executor_ = executor.get();
  return std::make_unique<StallingExecutor>(std::move(executor), this);
}

std::unique_ptr<Directory> InjectedFaults::Wrap(std::unique_ptr<Directory> directory) {
  has_directory_ = true;
  return std::make_unique<TroubledDirectory>(std::move(directory), this);
}

std::unique_ptr<Journal> InjectedFaults::Wrap(std::unique_ptr<Journal> journal) {
  has_journal_ = true;
  return std::make_unique<CrashingJournal>(std::move(journal), this);
}

int64_t InjectedFaults::Until(Duration duration) const {
  if (duration.count() == 0) return kUntilHealed;
  return std::chrono::nanoseconds(clock_->Now().time_since_epoch() + duration).count();
}

bool InjectedFaults::InForce(const std::atomic<int64_t>& until) const {
  const int64_t at = until.load(std::memory_order_relaxed);
  return at != kOver && (at == kUntilHealed || clock_->Now() < InstantOf(at));
}

absl::Status InjectedFaults::Check(const FaultOrder& order) const {
  const auto needs = [](const char* what) { return absl::InvalidArgumentError(fmt::format("{} is 0", what)); };
  const auto beyond = [](const char* what, int64_t is, int64_t least, int64_t most) {
    return absl::InvalidArgumentError(fmt::format("{} is {}; allowed: {} to {}", what, is, least, most));
  };
  if (order.duration < Duration(0) || order.duration > kMostDuration) {
    return beyond("duration_us", order.duration.count(), 0, kMostDuration.count());
  }
  if (order.delay < Duration(0) || order.delay > kMostDelay) {
    return beyond("delay_us", order.delay.count(), 0, kMostDelay.count());
  }
  if (order.shift < -kMostShift || order.shift > kMostShift) {
    return beyond("shift_us", order.shift.count(), -kMostShift.count(), kMostShift.count());
  }
  switch (order.kind) {
    case FaultKind::kStallWorkers:
    case FaultKind::kKillWorkers: {
      const uint32_t most = order.kind == FaultKind::kKillWorkers ? workers_ - 1 : workers_;
      if (order.count == 0 || order.count > most) {
        return absl::InvalidArgumentError(
            fmt::format("count is {}; allowed: 1 to {}, of {} workers", order.count, most, workers_));
      }
      return absl::OkStatus();
    }
    case FaultKind::kCrashBatches:
      if (order.count == 0) return needs("count");
      break;
    case FaultKind::kSlowDisk:
    case FaultKind::kSlowJournal:
      if (order.delay.count() == 0) return needs("delay_us");
      break;
    case FaultKind::kFullDisk:
    case FaultKind::kBrokenDisk:
      break;
    case FaultKind::kFillMemory:
      if (order.bytes == 0) return needs("bytes");
      if (const uint64_t most = MemoryLimit().value_or(order.bytes); order.bytes > most) {
        return absl::InvalidArgumentError(fmt::format("bytes is {}; allowed: 1 to {}", order.bytes, most));
      }
      return absl::OkStatus();
    case FaultKind::kShiftClock:
      return order.shift.count() == 0 ? needs("shift_us") : absl::OkStatus();
    case FaultKind::kHeal:
      return absl::OkStatus();
    case FaultKind::kUnspecified:
      return absl::InvalidArgumentError("no kind of fault");
  }
  if (!has_directory_ || !has_journal_) {
    return absl::FailedPreconditionError("there is no journal to break: the durability is MEMORY");
  }
  return absl::OkStatus();
}

absl::Status InjectedFaults::Inject(const FaultOrder& order) {
  ENGRAM_RETURN_IF_ERROR(Check(order));
  MutexLock lock(order_mu_);
  if (closed_ && order.kind != FaultKind::kHeal) {
    return absl::UnavailableError("the daemon comes to its end: faults can only be healed");
  }
  const int64_t until = Until(order.duration);
  switch (order.kind) {
    case FaultKind::kStallWorkers:
      stall_until_.store(until);
      stalls_left_.store(order.count);
      break;
    case FaultKind::kKillWorkers:
      // Each occupies a thread of those that run batches.
      KillWorkers(order.count, until);
      break;
    case FaultKind::kCrashBatches:
      crash_until_.store(until);
      crashes_left_.store(order.count);
      break;
    case FaultKind::kSlowDisk:
      delay_us_.store(order.delay.count());
      slow_until_.store(until);
      break;
    case FaultKind::kSlowJournal:
      append_delay_us_.store(order.delay.count());
      slow_append_until_.store(until);
      break;
    case FaultKind::kFullDisk:
      full_until_.store(until);
      break;
    case FaultKind::kBrokenDisk:
      broken_.store(true);
      break;
    case FaultKind::kFillMemory:
      return FillMemory(order.bytes, until);
    case FaultKind::kShiftClock:
      shift_us_.store(order.shift.count());
      shift_until_.store(until);
      break;
    case FaultKind::kHeal:
      Heal();
      break;
    case FaultKind::kUnspecified:
      break;
  }
  return absl::OkStatus();
}

void InjectedFaults::Heal() {
  stalls_left_.store(0);
  crashes_left_.store(0);
  for (std::atomic<int64_t>* until : {&stall_until_, &slow_until_, &full_until_, &shift_until_,
                                      &slow_append_until_, &crash_until_}) until->store(kOver);
  {
    MutexLock lock(mu_);
    ++heals_;
    ++kills_;
    healed_.NotifyAll();
  }
  MutexLock lock(memory_mu_);
  GiveBackMemory();
}

void InjectedFaults::Close() {
  {
    MutexLock lock(order_mu_);
    closed_ = true;
  }
  Heal();
}

void InjectedFaults::KillWorkers(uint32_t count, int64_t until) {
  uint64_t order = 0;
  {
    MutexLock lock(mu_);
    order = ++kills_;
    healed_.NotifyAll();
  }
  for (uint32_t i = 0; i < count; ++i) {
    executor_->Submit(WorkClass::kNormal, [this, order, until] {
      MutexLock lock(mu_);
      // It may begin only after the next order or a Heal has taken its place, or too late.
      if (kills_ == order && clock_->Now() < InstantOf(until)) Did(FaultKind::kKillWorkers);
      WaitUntil(until, kills_, order);
    });
  }
}

void InjectedFaults::WaitUntil(int64_t until, const uint64_t& counter, uint64_t value) {
  while (counter == value) {
    if (until == kUntilHealed) {
      healed_.Wait(mu_);
    } else if (clock_->Now() >= InstantOf(until)) {
      return;
    } else {
      clock_->WaitUntil(healed_, mu_, InstantOf(until));
    }
  }
}

void InjectedFaults::StallIfChosen() {
  uint32_t left = stalls_left_.load(std::memory_order_relaxed);
  do {
    if (left == 0) return;
  } while (!stalls_left_.compare_exchange_weak(left, left - 1));
  MutexLock lock(mu_);
  // Read under the mutex: what Heal has ended before must not be waited for.
  if (!InForce(stall_until_)) return;
  Did(FaultKind::kStallWorkers);
  WaitUntil(stall_until_.load(), heals_, heals_);
}

void InjectedFaults::Delay(FaultKind kind, const std::atomic<int64_t>& slow_until,
                           const std::atomic<int64_t>& delay_us) {
  if (!InForce(slow_until)) return;
  MutexLock lock(mu_);
  // Read under the mutex, as in StallIfChosen.
  if (!InForce(slow_until)) return;
  Did(kind);
  WaitUntil(Until(Duration(delay_us.load())), heals_, heals_);
}

void InjectedFaults::DelayAppend() { Delay(FaultKind::kSlowJournal, slow_append_until_, append_delay_us_); }

absl::Status InjectedFaults::DelaySync(const std::string& path) {
  Delay(FaultKind::kSlowDisk, slow_until_, delay_us_);
  if (!broken_.load()) return absl::OkStatus();
  Did(FaultKind::kBrokenDisk);
  return absl::InternalError(fmt::format("fdatasync {}: Input/output error (injected)", path));
}

bool InjectedFaults::TakeCrash() {
  if (!InForce(crash_until_)) return false;
  uint32_t left = crashes_left_.load(std::memory_order_relaxed);
  do {
    if (left == 0) return false;
  } while (!crashes_left_.compare_exchange_weak(left, left - 1));
  Did(FaultKind::kCrashBatches);
  return true;
}

// --- memory ---

absl::Status InjectedFaults::FillMemory(uint64_t bytes, int64_t until) {
  MutexLock lock(memory_mu_);
  GiveBackMemory();
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(fmt::format("cannot hold {} bytes: {}", bytes, std::strerror(errno)));
  }
  std::memset(memory, 1, bytes);
  memory_ = memory;
  memory_bytes_ = bytes;
  memory_until_ = until;
  memory_changed_.NotifyAll();
  Did(FaultKind::kFillMemory);
  return absl::OkStatus();
}

void InjectedFaults::GiveBackMemory() {
  if (memory_ != nullptr) munmap(memory_, memory_bytes_);
  memory_ = nullptr;
  memory_until_ = kOver;
}

void InjectedFaults::KeepTime(const std::stop_token& stop) {
  MutexLock lock(memory_mu_);
  while (!stop.stop_requested()) {
    if (memory_ == nullptr || memory_until_ == kUntilHealed) {
      memory_changed_.Wait(memory_mu_);
    } else if (clock_->Now() >= InstantOf(memory_until_)) {
      GiveBackMemory();
    } else {
      clock_->WaitUntil(memory_changed_, memory_mu_, InstantOf(memory_until_));
    }
  }
}

}  // namespace engram
