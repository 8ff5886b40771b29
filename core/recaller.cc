#include "core/recaller.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/answer_pin.h"
#include "core/filter.h"
#include "core/observation_check.h"
#include "core/ranking.h"

namespace engram {
namespace {

constexpr uint32_t kWidestWalk = 4096;
constexpr uint32_t kMostOversample = 64;
constexpr uint32_t kUsualOversample = 3;
// How often a read is repeated because what it found was replaced or forgotten, and rewritten away, under its hands.
constexpr int kMostLooks = 3;

// The row of the observation that is recalled by.
absl::StatusOr<Ordinal> RowOfCue(const Space& space, const std::string& id, IndexView view, int64_t now_us) {
  const SpaceIndex* const index = space.index();
  const std::optional<Ordinal> found = index == nullptr ? std::nullopt : index->Find(id, view);
  if (found && space.records().ExpiresAt(*found) > now_us) return *found;
  return absl::NotFoundError(fmt::format("there is no observation '{}' in space '{}'", id, space.name()));
}

// A space without observations has none yet, and may have one by the time it is looked at.
absl::Status CheckDimension(const Space& space, const RecallQuery& query) {
  const SpaceIndex* const index = space.index();
  if (index == nullptr || index->options().dimension == query.embedding.dimension) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("query has {} dimensions, space '{}' has {}",
                                                query.embedding.dimension, space.name(), index->options().dimension));
}

absl::Status NeverThere(const Space& space, const std::string& id) {
  return absl::AbortedError(fmt::format("observation '{}' of space '{}' changes faster than it can be read: {} looks",
                                        id, space.name(), kMostLooks));
}

}  // namespace

absl::Status Recaller::Check(const Space& space, const RecallQuery& query, const Settings& settings) const {
  if (query.k == 0 || query.k > settings.limits_max_k) {
    return absl::InvalidArgumentError(fmt::format("k {} is not in 1..{} (limits.max_k)", query.k, settings.limits_max_k));
  }
  if (query.ef > kWidestWalk || (query.ef != 0 && query.ef < query.k)) {
    return absl::InvalidArgumentError(fmt::format("ef {} is not in k..{}, k is {}", query.ef, kWidestWalk, query.k));
  }
  if (query.oversample > kMostOversample) {
    return absl::InvalidArgumentError(fmt::format("oversample {} is not in 0..{}", query.oversample, kMostOversample));
  }
  if (query.id.empty()) {
    ENGRAM_RETURN_IF_ERROR(CheckEmbedding(query.embedding, space.metric(), settings.limits_max_dimension));
    ENGRAM_RETURN_IF_ERROR(CheckDimension(space, query));
  }
  if (query.min_similarity && !(*query.min_similarity == *query.min_similarity)) {
    return absl::InvalidArgumentError("min_similarity is not a number");
  }
  ENGRAM_RETURN_IF_ERROR(CheckRanking(query.ranking));
  return CheckFilter(query.filter);
}

