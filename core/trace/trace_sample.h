// Which observations are traced: of each `period` in the order they were let in, one, at a place drawn from the seed.
//
// Threads:  a value. Why: every hop asks the frame again and gets the same answer, so nothing is kept for an observation
//           that is not traced; and a place that is drawn does not fall into step with the size of frames, as every
//           n-th would.
#pragma once

#include <cstdint>

namespace engram {

struct TraceSample {
  uint64_t first = 0;   // The number of the frame's first observation among all.
  uint64_t period = 0;  // 0: none is traced.
  uint64_t seed = 0;

  // The first place in [begin, end) whose observation is traced; `end` when there is none.
  uint32_t Next(uint32_t begin, uint32_t end) const {
    if (period == 0 || begin >= end) return end;
    const uint64_t from = first + begin;
    const uint64_t window = from / period;
    uint64_t drawn = Drawn(window);
    if (drawn < from) drawn = Drawn(window + 1);
    return drawn - first < end ? static_cast<uint32_t>(drawn - first) : end;
  }

 private:
  uint64_t Drawn(uint64_t window) const { return window * period + Mixed(window ^ seed) % period; }
  // The finaliser of splitmix64.
  static uint64_t Mixed(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
};

}  // namespace engram
