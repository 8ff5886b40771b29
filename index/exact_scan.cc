// Scans whose answer is certain: codes bound every similarity, and what they cannot rule out is read.
#include <algorithm>
#include <array>
#include <limits>
#include <tuple>
#include <vector>

#include "index/code_scan.h"
#include "index/code_similarity.h"
#include "index/hit_score.h"
#include "index/scan_blocks.h"

namespace engram {
namespace {

constexpr size_t kFirstPrune = 1024;

uint64_t LengthOf(const ScanScope& scope) { return scope.end > scope.begin ? scope.end - scope.begin : 0; }

// Calls bounded(ordinal, bounds) for each that is in scope, and ended() behind each block; returns how many that were.
template <class Bounded, class Ended>
uint64_t ForEachBounded(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, const Bounded& bounded,
                        const Ended& ended) {
  const CodeKernels& kernels = slab.coder().kernels();
  const CodeSimilarity similarity(slab.coder().metric());
  const size_t stride = slab.stride();
  uint64_t compared = 0;
  std::array<float, kScanRows> dots;
  ForEachMatch(slab, scope, [&](Ordinal base, uint32_t lanes) {
    const CodeSlab::Block& block = slab.BlockOf(base);
    const uint32_t wanted = LiveLanes(block, lanes, scope.visible);
    if (wanted == 0) return;
    const int8_t* const rows = slab.Code(base);
    if (wanted == kAllScanRows) {
      kernels.dot_float_rows(query.floats(), rows, stride, kScanRows, dots.data());
    } else {
      ForEachLane(wanted, [&](uint32_t lane) {
        kernels.dot_float_rows(query.floats(), rows + lane * stride, stride, 1, &dots[lane]);
      });
    }
    compared += static_cast<uint64_t>(std::popcount(wanted));
    ForEachLane(wanted, [&](uint32_t lane) {
      bounded(base + lane,
              similarity.Bound(query, dots[lane], block.scale[lane], block.residual[lane], block.squares[lane]));
    });
    ended();
  });
  return compared;
}

// --- by similarity ---

struct Candidates {
  std::vector<Candidate> all;
  uint64_t compared = 0;
};

// Without `rule_out` everything in the scope.
Candidates FindCandidates(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope, uint32_t k,
                          bool rule_out) {
  Candidates result;
  std::vector<Candidate>& candidates = result.all;
  // At least k are as good as the worst of these.
  TopK lows(k, LengthOf(scope));
  size_t prune_at = std::max<size_t>(kFirstPrune, 4 * std::min<uint64_t>(k, LengthOf(scope)));
  const auto prune = [&] {
    if (!rule_out) return;
    const float floor = lows.floor();
    std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.high < floor; });
    prune_at = std::max(prune_at, 2 * candidates.size());
  };
  result.compared = ForEachBounded(
      slab, query, scope,
      [&](Ordinal ordinal, const SimilarityBounds& bounds) {
        if (rule_out && bounds.high < lows.floor()) return;
        lows.Offer({ordinal, bounds.low});
        candidates.push_back({bounds.high, ordinal});
      },
      [&] {
        if (candidates.size() >= prune_at) prune();
      });
  prune();
  return result;
}

// --- by score ---

// In the order of hits: by score, then similarity. Of the most that a row can have this is an upper bound, and of the
// least a lower one.
struct Standing {
  float score = 0;
  float similarity = 0;
  Ordinal ordinal = kNoOrdinal;

  bool Below(const Standing& other) const {
    return score != other.score ? score < other.score : similarity < other.similarity;
  }
};
bool Before(const Standing& a, const Standing& b) {
  return std::tie(b.score, b.similarity, a.ordinal) < std::tie(a.score, a.similarity, b.ordinal);
}

// The best k so far.
class BestStandings {
 public:
  BestStandings(uint32_t k, uint64_t most) : k_(k) { heap_.reserve(std::min<uint64_t>(k, most)); }

