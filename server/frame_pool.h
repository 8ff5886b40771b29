// Buffers for incoming frames, used again instead of allocated anew.
//
// Threads:   any. Ownership: the pool outlives its frames; a frame gives its buffer back when it dies.
// Blocking:  a mutex held for a few instructions. Errors: std::bad_alloc.
// Bounded:   at most `most_retained` bytes lie idle; above that buffers are freed.
// Why:       a frame's bytes stay where they were received while its observations wait in the queue, so a frame costs
// one
//            copy and no allocation, whatever it holds.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "core/metrics/metrics.h"

namespace engram {

class FramePool {
 public:
  // One frame's bytes, and words about it that must live as long.
  class Frame final : public FrameOwner {
   public:
    Frame(FramePool* pool, std::unique_ptr<char[]> buffer, size_t size_class, size_t size, bool reused)
        : pool_(pool), buffer_(std::move(buffer)), size_class_(size_class), size_(size), reused_(reused) {}
    ~Frame() override { pool_->Return(std::move(buffer_), size_class_); }

    char* data() { return buffer_.get(); }
    std::string_view bytes() const { return {buffer_.get(), size_}; }
    // The buffer has been in use before.
    bool reused() const { return reused_; }
    // Keeps `text` as long as the frame and answers a view of it.
    std::string_view Keep(std::string text) { return texts_.emplace_back(std::move(text)); }

   private:
    FramePool* const pool_;
    std::unique_ptr<char[]> buffer_;
    const size_t size_class_;
    const size_t size_;
    const bool reused_;
    // A deque: what it holds does not move.
    std::deque<std::string> texts_;
  };

  // Counts into engram_pool_reuses_total, engram_pool_fallbacks_total and, of what is about to be copied into a frame,
  // engram_pool_copied_bytes_total of `counters`.
  FramePool(size_t most_retained, Series* counters);

  // A frame of `size` bytes, not initialised.
  std::unique_ptr<Frame> Take(size_t size) ABSL_LOCKS_EXCLUDED(mu_);
  size_t retained() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Class c holds buffers of 512 << c bytes, up to 4 MiB; what is larger is never kept.
  static constexpr size_t kSmallest = 512;
  static constexpr size_t kClasses = 14;
  static constexpr size_t kUnpooled = kClasses;

  void Return(std::unique_ptr<char[]> buffer, size_t size_class) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const size_t most_retained_;
  Series* const counters_;

  mutable Mutex mu_;
  std::array<std::vector<std::unique_ptr<char[]>>, kClasses> idle_ ABSL_GUARDED_BY(mu_);
  size_t retained_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace engram
