// Puts right the CRCs of a record after its bytes were changed, so that only the checks behind the CRCs stand between a
// hostile number and memory.
//
// Threads: a function of its arguments. Errors: none; what is out of bounds is left as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"
#include "core/journal/record_head.h"

namespace engram::testing {

// The record at the start of `bytes`; the length it claims.
inline uint32_t Reseal(std::span<std::byte> bytes, uint32_t seed) {
  if (bytes.size() < kRecordFixedBytes) return 0;
  const auto head_length = LoadLe<uint32_t>(bytes.data() + 8);
  if (head_length >= kRecordFixedBytes && head_length <= bytes.size()) {
    const uint64_t table = kRecordFixedBytes + uint64_t{LoadLe<uint32_t>(bytes.data() + 44)} * kTableEntryBytes;
    uint32_t begin = head_length;
    for (uint64_t at = kRecordFixedBytes; at + kTableEntryBytes <= head_length && at < table; at += kTableEntryBytes) {
      const auto end = LoadLe<uint32_t>(bytes.data() + at);
      if (end < begin || end > bytes.size()) break;
      StoreLe(bytes.data() + at + 4, Crc32c(seed, bytes.subspan(begin, end - begin)));
      begin = end;
    }
    StoreLe(bytes.data() + 4, Crc32c(seed, bytes.subspan(kRecordFixedBytes, head_length - kRecordFixedBytes)));
  }
  StoreLe(bytes.data(), Crc32c(seed, bytes.subspan(4, kRecordFixedBytes - 4)));
  return LoadLe<uint32_t>(bytes.data() + 12);
}

}  // namespace engram::testing
