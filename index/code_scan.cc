#include "index/code_scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <limits>

#include "core/base/check.h"
#include "core/base/status.h"
#include "index/code_similarity.h"

namespace engram {
namespace {

constexpr uint32_t kRows = CodeSlab::kBlockRows;
constexpr uint32_t kAllRows = (1u << kRows) - 1;

// Calls block(base, lanes) for the blocks that the scope touches; `lanes` has a bit for each ordinal within it.
template <class Body>
void ForEachBlock(const ScanScope& scope, const Body& body) {
  for (uint64_t at = scope.begin; at < scope.end;) {
    const auto base = static_cast<Ordinal>(at - at % kRows);
    const uint32_t to = std::min<uint32_t>(kRows, scope.end - base);
    body(base, ((1u << to) - 1) & ~((1u << (at - base)) - 1));
    at = uint64_t{base} + kRows;
  }
}

template <class Body>
void ForEachLane(uint32_t lanes, const Body& body) {
  for (; lanes != 0; lanes &= lanes - 1) body(static_cast<uint32_t>(std::countr_zero(lanes)));
}

bool Wanted(const VersionColumns& columns, Ordinal base, uint32_t lane, const ScanScope& scope) {
  return columns.LiveIn(lane, scope.visible) && (scope.filter == nullptr || (*scope.filter)(base + lane));
}

uint32_t WantedLanes(const VersionColumns& columns, Ordinal base, uint32_t lanes, const ScanScope& scope) {
  uint32_t wanted = 0;
  ForEachLane(lanes, [&](uint32_t lane) { wanted |= uint32_t{Wanted(columns, base, lane, scope)} << lane; });
  return wanted;
}

void PrefetchCode(const CodeSlab& slab, Ordinal ordinal) {
  const int8_t* const code = slab.Code(ordinal);
  for (uint32_t at = 0; at < slab.stride(); at += 64) __builtin_prefetch(code + at);
}

}  // namespace

uint64_t ScanCodes(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, TopK& top) {
  const CodeKernels& kernels = slab.coder().kernels();
  const CodeSimilarity similarity(slab.coder().metric());
  const CodeColumns& own = query.columns();
  const size_t stride = slab.stride();
  std::array<int32_t, kRows> dots;
  uint64_t compared = 0;
  ForEachBlock(scope, [&](Ordinal base, uint32_t lanes) {
    const CodeSlab::Block& block = slab.BlockOf(base);
    const uint32_t wanted = WantedLanes(block, base, lanes, scope);
    if (wanted == 0) return;
    const int8_t* const rows = slab.Code(base);
    if (wanted == kAllRows) {
      kernels.dot_rows(query.code(), rows, stride, kRows, dots.data());
    } else {
      ForEachLane(wanted, [&](uint32_t lane) { dots[lane] = kernels.dot(query.code(), rows + lane * stride, stride); });
    }
    compared += static_cast<uint64_t>(std::popcount(wanted));
    const float floor = top.floor();
    ForEachLane(wanted, [&](uint32_t lane) {
      const float estimate =
          similarity.Estimate(dots[lane], own.scale, own.squares, block.scale[lane], block.squares[lane]);
      if (estimate >= floor) top.Offer({base + lane, estimate});
    });
  });
  return compared;
}

void ScanBits(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t keep, TopK& top) {
  const CodeKernels& kernels = slab.coder().kernels();
  const uint32_t words = slab.bit_words();
  const auto elements = static_cast<float>(words * 64);

  // Twice as many as are kept; the worse half goes whenever it is full, and raises what gets in.
  struct Promising {
    float score;
    Ordinal ordinal;
  };
  std::vector<Promising> promising;
  promising.reserve(std::min<uint64_t>(2 * uint64_t{keep}, scope.end - scope.begin) + kRows);
  float floor = -std::numeric_limits<float>::infinity();
  const auto prune = [&] {
    if (promising.size() <= keep) return;
    std::nth_element(promising.begin(), promising.begin() + keep - 1, promising.end(),
                     [](const Promising& a, const Promising& b) {
                       return a.score != b.score ? a.score > b.score : a.ordinal < b.ordinal;
                     });
    promising.resize(keep);
    floor = promising.back().score;
  };

  std::array<uint32_t, kRows> distances{};
  std::array<float, kRows> scores;
  std::array<float, kRows> some_factors{};
  ForEachBlock(scope, [&](Ordinal base, uint32_t lanes) {
    const auto rows = static_cast<uint32_t>(32 - std::countl_zero(lanes));
    kernels.hamming_rows(query.bits(), slab.Bits(base), words, rows, distances.data());
    const float* factors = slab.BitBlockOf(base).factor.data();
    if (rows != kRows) {
      // The writer may be at work on the others.
      std::copy_n(factors, rows, some_factors.data());
      factors = some_factors.data();
    }
    lanes &= kernels.bit_scores(distances.data(), factors, elements, floor, scores.data());
    if (lanes == 0) return;
    const VersionColumns& columns = slab.Versions(base);
    ForEachLane(lanes, [&](uint32_t lane) {
      if (Wanted(columns, base, lane, scope)) promising.push_back({scores[lane], base + lane});
    });
    if (promising.size() >= 2 * uint64_t{keep}) prune();
  });
  prune();

  const CodeSimilarity similarity(slab.coder().metric());
  constexpr size_t kStep = 4;
  for (size_t at = 0; at < promising.size(); at += kStep) {
    for (size_t i = at + kStep; i < std::min(at + 2 * kStep, promising.size()); ++i) {
      PrefetchCode(slab, promising[i].ordinal);
    }
    const size_t count = std::min(kStep, promising.size() - at);
    std::array<const int8_t*, kStep> codes;
    // What is left over at the end is compared with the last one again.
    for (size_t i = 0; i < kStep; ++i) codes[i] = slab.Code(promising[at + std::min(i, count - 1)].ordinal);
    std::array<int32_t, kStep> dots;
    kernels.dot_four(query.code(), codes.data(), slab.stride(), dots.data());
    for (size_t i = 0; i < count; ++i) {
      const Ordinal ordinal = promising[at + i].ordinal;
      const CodeSlab::Block& block = slab.BlockOf(ordinal);
      const uint32_t lane = CodeSlab::Lane(ordinal);
      top.Offer({ordinal, similarity.Estimate(dots[i], query.columns().scale, query.columns().squares,
                                              block.scale[lane], block.squares[lane])});
    }
  }
}

uint32_t KeepByBits(uint64_t length, uint32_t wanted) {
  constexpr uint64_t kLeast = 800;
  // One in a thousand of a long scan.
  const uint64_t keep = std::max({kLeast, length / 1000, uint64_t{wanted} * 16});
  return static_cast<uint32_t>(std::min<uint64_t>(keep, UINT32_MAX / 4));
}

namespace {

// What may be among the best k, by the bounds that its code gives.
struct Candidate {
  float high = 0;
  Ordinal ordinal = kNoOrdinal;
};
struct Candidates {
  std::vector<Candidate> best_first;
  uint64_t compared = 0;
};

// Without `rule_out` everything in the scope.
Candidates FindCandidates(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t k,
                          bool rule_out) {
  constexpr size_t kFirstPrune = 1024;
  const CodeKernels& kernels = slab.coder().kernels();
  const CodeSimilarity similarity(slab.coder().metric());
  const size_t stride = slab.stride();
  const uint64_t most = scope.end > scope.begin ? scope.end - scope.begin : 0;

  Candidates result;
  std::vector<Candidate>& candidates = result.best_first;
  // At least k are as good as the worst of these.
  TopK lows(k, most);
  size_t prune_at = std::max<size_t>(kFirstPrune, 4 * std::min<uint64_t>(k, most));
  const auto prune = [&] {
    if (!rule_out) return;
    const float floor = lows.floor();
    std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.high < floor; });
    prune_at = std::max(prune_at, 2 * candidates.size());
  };
  std::array<float, kRows> dots;
  ForEachBlock(scope, [&](Ordinal base, uint32_t lanes) {
    const CodeSlab::Block& block = slab.BlockOf(base);
    const uint32_t wanted = WantedLanes(block, base, lanes, scope);
    if (wanted == 0) return;
    const int8_t* const rows = slab.Code(base);
    if (wanted == kAllRows) {
      kernels.dot_float_rows(query.floats(), rows, stride, kRows, dots.data());
    } else {
      ForEachLane(wanted, [&](uint32_t lane) {
        kernels.dot_float_rows(query.floats(), rows + lane * stride, stride, 1, &dots[lane]);
      });
    }
    result.compared += static_cast<uint64_t>(std::popcount(wanted));
    ForEachLane(wanted, [&](uint32_t lane) {
      const SimilarityBounds bounds =
          similarity.Bound(query, dots[lane], block.scale[lane], block.residual[lane], block.squares[lane]);
      if (rule_out && bounds.high < lows.floor()) return;
      lows.Offer({base + lane, bounds.low});
      candidates.push_back({bounds.high, base + lane});
    });
    if (candidates.size() >= prune_at) prune();
  });
  prune();
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.high != b.high ? a.high > b.high : a.ordinal < b.ordinal;
  });
  return result;
}

}  // namespace

