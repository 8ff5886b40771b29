#include "index/block_extents.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/fresh_memory.h"

namespace engram {

BlockExtents::BlockExtents(size_t head_bytes, size_t row_bytes)
    : head_bytes_(head_bytes), row_bytes_(row_bytes), block_bytes_(head_bytes + kBlockRows * row_bytes) {
  ENGRAM_CHECK(block_bytes_ % 64 == 0);
}

BlockExtents::~BlockExtents() {
  for (uint32_t level = 0; level < kExtents; ++level) {
    GiveBackFresh(extents_[level].load(std::memory_order_relaxed), ExtentBytes(level));
  }
}

void BlockExtents::Reserve(Ordinal end) {
  if (end == 0) return;
  for (uint32_t level = 0; level <= ExtentOf(end - 1).level; ++level) {
    if (extents_[level].load(std::memory_order_relaxed) != nullptr) continue;
    extents_[level].store(TakeFresh(ExtentBytes(level)), std::memory_order_release);
  }
}

uint64_t BlockExtents::ResidentBytes(Ordinal size) const {
  uint64_t bytes = 0;
  for (uint32_t level = 0; level < kExtents; ++level) {
    const uint64_t first = ((uint64_t{1} << level) - 1) * kBlockRows;
    if (size <= first) break;
    const uint64_t rows = std::min<uint64_t>(size - first, uint64_t{kBlockRows} << level);
    const uint64_t rest = rows % kBlockRows;
    bytes += FreshBytes(ExtentBytes(level),
                        rows / kBlockRows * block_bytes_ + (rest == 0 ? 0 : head_bytes_ + rest * row_bytes_));
  }
  return bytes;
}

}  // namespace engram
