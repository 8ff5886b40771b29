#include "index/slab.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "core/base/check.h"

namespace engram {
namespace {

constexpr size_t kPage = 4096;

size_t RoundUpToPages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// Address space only: a page costs memory when it is first touched. No huge pages are asked for: where the host takes
// free memory back, a cold one cost 9 to 13 us for each 4 KiB of it, against 2 to 3 us by ordinary faults.
std::byte* ReserveAddresses(size_t bytes) {
  void* mapped = ::mmap(nullptr, RoundUpToPages(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(mapped);
}

}  // namespace

Slab::Slab(uint32_t dimension)
    : dimension_(dimension),
      stride_((dimension + 15) / 16 * 16),
      block_bytes_(sizeof(Block) + size_t{kBlockRows} * stride_ * sizeof(float)) {
  ENGRAM_CHECK(dimension >= 1 && dimension <= (1u << 24));
}

Slab::~Slab() {
  for (uint32_t level = 0; level < kExtents; ++level) {
    if (std::byte* extent = extents_[level].load(std::memory_order_relaxed)) {
      ::munmap(extent, RoundUpToPages(ExtentBytes(level)));
    }
  }
}

void Slab::Reserve(Ordinal end) {
  if (end == 0) return;
  for (uint32_t level = 0; level <= ExtentOf(end - 1).level; ++level) {
    if (extents_[level].load(std::memory_order_relaxed) != nullptr) continue;
    extents_[level].store(ReserveAddresses(ExtentBytes(level)), std::memory_order_release);
  }
}

float* Slab::BeginRow(Ordinal ordinal) {
  std::byte* address = BlockAddress(ordinal);
  const uint32_t lane = Lane(ordinal);
  if (lane == 0) {
    auto* block = new (address) Block;
    for (uint32_t i = 0; i < kBlockRows; ++i) block->died_at[i].store(kLive, std::memory_order_relaxed);
  }
  return reinterpret_cast<float*>(address + sizeof(Block)) + size_t{lane} * stride_;
}

uint64_t Slab::resident_bytes() const {
  const Ordinal size = this->size();
  uint64_t bytes = 0;
  for (uint32_t level = 0; level < kExtents; ++level) {
    const uint64_t first = ((uint64_t{1} << level) - 1) * kChunkRows;
    if (size <= first) break;
    const uint64_t rows = std::min<uint64_t>(size - first, uint64_t{kChunkRows} << level);
    const uint64_t rest = rows % kBlockRows;
    const uint64_t used =
        rows / kBlockRows * block_bytes_ + (rest == 0 ? 0 : sizeof(Block) + rest * stride_ * sizeof(float));
    bytes += RoundUpToPages(used);
  }
  return bytes;
}

}  // namespace engram
