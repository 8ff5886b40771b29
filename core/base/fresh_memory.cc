#include "core/base/fresh_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace engram {
namespace {

constexpr size_t kPage = 4096;

size_t RoundUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

std::byte* TakeFresh(size_t bytes) {
  if (bytes < kOwnPagesBytes) {
    const size_t size = RoundUp(bytes, kFreshAlignment);
    void* const taken = std::aligned_alloc(kFreshAlignment, size);
    if (taken == nullptr) throw std::bad_alloc();
    return static_cast<std::byte*>(std::memset(taken, 0, size));
  }
  void* const mapped = ::mmap(nullptr, RoundUp(bytes, kPage), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(mapped);
}

void GiveBackFresh(std::byte* fresh, size_t bytes) {
  if (fresh == nullptr) return;
  if (bytes < kOwnPagesBytes) {
    std::free(fresh);
  } else if (::munmap(fresh, RoundUp(bytes, kPage)) != 0) {
    // A hole would be one mapping too many: the addresses stay, the pages go.
    ::madvise(fresh, RoundUp(bytes, kPage), MADV_DONTNEED);
  }
}

uint64_t FreshBytes(size_t bytes, size_t filled) {
  return bytes < kOwnPagesBytes ? RoundUp(bytes, kFreshAlignment) : RoundUp(filled, kPage);
}

}  // namespace engram
