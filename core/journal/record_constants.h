// The numbers of record_codec.h's grammar that its two halves share.
//
// Threads: constants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace engram {

inline constexpr uint8_t kF16Flag = 1;
inline constexpr uint8_t kTtlFlag = 2;
inline constexpr uint8_t kConfidenceFlag = 4;
inline constexpr uint8_t kKnownFlags = kF16Flag | kTtlFlag | kConfidenceFlag;

// What stands before the parts whose lengths vary.
inline constexpr size_t kObservationFixedBytes = 1 + 2 + 2 + 4 + 8;
inline constexpr size_t kTagFixedBytes = 2 + 4;
inline constexpr size_t kMarkFixedBytes = 8 + 2;
inline constexpr size_t kTombstoneFixedBytes = 8 + 2;
inline constexpr size_t kConfigBytes = 4 + 1 + 1 + 2 + 3 * 4 + 4 * 8 + 8;

}  // namespace engram