absl::StatusOr<ExactScan> ScanExact(const CodeSlab& slab, std::span<const float> vector, const ScanScope& scope,
                                    uint32_t k, const VectorSource& source) {
  const CodeQuery query(slab.coder(), vector);
  for (const bool rule_out : {true, false}) {
    const auto [candidates, compared] = FindCandidates(slab, query, scope, k, rule_out);
    Reranker reranker(slab.coder().metric(), vector, source);
    TopK top(k, candidates.size());
    std::vector<Ordinal> batch;
    // The first k are read in any case, and then as many as are worth a trip to the source.
    const size_t step = std::max<size_t>(32, 2 * std::min<uint64_t>(k, candidates.size()));
    for (size_t at = 0; at < candidates.size() && candidates[at].high >= top.floor();) {
      batch.clear();
      for (; at < candidates.size() && batch.size() < step && candidates[at].high >= top.floor(); ++at) {
        batch.push_back(candidates[at].ordinal);
      }
      ENGRAM_RETURN_IF_ERROR(reranker.Offer(batch, top));
    }
    // What cannot be read may have ruled out what can be: then again, with everything.
    if (reranker.unreadable() != 0 && rule_out) continue;
    return ExactScan{top.Take(), compared, reranker.read(), reranker.unreadable()};
  }
  ENGRAM_CHECK(false);
}

}  // namespace engram
