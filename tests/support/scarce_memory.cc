#include "tests/support/scarce_memory.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

struct Scarcity {
  bool on = false;
  bool failed = false;
  uint64_t left = 0;
};
thread_local constinit Scarcity scarcity;

void* Allocate(size_t size, size_t alignment) {
  if (scarcity.on && scarcity.left-- == 0) {
    scarcity.left = 0;
    scarcity.failed = true;
    throw std::bad_alloc();
  }
  void* got = nullptr;
  if (posix_memalign(&got, std::max(alignment, sizeof(void*)), std::max<size_t>(size, 1)) != 0) throw std::bad_alloc();
  return got;
}

}  // namespace

// The forms with nothrow and for arrays come down to these.
void* operator new(size_t size) { return Allocate(size, alignof(std::max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) { return Allocate(size, static_cast<size_t>(alignment)); }
void operator delete(void* got) noexcept { std::free(got); }
void operator delete(void* got, size_t) noexcept { std::free(got); }
void operator delete(void* got, std::align_val_t) noexcept { std::free(got); }
void operator delete(void* got, size_t, std::align_val_t) noexcept { std::free(got); }

namespace engram::testing {

MemoryRunsOut::MemoryRunsOut(uint64_t left) { scarcity = {.on = true, .failed = false, .left = left}; }
MemoryRunsOut::~MemoryRunsOut() { scarcity.on = false; }
bool MemoryRunsOut::failed() const { return scarcity.failed; }

}  // namespace engram::testing