  // Nothing with no more than `high` is among them.
  bool Excludes(const Standing& high) const { return heap_.size() == k_ && high.Below(heap_.front()); }
  // The same of any whose similarity, and so its score, is not above that.
  bool ExcludesAllUpTo(float similarity) const { return heap_.size() == k_ && similarity < heap_.front().score; }
  void Offer(const Standing& standing) {
    if (heap_.size() == k_) {
      if (!Before(standing, heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end(), Before);
      heap_.back() = standing;
    } else {
      heap_.push_back(standing);
    }
    std::push_heap(heap_.begin(), heap_.end(), Before);
  }

  std::span<const Standing> all() const { return heap_; }
  std::vector<SearchHit> Take() {
    std::sort_heap(heap_.begin(), heap_.end(), Before);
    std::vector<SearchHit> hits;
    hits.reserve(heap_.size());
    for (const Standing& standing : heap_) hits.push_back({standing.ordinal, standing.similarity});
    return hits;
  }

 private:
  const uint32_t k_;
  std::vector<Standing> heap_;  // The worst in front.
};

struct HighStandings {
  std::vector<Standing> all;
  uint64_t compared = 0;
};

// As FindCandidates.
HighStandings FindStandings(const CodeSlab& slab, const CodeQuery& query, const ScanScope& scope,
                            const RankedWish& wish, bool rule_out) {
  HighStandings result;
  std::vector<Standing>& highs = result.all;
  BestStandings lows(wish.k, LengthOf(scope));
  size_t prune_at = std::max<size_t>(kFirstPrune, 4 * std::min<uint64_t>(wish.k, LengthOf(scope)));
  const auto prune = [&] {
    if (!rule_out) return;
    std::erase_if(highs, [&](const Standing& high) { return lows.Excludes(high); });
    prune_at = std::max(prune_at, 2 * highs.size());
  };
  result.compared = ForEachBounded(
      slab, query, scope,
      [&](Ordinal ordinal, const SimilarityBounds& bounds) {
        if (bounds.high < wish.min_similarity) return;
        // Without a look at what else counts, for most.
        if (rule_out && lows.ExcludesAllUpTo(bounds.high)) return;
        const Standing high = {wish.score->Of(ordinal, bounds.high), bounds.high, ordinal};
        if (rule_out && lows.Excludes(high)) return;
        if (bounds.low >= wish.min_similarity) {
          lows.Offer({wish.score->Of(ordinal, bounds.low), bounds.low, ordinal});
        }
        highs.push_back(high);
      },
      [&] {
        if (highs.size() >= prune_at) prune();
      });
  prune();
  return result;
}

// As RerankBest.
Reranked ReadStandings(Reranker& reranker, std::vector<Standing>& highs, const RankedWish& wish) {
  std::sort(highs.begin(), highs.end(), Before);
  BestStandings best(wish.k, highs.size());
  std::vector<Ordinal> some;
  ReadSteps steps(wish.k);
  for (size_t at = 0; at < highs.size() && !best.Excludes(highs[at]);) {
    some.clear();
    for (const size_t step = steps.Next(); at < highs.size() && some.size() < step && !best.Excludes(highs[at]); ++at) {
      some.push_back(highs[at].ordinal);
    }
    reranker.Compare(some, [&](SearchHit hit) {
      if (hit.similarity < wish.min_similarity) return;
      best.Offer({wish.score->Of(hit.ordinal, hit.similarity), hit.similarity, hit.ordinal});
    });
    if (!reranker.holds_many()) continue;
    some.clear();
    for (const Standing& standing : best.all()) some.push_back(standing.ordinal);
    reranker.KeepOnly(some);
  }
  Reranked result;
  result.read = reranker.read();
  result.unreadable = reranker.CountUnreadable([&](const auto& count) {
    for (const Standing& high : highs) {
      if (best.Excludes(high)) break;
      count(high.ordinal);
    }
  });
  result.hits = best.Take();
  return result;
}

}  // namespace

ExactScan ScanExact(const CodeSlab& slab, std::span<const float> vector, const ScanScope& scope, uint32_t k,
                    const VectorSource& source) {
  const CodeQuery query(slab.coder(), vector);
  ExactScan result;
  for (const bool rule_out : {true, false}) {
    auto [candidates, compared] = FindCandidates(slab, query, scope, k, rule_out);
    static_cast<Reranked&>(result) = RerankBest(slab.coder().metric(), vector, source, candidates, k);
    result.compared = compared;
    // What cannot be read may have ruled out what can be: then again, with everything.
    if (result.unreadable == 0) break;
  }
  return result;
}

ExactScan ScanRanked(const CodeSlab& slab, std::span<const float> vector, const ScanScope& scope,
                     const RankedWish& wish, const VectorSource& source) {
  const CodeQuery query(slab.coder(), vector);
  ExactScan result;
  for (const bool rule_out : {true, false}) {
    auto [highs, compared] = FindStandings(slab, query, scope, wish, rule_out);
    Reranker reranker(slab.coder().metric(), vector, source);
    static_cast<Reranked&>(result) = ReadStandings(reranker, highs, wish);
    result.compared = compared;
    // As above.
    if (result.unreadable == 0) break;
  }
  return result;
}

Candidate BoundedCandidate(const CodeSlab& slab, const CodeQuery& query, Ordinal ordinal) {
  float dot = 0;
  slab.coder().kernels().dot_float_rows(query.floats(), slab.Code(ordinal), slab.stride(), 1, &dot);
  const CodeSlab::Block& block = slab.BlockOf(ordinal);
  const uint32_t lane = CodeSlab::Lane(ordinal);
  const SimilarityBounds bounds = CodeSimilarity(slab.coder().metric())
                                      .Bound(query, dot, block.scale[lane], block.residual[lane], block.squares[lane]);
  return {bounds.high, ordinal};
}

}  // namespace engram
