// Looking at one code after the other: what no graph has linked yet, what a filter leaves, and what must be exact.
//
// Threads:  any number of readers beside the writer.
// Blocking: ScanExact as its source does; the others never.
// Errors:   ScanExact has its source's.
// Why:      docs/decisions/0014-codes-in-memory.md
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "index/code_query.h"
#include "index/code_slab.h"
#include "index/rerank.h"
#include "index/space_index.h"
#include "index/top_k.h"

namespace engram {

// Which ordinals a scan looks at: those of [begin, end) that are live in the view and that the filter keeps.
struct ScanScope {
  Ordinal begin = 0;
  Ordinal end = 0;
  Ordinal visible = 0;
  const OrdinalFilter* filter = nullptr;  // Null: no filter.
};

// Offers each with the similarity that its bytes tell. Returns how many were live and passed.
uint64_t ScanCodes(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, TopK& top);

// The same for the `keep` that look best by their bits, which is eight times quicker; the others are only counted by
// ordinal. The filter is asked for what looks good only. REQUIRES: slab.bits().
void ScanBits(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t keep, TopK& top);

// How many ScanBits should keep for a scan of `length` ordinals whose best `wanted` are to be among them.
uint32_t KeepByBits(uint64_t length, uint32_t wanted);

struct ExactScan {
  std::vector<SearchHit> hits;  // The best k there are; by similarity descending, then ordinal ascending.
  uint64_t compared = 0;
  uint64_t read = 0;        // Vectors that the codes could not rule out.
  uint64_t unreadable = 0;  // Of those, the ones that the source could not read.
};

// The best k by the similarities of `vector` in full precision. Codes rule out what cannot be among them; the rest is
// read, the most promising first, until what is left cannot be among them either.
absl::StatusOr<ExactScan> ScanExact(const CodeSlab& slab, std::span<const float> vector, const ScanScope& scope,
                                    uint32_t k, const VectorSource& source);

}  // namespace engram
