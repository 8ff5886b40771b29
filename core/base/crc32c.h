// CRC-32C (Castagnoli), the check of everything on disk.
//
// Threads: any. Blocking: never. Errors: none.
// Why:     processors of x86 have an instruction for it. One chain of it waits for itself, so three run side by side
//          and are joined by a carry-less multiplication; without SSE4.2 and PCLMUL tables do the same, slower.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace engram {

// Goes on from `seed_crc`, the CRC of what came before (0 for nothing): Crc32c(Crc32c(s, a), b) is Crc32c(s, ab).
uint32_t Crc32c(uint32_t seed_crc, std::span<const std::byte> bytes);

// The two ways of computing it, apart so that a test can hold them against each other. REQUIRES of the second:
// HasCrc32cHardware().
uint32_t Crc32cByTables(uint32_t seed_crc, std::span<const std::byte> bytes);
uint32_t Crc32cByHardware(uint32_t seed_crc, std::span<const std::byte> bytes);
bool HasCrc32cHardware();

}  // namespace engram
