// Faults on purpose, and what they act through: decorators of the daemon's clock, executor, directory and journal.
//
// Threads:   Inject and Heal from any; decorators as what they decorate. One of its own, which gives memory back in time.
// Ownership: outlives what it has wrapped; the clock outlives it.
// Blocking:  Inject while memory is filled. Wrapped: a task, a sync for as long as its fault lasts.
// Errors:    Inject as engram.v1.AdminService.InjectFault, those of broken files as core/journal/files.h.
// Why:       a daemon has one only with admin.fault_injection, so no path of a real one asks whether something is to fail.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/journal/files.h"
#include "core/journal/journal.h"

namespace engram {

// engram.v1.FaultKind, with its numbers.
enum class FaultKind : uint8_t {
  kUnspecified,
  kStallWorkers,
  kKillWorkers,
  kCrashBatches,
  kSlowDisk,
  kFullDisk,
  kBrokenDisk,
  kFillMemory,
  kShiftClock,
  kHeal,
  kSlowJournal,
};
inline constexpr int kFaultKinds = 11;

// engram.v1.InjectFaultRequest.
struct FaultOrder {
  FaultKind kind = FaultKind::kUnspecified;
  uint32_t count = 0;
  Duration delay{0};
  Duration shift{0};
  uint64_t bytes = 0;
  Duration duration{0};  // 0: until it is healed.
};

class InjectedFaults {
 public:
  // `workers`: how many there are.
  InjectedFaults(Clock* clock, uint32_t workers);
  ~InjectedFaults();

  absl::Status Inject(const FaultOrder& order) ABSL_LOCKS_EXCLUDED(mu_, memory_mu_, order_mu_);
  // Ends what is in force; a broken disk stays broken.
  void Heal() ABSL_LOCKS_EXCLUDED(mu_, memory_mu_);
  // Heals, and takes no order any more (UNAVAILABLE) but to heal: the daemon comes to its end.
  void Close() ABSL_LOCKS_EXCLUDED(mu_, memory_mu_, order_mu_);

  // How often faults of a kind have done what they do: workers held, batches ended, looks at a clock that is off.
  uint64_t Effects(FaultKind kind) const { return effects_[static_cast<size_t>(kind)].load(std::memory_order_relaxed); }

  // --- What the daemon is built of ---
  Clock* clock() { return shifted_clock_.get(); }
  std::unique_ptr<Executor> Wrap(std::unique_ptr<Executor> executor);
  std::unique_ptr<Directory> Wrap(std::unique_ptr<Directory> directory);
  std::unique_ptr<Journal> Wrap(std::unique_ptr<Journal> journal);

  // --- For the decorators ---
  // Before a batch task: waits when this is one of those to stall.
  void StallIfChosen() ABSL_LOCKS_EXCLUDED(mu_);
  // Before a sync of a file; its error is what the sync ends with.
  absl::Status DelaySync(const std::string& path) ABSL_LOCKS_EXCLUDED(mu_);
  // Before a record is appended.
  void DelayAppend() ABSL_LOCKS_EXCLUDED(mu_);
  bool disk_full() const { return InForce(full_until_); }
  // Takes one of the batches to crash.
  bool TakeCrash();
  // It did what it does.
  void Did(FaultKind kind) { effects_[static_cast<size_t>(kind)].fetch_add(1, std::memory_order_relaxed); }
  int64_t wall_shift_us() const { return InForce(shift_until_) ? shift_us_.load(std::memory_order_relaxed) : 0; }

 private:
  static constexpr int64_t kOver = 0;

  // A deadline as a number, kept in an atomic; kOver when the fault is not in force.
  int64_t Until(Duration duration) const;
  bool InForce(const std::atomic<int64_t>& until) const;
  // While slow_until lasts, for `delay_us`.
  void Delay(FaultKind kind, const std::atomic<int64_t>& slow_until, const std::atomic<int64_t>& delay_us)
      ABSL_LOCKS_EXCLUDED(mu_);
  void KillWorkers(uint32_t count, int64_t until) ABSL_LOCKS_EXCLUDED(mu_);
  // Until then, or until the counter has another value.
  void WaitUntil(int64_t until, const uint64_t& counter, uint64_t value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Check(const FaultOrder& order) const;
  absl::Status FillMemory(uint64_t bytes, int64_t until) ABSL_LOCKS_EXCLUDED(mu_, memory_mu_);
  void GiveBackMemory() ABSL_EXCLUSIVE_LOCKS_REQUIRED(memory_mu_);
  void KeepTime(const std::stop_token& stop) ABSL_LOCKS_EXCLUDED(memory_mu_);

  // Constant after the wrapping.
  Clock* const clock_;
  const uint32_t workers_;
  const std::unique_ptr<Clock> shifted_clock_;
  Executor* executor_ = nullptr;
  bool has_directory_ = false;
  bool has_journal_ = false;

  // Atomic: looked at by everything that is wrapped; each by itself.
  std::atomic<int64_t> stall_until_{kOver}, slow_until_{kOver}, full_until_{kOver}, shift_until_{kOver},
      slow_append_until_{kOver}, crash_until_{kOver};
  std::atomic<uint32_t> stalls_left_{0};
  std::atomic<uint32_t> crashes_left_{0};
  std::atomic<int64_t> delay_us_{0};
  std::atomic<int64_t> append_delay_us_{0};
  std::atomic<int64_t> shift_us_{0};
  std::atomic<bool> broken_{false};
  std::array<std::atomic<uint64_t>, kFaultKinds> effects_{};  // Relaxed: figures.

  // One order at a time, so that none takes effect behind Close. Held while memory is filled.
  Mutex order_mu_;
  bool closed_ ABSL_GUARDED_BY(order_mu_) = false;

  Mutex mu_;
  CondVar healed_;
  uint64_t heals_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t kills_ ABSL_GUARDED_BY(mu_) = 0;  // Orders to kill workers, and heals.

  // One filling at a time.
  Mutex memory_mu_;
  CondVar memory_changed_;
  void* memory_ ABSL_GUARDED_BY(memory_mu_) = nullptr;
  uint64_t memory_bytes_ ABSL_GUARDED_BY(memory_mu_) = 0;
  int64_t memory_until_ ABSL_GUARDED_BY(memory_mu_) = kOver;
  std::jthread keeper_;
};

}  // namespace engram
