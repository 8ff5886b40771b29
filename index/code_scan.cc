#include "index/code_scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "index/code_similarity.h"
#include "index/scan_blocks.h"

namespace engram {
namespace {

bool Wanted(const VersionColumns& columns, Ordinal base, uint32_t lane, const ScanScope& scope) {
  return columns.LiveIn(lane, scope.visible) && (scope.filter == nullptr || scope.filter->Matches(base + lane));
}

// What looks good by its bits.
struct Promising {
  float score;
  Ordinal ordinal;
};
bool Better(const Promising& a, const Promising& b) {
  return a.score != b.score ? a.score > b.score : a.ordinal < b.ordinal;
}

// Compares bytes, wherever they lie.
void EstimateEach(const CodeSlab& slab, const CodeQuery& query, std::span<const Promising> some,
                  std::vector<SearchHit>& estimates) {
  const CodeKernels& kernels = slab.coder().kernels();
  const CodeSimilarity similarity(slab.coder().metric());
  constexpr size_t kStep = 4;
  constexpr size_t kAhead = 12;
  for (size_t i = 0; i < std::min(kAhead, some.size()); ++i) PrefetchCode(slab, some[i].ordinal);
  for (size_t at = 0; at < some.size(); at += kStep) {
    for (size_t i = at + kAhead; i < std::min(at + kAhead + kStep, some.size()); ++i) {
      PrefetchCode(slab, some[i].ordinal);
    }
    const size_t count = std::min(kStep, some.size() - at);
    std::array<const int8_t*, kStep> codes;
    // Where fewer than four are left the last one is compared again.
    for (size_t i = 0; i < kStep; ++i) codes[i] = slab.Code(some[at + std::min(i, count - 1)].ordinal);
    std::array<int32_t, kStep> dots;
    kernels.dot_four(query.code(), codes.data(), slab.stride(), dots.data());
    for (size_t i = 0; i < count; ++i) {
      const Ordinal ordinal = some[at + i].ordinal;
      const CodeSlab::Block& block = slab.BlockOf(ordinal);
      const uint32_t lane = CodeSlab::Lane(ordinal);
      estimates.push_back({ordinal, similarity.Estimate(dots[i], query.columns().scale, query.columns().squares,
                                                        block.scale[lane], block.squares[lane])});
    }
  }
}

// The least score that a vector as similar as the `wanted`-th best of all of these has, its bits being a little unlucky;
// without so many the least of all scores. Of two vectors with the cosine c, 2 / pi * asin(c) more of the bits agree than
// differ, give or take their number's root.
float ScoreThatMatters(std::span<const SearchHit> some, std::span<const SearchHit> others, uint32_t wanted,
                       float elements) {
  constexpr float kFactor = 1.2533f;    // sqrt(pi / 2), the factor of a vector that is spread as usual.
  constexpr float kDeviations = 1.65f;  // Less lucky is one in twenty.
  if (wanted == 0 || some.size() + others.size() < wanted) return -std::numeric_limits<float>::infinity();
  std::vector<float> similarities;
  similarities.reserve(some.size() + others.size());
  for (const SearchHit& hit : some) similarities.push_back(hit.similarity);
  for (const SearchHit& hit : others) similarities.push_back(hit.similarity);
  std::nth_element(similarities.begin(), similarities.begin() + wanted - 1, similarities.end(), std::greater<>());
  const float agreement = elements * std::asin(std::clamp(similarities[wanted - 1], -1.0f, 1.0f)) * 0.63662f;
  return kFactor * (agreement - kDeviations * std::sqrt(elements));
}

}  // namespace

uint64_t ScanCodes(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, TopK& top) {
  const CodeKernels& kernels = slab.coder().kernels();
  const CodeSimilarity similarity(slab.coder().metric());
  const CodeColumns& own = query.columns();
  const size_t stride = slab.stride();
  std::array<int32_t, kScanRows> dots;
  uint64_t compared = 0;
  ForEachMatch(slab, scope, [&](Ordinal base, uint32_t lanes) {
    const CodeSlab::Block& block = slab.BlockOf(base);
    const uint32_t wanted = LiveLanes(block, lanes, scope.visible);
    if (wanted == 0) return;
    const int8_t* const rows = slab.Code(base);
    if (wanted == kAllScanRows) {
      kernels.dot_rows(query.code(), rows, stride, kScanRows, dots.data());
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

bool ScanBits(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t keep, uint32_t wanted,
              TopK& top) {
  const CodeKernels& kernels = slab.coder().kernels();
  const uint32_t words = slab.bit_words();
  const auto elements = static_cast<float>(words * 64);

  // Twice as many as are kept; the worse half goes whenever it is full, and raises what gets in.
  std::vector<Promising> promising;
  promising.reserve(std::min<uint64_t>(2 * uint64_t{keep}, scope.end - scope.begin) + kScanRows);
  // What is found already may be so good that little of this scan matters.
  const float least = ScoreThatMatters(top.hits(), {}, wanted, elements);
  float floor = least;
  // What is live is known by other memory than the bits, so that is looked up for many at once, and asked for ahead.
  size_t checked = 0;
  const auto prune = [&] {
    constexpr size_t kAhead = 16;
    size_t kept = checked;
    for (size_t i = checked; i < promising.size(); ++i) {
      if (i + kAhead < promising.size()) {
        const Ordinal later = promising[i + kAhead].ordinal;
        __builtin_prefetch(&slab.Versions(later).died_at[CodeSlab::Lane(later)]);
      }
      const Ordinal ordinal = promising[i].ordinal;
      const uint32_t lane = CodeSlab::Lane(ordinal);
      if (Wanted(slab.Versions(ordinal), ordinal - lane, lane, scope)) promising[kept++] = promising[i];
    }
    promising.resize(kept);
    if (kept > keep) {
      std::nth_element(promising.begin(), promising.begin() + keep - 1, promising.end(), Better);
      promising.resize(keep);
      floor = promising.back().score;
    }
    checked = promising.size();
  };

  std::array<float, kScanRows> scores;
  std::array<float, kScanRows> some_factors{};
  // Scores a block and returns the lanes that reach the floor.
  const auto reaching = [&](Ordinal base, uint32_t lanes) {
    const auto rows = static_cast<uint32_t>(32 - std::countl_zero(lanes));
    const float* factors = slab.BitBlockOf(base).factor.data();
    if (rows != kScanRows) {
      // The writer may be at work on the others.
      std::copy_n(factors, rows, some_factors.data());
      factors = some_factors.data();
    }
    return lanes & kernels.score_bits(query.bits(), slab.Bits(base), words, rows, factors, elements, floor, scores.data());
  };
  const auto collect = [&] {
    ForEachBlock(scope, [&](Ordinal base, uint32_t lanes) {
      ForEachLane(reaching(base, lanes), [&](uint32_t lane) { promising.push_back({scores[lane], base + lane}); });
      if (promising.size() >= 2 * uint64_t{keep}) prune();
    });
    prune();
  };

  // Most of what is promising at the beginning is not at the end. One block in sixteen tells with which score about
  // one and a half times as many as are kept will be found; where it does not, as with many that are dead or with the
  // best in a few blocks, it begins anew. Fewer blocks would do so more often.
  constexpr uint32_t kSample = 16;
  if (std::isinf(least) && scope.end - scope.begin >= kSample * uint64_t{keep}) {
    std::vector<float> sample;
    sample.reserve((scope.end - scope.begin) / kSample + 2 * kScanRows);
    for (uint64_t at = scope.begin; at < scope.end; at += kSample * kScanRows) {
      const auto base = static_cast<Ordinal>(at - at % kScanRows);
      if (base < scope.begin || base + kScanRows > scope.end) continue;
      reaching(base, kAllScanRows);
      sample.insert(sample.end(), scores.begin(), scores.end());
    }
    const size_t rank = keep / kSample * 3 / 2;
    if (rank < sample.size()) {
      std::nth_element(sample.begin(), sample.begin() + static_cast<ptrdiff_t>(rank), sample.end(), std::greater<>());
      floor = sample[rank];
    }
  }
  collect();
  if (promising.size() < keep && floor > least) {
    promising.clear();
    checked = 0;
    floor = least;
    collect();
  }

  // The best first, a few at a time, until the others cannot matter: to look at one costs as much as ten in a row.
  std::sort(promising.begin(), promising.end(), Better);
  std::vector<SearchHit> estimates;
  estimates.reserve(promising.size());
  constexpr size_t kFirstTurn = 128;
  bool enough = false;
  while (estimates.size() < promising.size() && !enough) {
    const std::span<const Promising> rest = std::span<const Promising>(promising).subspan(estimates.size());
    // By half more each time: to ask whether that is enough costs as much as all there are by then.
    const size_t turn = std::min(std::max(kFirstTurn, estimates.size() / 2), rest.size());
    EstimateEach(slab, query, rest.first(turn), estimates);
    enough = wanted != 0 && ScoreThatMatters(top.hits(), estimates, wanted, elements) >=
                                (rest.size() > turn ? rest[turn].score : floor);
  }
  // Where the floor was not raised none that matters was left out.
  if (!enough && floor > least && wanted != 0) return false;
  for (const SearchHit& hit : estimates) top.Offer(hit);
  return true;
}

uint32_t KeepByBits(uint64_t length, uint32_t wanted) {
  constexpr uint64_t kLeast = 1600;
  // One in a thousand of a long scan.
  const uint64_t keep = std::max({kLeast, length / 1000, uint64_t{wanted} * 16});
  return static_cast<uint32_t>(std::min<uint64_t>(keep, UINT32_MAX / 4));
}

bool ScanByBits(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t wanted, TopK& top) {
  constexpr uint32_t kWider = 8;
  const uint64_t length = scope.end > scope.begin ? scope.end - scope.begin : 0;
  const uint32_t keep = KeepByBits(length, wanted);
  if (!slab.bits() || length < 5 * uint64_t{keep}) return false;
  if (ScanBits(slab, query, scope, keep, wanted, top)) return true;
  // At the worst all that is kept is compared, which costs as much as the bytes of ten times as many in a row.
  return length >= 10 * uint64_t{keep} * kWider && ScanBits(slab, query, scope, keep * kWider, wanted, top);
}

uint64_t ScanQuickly(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t wanted, TopK& top) {
  ScanScope by_bits = scope;
  by_bits.end = std::min(scope.end, slab.bits_through());
  const uint64_t length = by_bits.end > scope.begin ? by_bits.end - scope.begin : 0;
  // To look at the bytes of a match costs as much as the bits of four.
  const bool many_match = scope.filter == nullptr || scope.filter->estimate() > length / 4;
  if (!many_match || !ScanByBits(slab, query, by_bits, wanted, top)) return ScanCodes(slab, query, scope, top);
  ScanScope rest = scope;
  rest.begin = by_bits.end;
  return length + ScanCodes(slab, query, rest, top);
}

}  // namespace engram
