// Something of the log that is damaged or missing: named once, reported everywhere.
//
// Threads: a value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace engram {

// Both of them, and all between.
struct PositionRange {
  uint64_t first = 0;
  uint64_t last = 0;

  friend bool operator==(const PositionRange&, const PositionRange&) = default;
};
// To ranges in their order, of which none begins behind it; what touches becomes one. One that is empty adds nothing.
void AddRange(PositionRange range, std::vector<PositionRange>* ranges);

struct JournalDefect {
  std::string file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  // The positions that cannot be read, as far as they are known; 0: none or unknown.
  uint64_t first = 0;
  uint64_t last = 0;
  std::string what;

  // "00000000000000000001.journal at byte 4096: positions 7..9: crc does not match"
  std::string Render() const;
};

}  // namespace engram
