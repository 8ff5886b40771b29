#include "index/link_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "core/base/check.h"
#include "index/level_generator.h"

namespace engram {
namespace {

constexpr size_t kLine = 64;

size_t RoundUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// The head and the ids, behind them the distances and how many links are settled.
size_t ListBytes(uint32_t capacity) { return (size_t{capacity} + 1) * (sizeof(Ordinal) + sizeof(uint16_t)); }

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void LinkTable::List::Lock() const {
  std::atomic<uint8_t>& locked = head().locked;
  for (int tries = 0; locked.exchange(1, std::memory_order_acquire) != 0; ++tries) {
    // A list is held for microseconds, unless whoever holds it has lost the processor.
    while (locked.load(std::memory_order_relaxed) != 0) {
      if (++tries % 64 == 0) std::this_thread::yield();
      Relax();
    }
  }
}

// One link less than three times the connections: the head and 47 ids are three cache lines.
LinkTable::LinkTable(uint32_t connections)
    : connections_(connections),
      most_base_links_(3 * connections - 1),
      most_upper_links_(connections + connections / 2),
      walked_bytes_((size_t{connections} * 2 + connections / 2) * sizeof(Ordinal)),
      upper_at_(RoundUp(ListBytes(most_base_links_), alignof(std::atomic<std::byte*>))),
      record_bytes_(RoundUp(upper_at_ + sizeof(std::byte*), kLine)),
      upper_bytes_(RoundUp(ListBytes(most_upper_links_), sizeof(Ordinal))) {
  ENGRAM_CHECK(connections >= 2 && connections <= 4096);
}

LinkTable::~LinkTable() {
  const Ordinal end = end_.load(std::memory_order_relaxed);
  for (uint32_t index = 0; index < kExtents; ++index) {
    std::byte* const extent = extents_[index].load(std::memory_order_relaxed);
    if (extent == nullptr) continue;
    const uint64_t first = ((uint64_t{1} << index) - 1) * kFirstExtent;
    const uint64_t last = std::min<uint64_t>(end, first + (uint64_t{kFirstExtent} << index));
    for (uint64_t node = first; node < last; ++node) {
      std::free(Upper(extent + (node - first) * record_bytes_).load(std::memory_order_relaxed));
    }
    ::munmap(extent, ExtentBytes(index));
  }
}

bool LinkTable::Reserve(Ordinal node) {
  const uint32_t index = ExtentOf(node).index;
  if (extents_[index].load(std::memory_order_acquire) != nullptr) return true;
  MutexLock lock(growth_);
  if (extents_[index].load(std::memory_order_relaxed) != nullptr) return true;
  void* const mapped = ::mmap(nullptr, ExtentBytes(index), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  extents_[index].store(static_cast<std::byte*>(mapped), std::memory_order_release);
  return true;
}

LinkTable::Claimed LinkTable::Claim(Ordinal node, uint32_t level) {
  ENGRAM_CHECK(level <= kMaxLevel);
  if (!Reserve(node)) return Claimed::kNoMemory;
  std::byte* upper = nullptr;
  if (level > 0) {
    upper = static_cast<std::byte*>(std::calloc(level, upper_bytes_));
    if (upper == nullptr) return Claimed::kNoMemory;
  }
  std::byte* const record = Record(node);
  uint8_t state = kAbsent;
  if (!List(record, most_base_links_).head().state.compare_exchange_strong(state, kClaimed)) {
    std::free(upper);
    return Claimed::kPresent;
  }
  Upper(record).store(upper, std::memory_order_relaxed);
  upper_lists_.fetch_add(level, std::memory_order_relaxed);
  size_.fetch_add(1, std::memory_order_relaxed);
  for (Ordinal end = end_.load(std::memory_order_relaxed); end <= node;) {
    if (end_.compare_exchange_weak(end, node + 1, std::memory_order_release)) break;
  }
  return Claimed::kYes;
}

void LinkTable::Finish(Ordinal node, uint32_t level) {
  List(Record(node), most_base_links_).head().state.store(static_cast<uint8_t>(kPresent + level),
                                                           std::memory_order_release);
}

void LinkTable::Abandon(Ordinal node, uint32_t level) {
  std::byte* const record = Record(node);
  std::free(Upper(record).exchange(nullptr, std::memory_order_relaxed));
  upper_lists_.fetch_sub(level, std::memory_order_relaxed);
  size_.fetch_sub(1, std::memory_order_relaxed);
  List(record, most_base_links_).head().state.store(kAbsent, std::memory_order_release);
}

int LinkTable::LevelOf(Ordinal node) const {
  if (extents_[ExtentOf(node).index].load(std::memory_order_acquire) == nullptr) return -1;
  const uint8_t state = List(Record(node), most_base_links_).head().state.load(std::memory_order_acquire);
  return state < kPresent ? -1 : state - kPresent;
}

}  // namespace engram
