#include "core/follow_matches.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/ranking.h"
#include "index/rerank.h"

namespace engram {
namespace {

// The rows that an index keeps itself.
class KeptSource final : public VectorSource {
 public:
  explicit KeptSource(const SpaceIndex* index) : index_(index) {}

  void Read(std::span<const Ordinal> ordinals, float* rows) const override {
    for (const Ordinal ordinal : ordinals) {
      const std::span<const float> row = index_->KeptRow(ordinal);
      rows = std::copy(row.begin(), row.end(), rows);
    }
  }

 private:
  const SpaceIndex* const index_;
};

size_t BytesOf(const ObservationHit& hit) {
  size_t bytes = hit.content.size() + hit.embedding.size_bytes();
  for (const TagView& tag : hit.tags) bytes += tag.key.size() + tag.value.size();
  return bytes;
}

}  // namespace

absl::StatusOr<FollowMatches::Taken> FollowMatches::Take(std::span<const Ordinal> ordinals, IndexView view,
                                                         size_t most) {
  absl::StatusOr<Taken> taken = absl::InternalError("the look did not run");
  executor_->RunHigh([&] {
    try {
      const auto pin = std::make_shared<AnswerPin>(journal_, space_);
      if (!ordinals.empty()) Compare(ordinals, *pin);
      taken = TakeFirst(view, most, pin);
    } catch (const std::exception& error) {
      taken = absl::ResourceExhaustedError(fmt::format("the recall could not go on: {}", error.what()));
    }
  });
  return taken;
}

void FollowMatches::Compare(std::span<const Ordinal> ordinals, AnswerPin& pin) {
  const SpaceIndex* const index = space_->index();
  const KeptSource kept(index);
  const VectorSource& source = index->options().keep_rows ? static_cast<const VectorSource&>(kept) : pin.reads();
  Reranker reranker(index->options().metric, cue_, source);
  std::vector<Match> found;
  const auto note = [&](const SearchHit& hit) {
    if (!query_.min_similarity || hit.similarity >= *query_.min_similarity) found.push_back({hit.ordinal, hit.similarity});
  };
  for (size_t at = 0; at < ordinals.size(); at += kMostRowsRead) {
    reranker.Compare(ordinals.subspan(at, std::min(kMostRowsRead, ordinals.size() - at)), note);
  }
  for (const Ordinal ordinal : reranker.unreadable()) {
    // What is not in the journal any more has died meanwhile, as others did before they were looked at.
    if (!absl::IsNotFound(pin.reads().Get(ordinal).status())) found.push_back({.ordinal = ordinal, .damaged = true});
  }
  std::sort(found.begin(), found.end(), [](const Match& a, const Match& b) { return a.ordinal < b.ordinal; });
  waiting_.insert(waiting_.end(), found.begin(), found.end());
}

FollowMatches::Taken FollowMatches::TakeFirst(IndexView view, size_t most, const std::shared_ptr<AnswerPin>& pin) {
  Taken taken;
  taken.pin = pin;
  const SpaceIndex& index = *space_->index();
  const RecordStore& records = space_->records();
  const int64_t now_us = clock_->WallMicros();
  size_t bytes = 0;
  for (; !waiting_.empty() && taken.hits.size() < most && bytes < kPieceBytes; waiting_.pop_front()) {
    const Match& match = waiting_.front();
    if (!index.Live(match.ordinal, view) || records.ExpiresAt(match.ordinal) <= now_us) continue;
    if (match.damaged) {
      ++taken.unreadable;
      continue;
    }
    ObservationHit& hit = taken.hits.emplace_back();
    hit.similarity = match.similarity;
    hit.score = !query_.ranking.enabled()
                    ? match.similarity
                    : RankingScore(query_.ranking, match.similarity, records.ObservedAt(match.ordinal),
                                   records.Confidence(match.ordinal), now_us);
    const absl::Status read = pin->Show(match.ordinal, HitParts::Of(query_), hit);
    if (read.ok()) {
      bytes += BytesOf(hit);
      continue;
    }
    taken.hits.pop_back();
    if (!absl::IsNotFound(read)) ++taken.unreadable;
  }
  return taken;
}

}  // namespace engram
