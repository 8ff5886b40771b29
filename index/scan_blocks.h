// How scans go over a slab: block by block, and of a filter from match to match.
//
// Threads:  any number of readers beside the writer. Ownership: nothing. Blocking: never. Errors: none.
// Why:      templates, so that what is done with each block is compiled into the loop over them.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "index/code_scan.h"
#include "index/code_slab.h"

namespace engram {

inline constexpr uint32_t kScanRows = CodeSlab::kBlockRows;
inline constexpr uint32_t kAllScanRows = (1u << kScanRows) - 1;

// Calls block(base, lanes) for the blocks that the scope touches; `lanes` has a bit for each ordinal within it.
template <class Body>
void ForEachBlock(const ScanScope& scope, const Body& body) {
  for (uint64_t at = scope.begin; at < scope.end;) {
    const auto base = static_cast<Ordinal>(at - at % kScanRows);
    const uint32_t to = std::min<uint32_t>(kScanRows, scope.end - base);
    body(base, ((1u << to) - 1) & ~((1u << (at - base)) - 1));
    at = uint64_t{base} + kScanRows;
  }
}

template <class Body>
void ForEachLane(uint32_t lanes, const Body& body) {
  for (; lanes != 0; lanes &= lanes - 1) body(static_cast<uint32_t>(std::countr_zero(lanes)));
}

inline uint32_t LiveLanes(const VersionColumns& columns, uint32_t lanes, Ordinal visible) {
  uint32_t live = 0;
  ForEachLane(lanes, [&](uint32_t lane) { live |= uint32_t{columns.LiveIn(lane, visible)} << lane; });
  return live;
}

inline void PrefetchCode(const CodeSlab& slab, Ordinal ordinal) {
  const int8_t* const code = slab.Code(ordinal);
  for (uint32_t at = 0; at < slab.stride(); at += 64) __builtin_prefetch(code + at);
  const CodeSlab::Block& block = slab.BlockOf(ordinal);
  __builtin_prefetch(&block.scale);
  if (slab.coder().metric() != Metric::kCosine) __builtin_prefetch(&block.squares);
}

// As ForEachBlock; with a filter only for the blocks and lanes of its matches, which may take several calls for a block.
template <class Body>
void ForEachMatch(const CodeSlab& slab, const ScanScope& scope, const Body& body) {
  if (scope.filter == nullptr) return ForEachBlock(scope, body);
  constexpr size_t kStep = 256;
  constexpr size_t kAhead = 8;
  std::array<Ordinal, kStep> listed;
  Ordinal from = scope.begin;
  for (size_t count = kStep; count == kStep;) {
    count = scope.filter->List(from, scope.end, listed);
    for (size_t i = 0; i < count;) {
      const Ordinal base = listed[i] - CodeSlab::Lane(listed[i]);
      uint32_t lanes = 0;
      for (; i < count && listed[i] - base < kScanRows; ++i) {
        lanes |= 1u << (listed[i] - base);
        // Where many follow one another the processor foresees them itself.
        if (i + kAhead < count && listed[i + kAhead] - listed[i] > kAhead) {
          __builtin_prefetch(&slab.Versions(listed[i + kAhead]).died_at);
          PrefetchCode(slab, listed[i + kAhead]);
        }
      }
      body(base, lanes);
    }
    if (count != 0) from = listed[count - 1] + 1;
  }
}

}  // namespace engram
