// What a recall's hits are ordered by when age or confidence count.
//
// Threads: pure functions. Errors: INVALID_ARGUMENT naming field, value and range.
// Why:     the formula is the client's to check, so it is in proto/engram/v1/memory_service.proto, and here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/base/types.h"
#include "core/engine.h"
#include "core/record_store.h"
#include "index/hit_score.h"
#include "index/space_index.h"

namespace engram {

absl::Status CheckRanking(const Ranking& ranking);

// How many of the most similar are looked for, if `k` are wanted. An exact search ranks all there are by itself.
uint32_t RankingCandidates(const Ranking& ranking, uint32_t k, bool exact);

float RankingScore(const Ranking& ranking, float similarity, int64_t observed_at_us, float confidence, int64_t now_us);

// The same, for a search. Ranking and records outlive it.
class RankingScores final : public HitScore {
 public:
  RankingScores(const Ranking& ranking, const RecordStore& records, int64_t now_us)
      : ranking_(ranking), records_(records), now_us_(now_us) {}

  float Of(Ordinal ordinal, float similarity) const override {
    return RankingScore(ranking_, similarity, records_.ObservedAt(ordinal), records_.Confidence(ordinal), now_us_);
  }

 private:
  const Ranking& ranking_;
  const RecordStore& records_;
  const int64_t now_us_;
};

struct RankedHit {
  SearchHit hit;
  float score = 0;
};
// The best `k` of `hits` other than `except`: by score, then similarity, then ordinal. As they are when nothing but
// similarity counts.
std::vector<RankedHit> RankHits(const Ranking& ranking, std::span<const SearchHit> hits, const RecordStore& records,
                                Ordinal except, uint32_t k, int64_t now_us);

}  // namespace engram
