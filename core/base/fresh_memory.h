// Memory that reads as zero, for pieces of any size that are filled from their beginning: a small one from the heap, a
// large one as address space that costs a page when it is first touched.
//
// Threads:  any. Ownership: the caller gives back what it took, with the size it asked for. Blocking: never.
// Errors:   std::bad_alloc from TakeFresh.
// Why:      most spaces are small, and whole pages for each of their columns were a third of what they cost; of a large
//           space's last pieces, each as large as all before, only what is filled is paid for. No huge pages are asked
//           for: where the host takes free memory back, a cold one cost 9 to 13 us for each 4 KiB of it, against 2 to 3 us
//           by ordinary faults.
//           From 12 KiB on a piece has pages of its own: the first sixteen rows of 768-d, of which a tiny space fills one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace engram {

inline constexpr size_t kFreshAlignment = 64;
// From here on pieces have pages of their own.
inline constexpr size_t kOwnPagesBytes = size_t{12} << 10;

// Aligned to kFreshAlignment.
std::byte* TakeFresh(size_t bytes);
void GiveBackFresh(std::byte* fresh, size_t bytes);
// What a piece of `bytes` costs when its first `filled` are touched.
uint64_t FreshBytes(size_t bytes, size_t filled);

}  // namespace engram
