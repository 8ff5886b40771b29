// What is left of disk and memory, and what that means for those who send: below the soft mark they are told of
// pressure, below the hard one they are refused until there is room again. Recalls and forgetting go on.
//
// Threads:  any. Ownership: the directory and the clock outlive it.
// Blocking: at most once in 100 ms one caller reads the disk's free space and a few files of /proc; the others go on
//           with what was read last. That caller may also give free memory back to the kernel, once in 10 s.
// Errors:   none of its own. What cannot be read stays as it was last read, and before the first time limits nothing.
// Why:      a mark is left only when there is 10 % (disk) or 5 % (memory) of it to spare, or clients would be told the
//           opposite ten times a second. The disk is looked at through what the file system has free, so whoever fills
//           it counts; memory through what this process cannot give up (core/base/memory_limit.h), which is slabs,
//           graphs, texts, queue and caches without counting each.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "config/settings.h"
#include "core/base/clock.h"
#include "core/base/memory_limit.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/types.h"
#include "core/journal/files.h"
#include "core/metrics/metrics.h"

namespace engram {

enum class ResourceState : uint8_t { kNormal, kSoft, kHard };

// A mark: where its state begins, and where it ends again.
struct Watermark {
  double enter = 0;
  double leave = 0;
};

// The state after `state` when `level` is left (memory's is counted below zero: what is used).
inline ResourceState NextState(ResourceState state, double level, const Watermark& soft, const Watermark& hard) {
  if (level < hard.enter || (state == ResourceState::kHard && level < hard.leave)) return ResourceState::kHard;
  if (level < soft.enter || (state != ResourceState::kNormal && level < soft.leave)) return ResourceState::kSoft;
  return ResourceState::kNormal;
}

class ResourceWatermarks {
 public:
  struct Deps {
    Clock* clock = nullptr;
    // Null: nothing is written, the disk sets no limit.
    Directory* directory = nullptr;
    // Where proc and sys lie: another place in tests.
    std::filesystem::path root = "/";
    std::function<void()> return_free_memory = ReturnFreeMemory;
  };
  ResourceWatermarks(const Settings& settings, Deps deps);

  struct Verdict {
    // The least level to tell streams.
    PressureLevel floor = PressureLevel::kNormal;
    // RESOURCE_EXHAUSTED when nothing more may be taken.
    absl::Status refusal;
    RejectReason reason = RejectReason::kDiskFull;
    Duration retry_after{0};
  };
  // Builds a message only when it refuses.
  Verdict Check() ABSL_LOCKS_EXCLUDED(mu_);
  // Verdict::floor. Cheap enough for every batch.
  PressureLevel Floor() ABSL_LOCKS_EXCLUDED(mu_);
  // The floor has changed since the last call that said so: one caller hears of each change.
  bool TakeChanged() ABSL_LOCKS_EXCLUDED(mu_);

  // Puts other marks in force at once.
  void Tune(const Settings& settings) ABSL_LOCKS_EXCLUDED(mu_);

  struct Reading {
    std::optional<uint64_t> disk_free;
    std::optional<uint64_t> memory_used;
    std::optional<uint64_t> memory_limit;
  };
  // At most 100 ms old.
  Reading Read() ABSL_LOCKS_EXCLUDED(mu_);
  // How many bytes are left up to memory's soft mark, for what is not worth telling anybody of pressure. UINT64_MAX
  // without a limit.
  uint64_t SpareMemory() ABSL_LOCKS_EXCLUDED(mu_);
  // ... to a scrape.
  void Tell(const GaugeSink& sink) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr uint64_t kUnknown = UINT64_MAX;

  struct Marks {
    uint64_t disk_soft = 0;
    uint64_t disk_hard = 0;
    uint64_t memory_bytes = 0;  // 0: the limit found.
    double memory_soft = 0;
    double memory_hard = 0;

    friend bool operator==(const Marks&, const Marks&) = default;
  };
  static Marks MarksOf(const Settings& settings);

  // Reads when it is time to and nobody else does.
  void Refresh() ABSL_LOCKS_EXCLUDED(mu_);
  void ReadAll(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadDisk() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReadMemory(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Deps deps_;

  Mutex mu_;
  Marks marks_ ABSL_GUARDED_BY(mu_);
  // The limit changes when a container is resized, which nobody need know within 100 ms.
  std::optional<uint64_t> limit_found_ ABSL_GUARDED_BY(mu_);
  MonotonicTime next_limit_ ABSL_GUARDED_BY(mu_) = MonotonicTime::min();
  MonotonicTime next_return_ ABSL_GUARDED_BY(mu_) = MonotonicTime::min();

  // Atomic: read without mu_, written under it, each a figure by itself. A message may name figures of two readings.
  std::atomic<MonotonicTime::rep> next_read_{MonotonicTime::min().time_since_epoch().count()};
  std::atomic<ResourceState> disk_{ResourceState::kNormal};
  std::atomic<ResourceState> memory_{ResourceState::kNormal};
  std::atomic<bool> changed_{false};
  std::atomic<uint64_t> disk_free_{kUnknown};
  std::atomic<uint64_t> disk_hard_{0};
  std::atomic<uint64_t> memory_used_{kUnknown};
  std::atomic<uint64_t> memory_limit_{kUnknown};
  std::atomic<uint64_t> memory_soft_{0};
  std::atomic<uint64_t> memory_hard_{0};
};

}  // namespace engram