absl::Status Recaller::AwaitToken(const Token& at_least, MonotonicTime deadline) {
  if (at_least == Token{}) return absl::OkStatus();
  if (at_least.journal != journal_->id()) {
    return absl::FailedPreconditionError(fmt::format("token is of journal {:016x}, this daemon's is {:016x}",
                                                     at_least.journal, journal_->id()));
  }
  // No such token was ever given out, so waiting for it could last for ever.
  if (at_least.position > journal_->last()) {
    return absl::OutOfRangeError(fmt::format("the journal ends at {}, at_least asks for {}", journal_->last(),
                                             at_least.position));
  }
  if (ingest_->applied().AwaitThrough(at_least.position, deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(fmt::format("the journal is applied through {}, at_least asks for {}",
                                                 ingest_->applied().through(), at_least.position));
}

absl::StatusOr<RecallAnswer> Recaller::Recall(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                              const Settings& settings, MonotonicTime deadline) {
  RecallTimes times;
  times.begin = clock_->Now();
  ENGRAM_RETURN_IF_ERROR(Check(*space, query, settings));
  ENGRAM_RETURN_IF_ERROR(AwaitToken(query.at_least, deadline));
  times.reached = clock_->Now();
  CapacityGate& gate = ingest_->gate();
  if (gate.TakeUpTo(Priority::kHigh, 1) == 0) {
    return absl::ResourceExhaustedError(fmt::format("the share for high-priority work is full: {} of {} wait",
                                                    gate.share(Priority::kHigh), gate.share(Priority::kHigh)));
  }
  waiting_.fetch_add(1, std::memory_order_relaxed);
  absl::StatusOr<RecallAnswer> answer = absl::InternalError("recall did not run");
  executor_->RunHigh([&] {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    gate.Release(Priority::kHigh, 1);
    times.running = clock_->Now();
    if (times.running >= deadline) {
      answer = absl::DeadlineExceededError("the recall waited for a worker until its deadline");
      return;
    }
    ingest_->linker().RecallBegins();
    try {
      answer = Run(space, query, times);
    } catch (const std::exception& error) {
      answer = absl::ResourceExhaustedError(fmt::format("the recall could not be finished: {}", error.what()));
    }
    ingest_->linker().RecallEnds();
  });
  if (!answer.ok()) return answer;
  times.end = clock_->Now();
  answer->elapsed = std::chrono::duration_cast<Duration>(times.end - times.begin);
  TimeRecall(times, *process_);
  TraceRecall(*tracer_, *space, query, *answer, times, *clock_);
  return answer;
}

absl::StatusOr<RecallAnswer> Recaller::Run(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                           RecallTimes& times) {
  for (int look = 1;; ++look) {
    uint64_t stale = 0;
    absl::StatusOr<RecallAnswer> answer = Look(space, query, times, &stale);
    if (stale == 0) return answer;
    if (look < kMostLooks) continue;
    if (answer.ok()) answer->unreadable += stale;
    return answer;
  }
}

absl::StatusOr<RecallAnswer> Recaller::Look(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                            RecallTimes& times, uint64_t* stale) {
  const auto pin = std::make_shared<AnswerPin>(journal_, space);
  RecallAnswer answer;
  answer.pin = pin;
  answer.exact = true;
  if (query.id.empty()) answer.cue = pin->Widened(query.embedding);
  // Read before the view is taken: everything up to here is in the view.
  answer.visible_through = {journal_->id(), ingest_->applied().through()};
  SpaceIndex* const index = space->index();
  if (index == nullptr) {
    if (!query.id.empty()) return RowOfCue(*space, query.id, {}, 0).status();
    return answer;
  }
  if (query.id.empty()) ENGRAM_RETURN_IF_ERROR(CheckDimension(*space, query));
  const int64_t now_us = clock_->WallMicros();
  bool mortals_gone = false;
  const IndexView view = space->PinAt(now_us, &mortals_gone);
  if (view.visible != 0) {
    // Of this space it shows all up to its last row, also what was applied beyond a gap.
    const uint64_t last = space->records().Address(view.visible - 1).position;
    answer.visible_through.position = std::max(answer.visible_through.position, last);
  }

  Ordinal self = kNoOrdinal;
  SearchRequest request;
  if (!query.id.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(self, RowOfCue(*space, query.id, view, now_us));
    const absl::StatusOr<std::span<const float>> vector = pin->VectorOf(self);
    if (absl::IsNotFound(vector.status())) {
      ++*stale;
      return NeverThere(*space, query.id);
    }
    ENGRAM_RETURN_IF_ERROR(vector.status());
    answer.cue = *vector;
  }
  request.query = answer.cue;
  // One more than asked for, in case the observation recalled by is among them.
  request.k = RankingCandidates(query.ranking, query.k, query.exact);
  if (self != kNoOrdinal && request.k != UINT32_MAX) ++request.k;
  request.ef = std::max(query.ef != 0 ? query.ef : space->ef_search(), request.k);
  request.exact = query.exact;
  request.oversample = query.oversample == 0 ? kUsualOversample : query.oversample;
  if (!index->options().keep_rows) request.source = &pin->reads();
  request.min_similarity = query.min_similarity;
  const RankingScores scores(query.ranking, space->records(), now_us);
  if (query.exact && query.ranking.enabled()) request.score = &scores;
  request.clock = clock_;
  std::optional<Filter> filter;
  // A writer was busy, or there were many, or one has just come: some observations whose time is over may still be there.
  // Look at each one.
  const std::optional<int64_t> due = mortals_gone ? std::nullopt : std::optional(now_us);
  if (!query.filter.empty() || !mortals_gone) {
    request.filter = &filter.emplace(query.filter, space->records(), *index, view, due);
  }

  times.search = clock_->Now();
  const SearchResult found = index->Search(request, view);
  times.searched = clock_->Now();
  times.walk = found.walk_time;
  times.scan = found.scan_time;
  times.rerank = found.rerank_time;
  // A filter's share of a scan is none of the tail's.
  if (request.filter == nullptr) ingest_->budget().NoteScan(*space, found.tail_scanned, found.tail_time);
  ingest_->linker().HastenBits(space);
  canary_->Consider(space, query.filter, due, request, view, found);
  answer.graph_candidates = found.graph_candidates;
  answer.tail_scanned = found.tail_scanned;
  answer.exact = found.exact;
  answer.live = index->live();
  *stale = std::min(found.unreadable, pin->reads().gone());
  answer.unreadable = found.unreadable - *stale;
  for (const auto& [hit, score] : RankHits(query.ranking, found.hits, space->records(), self, query.k, now_us)) {
    ObservationHit& out = answer.hits.emplace_back();
    out.similarity = hit.similarity;
    out.score = score;
    const absl::Status read = pin->Show(hit.ordinal, HitParts::Of(query), out);
    if (read.ok()) continue;
    answer.hits.pop_back();
    ++(absl::IsNotFound(read) ? *stale : answer.unreadable);
  }
  return answer;
}

absl::StatusOr<GetAnswer> Recaller::Get(const std::shared_ptr<Space>& space, std::span<const std::string> ids) {
  ENGRAM_RETURN_IF_ERROR(CheckIds(ids.size()));
  const auto pin = std::make_shared<AnswerPin>(journal_, space);
  GetAnswer answer;
  answer.pin = pin;
  const SpaceIndex* const index = space->index();
  const int64_t now_us = clock_->WallMicros();
  IndexView view = index == nullptr ? IndexView{} : index->Pin();
  for (const std::string& id : ids) {
    for (int look = 1;; ++look) {
      const std::optional<Ordinal> found = index == nullptr ? std::nullopt : index->Find(id, view);
      if (!found || space->records().ExpiresAt(*found) <= now_us) {
        answer.missing.push_back(id);
        break;
      }
      ObservationHit hit;
      const absl::Status read = pin->Show(*found, {}, hit);
      if (read.ok()) {
        answer.observations.push_back(std::move(hit));
        break;
      }
      if (!absl::IsNotFound(read) || look == kMostLooks) {
        answer.unreadable.push_back(id);
        break;
      }
      view = index->Pin();
    }
  }
  return answer;
}

absl::StatusOr<std::vector<float>> Recaller::CueOf(const std::shared_ptr<Space>& space,
                                                   const RecallQuery& query, const Settings& settings) const {
  ENGRAM_RETURN_IF_ERROR(Check(*space, query, settings));
  std::vector<float> cue;
  if (query.id.empty()) {
    cue.resize(query.embedding.dimension);
    WidenVector(query.embedding, cue);
    return cue;
  }
  for (int look = 1; look <= kMostLooks; ++look) {
    const SpaceIndex* const index = space->index();
    const IndexView view = index == nullptr ? IndexView{} : index->Pin();
    ENGRAM_ASSIGN_OR_RETURN(const Ordinal row, RowOfCue(*space, query.id, view, clock_->WallMicros()));
    AnswerPin pin(journal_, space);
    const absl::StatusOr<std::span<const float>> vector = pin.VectorOf(row);
    if (absl::IsNotFound(vector.status())) continue;
    ENGRAM_RETURN_IF_ERROR(vector.status());
    cue.assign(vector->begin(), vector->end());
    return cue;
  }
  return NeverThere(*space, query.id);
}

}  // namespace engram
