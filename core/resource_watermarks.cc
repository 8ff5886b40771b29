#include "core/resource_watermarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/base/check.h"

namespace engram {
namespace {

constexpr Duration kReadEvery = std::chrono::milliseconds(100);
constexpr Duration kReadLimitEvery = std::chrono::seconds(10);
constexpr Duration kReturnEvery = std::chrono::seconds(10);
// Space comes back by forgetting, rewriting or somebody's hand: not within milliseconds.
constexpr Duration kRetryAfter = std::chrono::seconds(1);
// What must be to spare before a mark is left, in its own size.
constexpr double kDiskToSpare = 0.10;
constexpr double kMemoryToSpare = 0.05;

Watermark OfDisk(uint64_t bytes) {
  const auto enter = static_cast<double>(bytes);
  return {enter, enter * (1 + kDiskToSpare)};
}

// What is left is counted down from zero, so that less is worse as with the disk.
Watermark OfMemory(double bytes) { return {-bytes, -bytes * (1 - kMemoryToSpare)}; }

PressureLevel FloorOf(ResourceState disk, ResourceState memory) {
  switch (std::max(disk, memory)) {
    case ResourceState::kNormal:
      return PressureLevel::kNormal;
    case ResourceState::kSoft:
      return PressureLevel::kWarning;
    case ResourceState::kHard:
      break;
  }
  return PressureLevel::kOverloaded;
}

std::optional<uint64_t> Known(uint64_t value, uint64_t unknown) {
  if (value == unknown) return std::nullopt;
  return value;
}

}  // namespace

ResourceWatermarks::ResourceWatermarks(const Settings& settings, Deps deps)
    : deps_(std::move(deps)), marks_(MarksOf(settings)) {
  ENGRAM_CHECK(deps_.clock != nullptr && deps_.return_free_memory != nullptr);
}

ResourceWatermarks::Marks ResourceWatermarks::MarksOf(const Settings& settings) {
  return {settings.storage_soft_free_bytes, settings.storage_hard_free_bytes, settings.limits_memory_bytes,
          settings.limits_memory_soft, settings.limits_memory_hard};
}

void ResourceWatermarks::Tune(const Settings& settings) {
  MutexLock lock(mu_);
  const Marks marks = MarksOf(settings);
  if (marks == marks_) return;
  marks_ = marks;
  const PressureLevel before = FloorOf(disk_, memory_);
  // Between a mark and its end the old state says nothing of the new mark.
  disk_.store(ResourceState::kNormal, std::memory_order_relaxed);
  memory_.store(ResourceState::kNormal, std::memory_order_relaxed);
  ReadAll(deps_.clock->Now());
  if (FloorOf(disk_, memory_) != before) changed_.store(true, std::memory_order_release);
}

void ResourceWatermarks::Refresh() {
  const MonotonicTime now = deps_.clock->Now();
  const auto due = [&] { return now.time_since_epoch().count() >= next_read_.load(std::memory_order_acquire); };
  if (!due() || !mu_.try_lock()) return;
  // Whoever held it between the look and the lock has read.
  if (due()) {
    const PressureLevel before = FloorOf(disk_, memory_);
    ReadAll(now);
    if (FloorOf(disk_, memory_) != before) changed_.store(true, std::memory_order_release);
  }
  mu_.unlock();
}

void ResourceWatermarks::ReadAll(MonotonicTime now) {
  ReadDisk();
  ReadMemory(now);
  next_read_.store((now + kReadEvery).time_since_epoch().count(), std::memory_order_release);
}

void ResourceWatermarks::ReadDisk() {
  if (deps_.directory == nullptr) return;
  if (const absl::StatusOr<DiskSpace> space = deps_.directory->Space(); space.ok()) {
    disk_free_.store(space->free_bytes, std::memory_order_relaxed);
  }
  const uint64_t free = disk_free_.load(std::memory_order_relaxed);
  if (free == kUnknown) return;
  disk_hard_.store(marks_.disk_hard, std::memory_order_relaxed);
  disk_.store(NextState(disk_, static_cast<double>(free), OfDisk(marks_.disk_soft), OfDisk(marks_.disk_hard)),
              std::memory_order_release);
}

void ResourceWatermarks::ReadMemory(MonotonicTime now) {
  if (marks_.memory_bytes == 0 && now >= next_limit_) {
    if (const auto found = MemoryLimit(deps_.root)) limit_found_ = found;
    next_limit_ = now + kReadLimitEvery;
  }
  const std::optional<uint64_t> limit = marks_.memory_bytes != 0 ? marks_.memory_bytes : limit_found_;
  memory_limit_.store(limit.value_or(kUnknown), std::memory_order_relaxed);
  std::optional<uint64_t> used = MemoryInUse(deps_.root);
  if (!used) used = Known(memory_used_.load(std::memory_order_relaxed), kUnknown);
  if (!used) return;
  memory_used_.store(*used, std::memory_order_relaxed);
  if (!limit) return memory_.store(ResourceState::kNormal, std::memory_order_release);
  const double most = marks_.memory_hard * static_cast<double>(*limit);
  const double some = marks_.memory_soft * static_cast<double>(*limit);
  memory_soft_.store(static_cast<uint64_t>(some), std::memory_order_relaxed);
  const Watermark soft = OfMemory(some);
  const Watermark hard = OfMemory(most);
  const auto next = [&] { return NextState(memory_, -static_cast<double>(*used), soft, hard); };
  // A deleted space's memory may still be with the allocator, and would keep the state for ever.
  if (next() == ResourceState::kHard && now >= next_return_) {
    next_return_ = now + kReturnEvery;
    deps_.return_free_memory();
    used = MemoryInUse(deps_.root).value_or(*used);
    memory_used_.store(*used, std::memory_order_relaxed);
  }
  memory_hard_.store(static_cast<uint64_t>(most), std::memory_order_relaxed);
  memory_.store(next(), std::memory_order_release);
}

PressureLevel ResourceWatermarks::Floor() {
  Refresh();
  return FloorOf(disk_.load(std::memory_order_acquire), memory_.load(std::memory_order_acquire));
}

bool ResourceWatermarks::TakeChanged() {
  Refresh();
  // Looked at first: a write at every batch would take the line from the other readers.
  return changed_.load(std::memory_order_relaxed) && changed_.exchange(false, std::memory_order_acquire);
}

ResourceWatermarks::Verdict ResourceWatermarks::Check() {
  Refresh();
  const ResourceState disk = disk_.load(std::memory_order_acquire);
  const ResourceState memory = memory_.load(std::memory_order_acquire);
  Verdict verdict;
  verdict.floor = FloorOf(disk, memory);
  if (verdict.floor != PressureLevel::kOverloaded) return verdict;
  verdict.retry_after = kRetryAfter;
  if (disk == ResourceState::kHard) {
    const uint64_t hard = disk_hard_.load(std::memory_order_relaxed);
    verdict.reason = RejectReason::kDiskFull;
    verdict.refusal = absl::ResourceExhaustedError(fmt::format(
        "the disk of '{}' has {} bytes free, storage.hard_free_bytes is {}; nothing new is taken until {} are free",
        deps_.directory->path(), disk_free_.load(std::memory_order_relaxed), hard,
        static_cast<uint64_t>(OfDisk(hard).leave)));
    return verdict;
  }
  const uint64_t hard = memory_hard_.load(std::memory_order_relaxed);
  verdict.reason = RejectReason::kMemoryFull;
  verdict.refusal = absl::ResourceExhaustedError(fmt::format(
      "{} bytes of memory are in use, limits.memory_hard allows {} of {}; nothing new is taken until less than {} are",
      memory_used_.load(std::memory_order_relaxed), hard, memory_limit_.load(std::memory_order_relaxed),
      static_cast<uint64_t>(-OfMemory(static_cast<double>(hard)).leave)));
  return verdict;
}

ResourceWatermarks::Reading ResourceWatermarks::Read() {
  Refresh();
  return {Known(disk_free_.load(std::memory_order_relaxed), kUnknown),
          Known(memory_used_.load(std::memory_order_relaxed), kUnknown),
          Known(memory_limit_.load(std::memory_order_relaxed), kUnknown)};
}

uint64_t ResourceWatermarks::SpareMemory() {
  const Reading reading = Read();
  if (!reading.memory_limit || !reading.memory_used) return UINT64_MAX;
  const uint64_t soft = memory_soft_.load(std::memory_order_relaxed);
  return soft - std::min(soft, *reading.memory_used);
}

void ResourceWatermarks::Tell(const GaugeSink& sink) {
  const Reading reading = Read();
  if (reading.memory_used) sink(MetricId::kMemoryUsed, "", 0, static_cast<double>(*reading.memory_used));
  if (reading.memory_limit) sink(MetricId::kMemoryLimit, "", 0, static_cast<double>(*reading.memory_limit));
  if (reading.disk_free) sink(MetricId::kDiskFree, "", 0, static_cast<double>(*reading.disk_free));
}

}  // namespace engram
