// Memory that runs out when a test wants it to, for the thread that runs the test.
//
// Threads:  MemoryRunsOut is the business of one thread; the others allocate as always. Ownership: nothing.
// Why:      what is half done when an allocation fails shows only if each of them fails once. A test that uses it links
//           scarce_memory.cc, which replaces operator new; sanitizers have an allocator of their own, so it is not for
//           their lanes.
#pragma once

#include <cstdint>

namespace engram::testing {

// While it lives, the calling thread's first `left` allocations succeed and all others throw std::bad_alloc.
class MemoryRunsOut {
 public:
  explicit MemoryRunsOut(uint64_t left);
  ~MemoryRunsOut();
  MemoryRunsOut(const MemoryRunsOut&) = delete;
  MemoryRunsOut& operator=(const MemoryRunsOut&) = delete;

  // Some allocation has failed.
  bool failed() const;
};

// Calls `attempt` with a lack that comes one allocation later each time, until there is none: `attempt(left)` does what is
// tested under a MemoryRunsOut(left), looks at what it left behind, and returns whether an allocation had failed.
template <typename Attempt>
void RunOutEverywhere(const Attempt& attempt) {
  for (uint64_t left = 0; attempt(left); ++left) {
  }
}

}  // namespace engram::testing
