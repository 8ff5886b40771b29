#include "core/ranking.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace engram {
namespace {

constexpr uint32_t kUsualOversample = 4;
constexpr uint32_t kMostOversample = 100;
// As many as the widest walk meets.
constexpr uint64_t kMostCandidates = 4096;

}  // namespace

absl::Status CheckRanking(const Ranking& ranking) {
  if (ranking.recency_half_life_us < 0) {
    return absl::InvalidArgumentError(
        fmt::format("ranking recency_half_life_us {} is negative", ranking.recency_half_life_us));
  }
  if (!(ranking.confidence_weight >= 0 && ranking.confidence_weight <= 1)) {
    return absl::InvalidArgumentError(
        fmt::format("ranking confidence_weight {} is not in 0..1", ranking.confidence_weight));
  }
  if (ranking.oversample > kMostOversample) {
    return absl::InvalidArgumentError(
        fmt::format("ranking oversample {} is not in 0..{}", ranking.oversample, kMostOversample));
  }
  return absl::OkStatus();
}

uint32_t RankingCandidates(const Ranking& ranking, uint32_t k, bool exact) {
  if (!ranking.enabled() || exact) return k;
  const uint64_t wanted = uint64_t{k} * (ranking.oversample == 0 ? kUsualOversample : ranking.oversample);
  return std::max(k, static_cast<uint32_t>(std::min(wanted, kMostCandidates)));
}

float RankingScore(const Ranking& ranking, float similarity, int64_t observed_at_us, float confidence, int64_t now_us) {
  double weight = 1 - double{ranking.confidence_weight} * (1 - double{confidence});
  if (ranking.recency_half_life_us != 0) {
    const double age = std::max(0.0, static_cast<double>(now_us) - static_cast<double>(observed_at_us));
    weight *= std::exp2(-age / static_cast<double>(ranking.recency_half_life_us));
  }
  // What is dissimilar must not gain by being old.
  return static_cast<float>(similarity >= 0 ? similarity * weight : similarity * (2 - weight));
}

std::vector<RankedHit> RankHits(const Ranking& ranking, std::span<const SearchHit> hits, const RecordStore& records,
                                Ordinal except, uint32_t k, int64_t now_us) {
  std::vector<RankedHit> ranked;
  ranked.reserve(hits.size());
  const RankingScores scores(ranking, records, now_us);
  for (const SearchHit& hit : hits) {
    if (hit.ordinal == except) continue;
    ranked.push_back({hit, ranking.enabled() ? scores.Of(hit.ordinal, hit.similarity) : hit.similarity});
  }
  const auto kept = static_cast<ptrdiff_t>(std::min<size_t>(k, ranked.size()));
  if (ranking.enabled()) {
    std::partial_sort(ranked.begin(), ranked.begin() + kept, ranked.end(), [](const RankedHit& a, const RankedHit& b) {
      if (a.score != b.score) return a.score > b.score;
      if (a.hit.similarity != b.hit.similarity) return a.hit.similarity > b.hit.similarity;
      return a.hit.ordinal < b.hit.ordinal;
    });
  }
  ranked.resize(static_cast<size_t>(kept));
  return ranked;
}

}  // namespace engram
