#include "index/slab.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "core/base/check.h"

namespace engram {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;
// A huge page costs its 2 MiB with the first touch. From 16 MiB on that is at most an eighth of what the space has.
constexpr size_t kHugePagesFrom = size_t{16} << 20;

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Address space only: a page costs memory when it is first touched.
std::byte* ReserveAddresses(size_t bytes, bool huge_pages) {
  const size_t alignment = huge_pages ? kHugePage : kPage;
  const size_t padded = RoundUp(bytes, kPage) + (alignment - kPage);
  void* mapped =
      ::mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<std::byte*>(mapped);
  const size_t skip = RoundUp(reinterpret_cast<uintptr_t>(begin), alignment) - reinterpret_cast<uintptr_t>(begin);
  const size_t behind = padded - skip - RoundUp(bytes, kPage);
  if (skip != 0) ::munmap(begin, skip);
  if (behind != 0) ::munmap(begin + padded - behind, behind);
  // Advice: without it the extent works the same, with more faults.
  if (huge_pages) ::madvise(begin + skip, RoundUp(bytes, kPage), MADV_HUGEPAGE);
  return begin + skip;
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
      ::munmap(extent, RoundUp(ExtentBytes(level), kPage));
    }
  }
}

bool Slab::HugePages(uint32_t level) const { return ExtentBytes(level) - ExtentBytes(0) >= kHugePagesFrom; }

void Slab::Reserve(Ordinal end) {
  if (end == 0) return;
  for (uint32_t level = 0; level <= ExtentOf(end - 1).level; ++level) {
    if (extents_[level].load(std::memory_order_relaxed) != nullptr) continue;
    extents_[level].store(ReserveAddresses(ExtentBytes(level), HugePages(level)), std::memory_order_release);
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
    bytes += std::min<uint64_t>(RoundUp(used, HugePages(level) ? kHugePage : kPage), RoundUp(ExtentBytes(level), kPage));
  }
  return bytes;
}

}  // namespace engram
