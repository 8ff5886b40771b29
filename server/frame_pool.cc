#include "server/frame_pool.h"

#include <utility>

namespace engram {

FramePool::FramePool(size_t most_retained, Series* counters) : most_retained_(most_retained), counters_(counters) {}

std::unique_ptr<FramePool::Frame> FramePool::Take(size_t size) {
  size_t size_class = 0;
  while (size_class < kClasses && (kSmallest << size_class) < size) ++size_class;

  std::unique_ptr<char[]> buffer;
  if (size_class != kUnpooled) {
    MutexLock lock(mu_);
    auto& idle = idle_[size_class];
    if (!idle.empty()) {
      buffer = std::move(idle.back());
      idle.pop_back();
      retained_ -= kSmallest << size_class;
    }
  }
  const bool reused = buffer != nullptr;
  counters_->Add(reused ? MetricId::kPoolReuses : MetricId::kPoolFallbacks);
  counters_->Add(MetricId::kPoolBytes, size);
  if (!buffer) buffer.reset(new char[size_class == kUnpooled ? size : kSmallest << size_class]);
  return std::make_unique<Frame>(this, std::move(buffer), size_class, size, reused);
}

size_t FramePool::retained() const {
  MutexLock lock(mu_);
  return retained_;
}

void FramePool::Return(std::unique_ptr<char[]> buffer, size_t size_class) {
  if (size_class == kUnpooled) return;
  const size_t bytes = kSmallest << size_class;
  MutexLock lock(mu_);
  if (retained_ + bytes > most_retained_) return;  // The buffer is freed after the lock: parameters die last.
  retained_ += bytes;
  idle_[size_class].push_back(std::move(buffer));
}

}  // namespace engram
