// Looking at one code after the other: what no graph has linked yet, what a filter leaves, and what must be exact.
//
// Threads:  any number of readers beside the writer and whoever makes bits.
// Blocking: ScanExact and ScanRanked as their source does; the others never.
// Errors:   std::bad_alloc.
// Why:      docs/decisions/0014-codes-in-memory.md
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "index/code_query.h"
#include "index/code_slab.h"
#include "index/hit_score.h"
#include "index/ordinal_set.h"
#include "index/rerank.h"
#include "index/space_index.h"
#include "index/top_k.h"

namespace engram {

// Which ordinals a scan looks at: those of [begin, end) that are live in the view and that the filter keeps.
struct ScanScope {
  Ordinal begin = 0;
  Ordinal end = 0;
  Ordinal visible = 0;
  const OrdinalSet* filter = nullptr;  // Null: no filter.
};

// Offers each with the similarity that its bytes tell; of a filter only the matches are looked at. Returns how many that
// were.
uint64_t ScanCodes(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, TopK& top);

// The same for those of the `keep` best by their bits that matter, which is several times quicker. The filter is asked
// for what looks good only. False, and nothing is offered, when one in twenty as good as the last of the best `wanted`,
// counting what `top` holds already, may have been missed, as in noise, where many are nearly as good as the best. With
// `wanted` 0 that is not asked, and all that is kept is offered. REQUIRES: slab.bits(), scope.end <= slab.bits_through().
bool ScanBits(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t keep, uint32_t wanted,
              TopK& top);

// How many ScanBits should keep for a scan of `length` ordinals whose best `wanted` are to be among them.
uint32_t KeepByBits(uint64_t length, uint32_t wanted);

// ScanBits of so many; where that may have missed some, of several times as many. False, and nothing is offered, also where
// that is no quicker than bytes. REQUIRES: scope.end <= slab.bits_through().
bool ScanByBits(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t wanted, TopK& top);

// By bits where there are any, that is quicker, and finds what belongs to the best `wanted` of this and of what `top` holds;
// else by bytes. Returns how many it looked at.
uint64_t ScanQuickly(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t wanted, TopK& top);

struct ExactScan : Reranked {
  uint64_t compared = 0;
};

// The best k by the similarities of `vector` in full precision. Codes rule out what cannot be among them; the rest is
// read, the most promising first, until what is left cannot be among them either.
ExactScan ScanExact(const CodeSlab& slab, std::span<const float> vector, const ScanScope& scope,
                    uint32_t k, const VectorSource& source);

// What a ranked scan is to find.
struct RankedWish {
  uint32_t k = 0;
  const HitScore* score = nullptr;
  float min_similarity = -std::numeric_limits<float>::infinity();
};

// The best k by score, then similarity, then ordinal, of those at least that similar; as ScanExact, only that what a row's
// score can be at the most decides whether it is read.
ExactScan ScanRanked(const CodeSlab& slab, std::span<const float> vector, const ScanScope& scope,
                     const RankedWish& wish, const VectorSource& source);

// An ordinal with the most that its exact similarity to the query can be.
Candidate BoundedCandidate(const CodeSlab& slab, const CodeQuery& query, Ordinal ordinal);

}  // namespace engram
