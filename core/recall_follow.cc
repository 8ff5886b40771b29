#include "core/recall_follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace engram {
namespace {

// Rows looked at, and compared, before there is a batch or the next look: a slot is not held for longer than some
// hundred microseconds.
constexpr Ordinal kMostRows = 16384;
constexpr size_t kMostCompared = 512;

// The first ordinal behind `point`.
Ordinal OrdinalBehind(const FollowPoint& point, const RecordStore& records, Ordinal visible) {
  Ordinal low = 0;
  for (Ordinal high = visible; low < high;) {
    const Ordinal middle = low + (high - low) / 2;
    const RecordAddress address = records.Address(middle);
    const bool sent = address.position <= point.through.position ||
                      (address.position == point.partial_position && address.place < point.partial_places);
    if (sent) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

RecallFollow::RecallFollow(Followers* followers, std::shared_ptr<Space> space, const RecallQuery& query,
                           std::vector<float> cue, const FollowPoint& after)
    : followers_(followers),
      space_(std::move(space)),
      query_(query),
      cue_(std::move(cue)),
      filter_(query_.filter),
      point_(after),
      matches_(followers->journal_, followers->executor_, followers->clock_, space_, &query_, cue_) {
  // Points into the caller's message.
  query_.embedding = {};
  // A client may be long about the snapshot; how far behind it is shall be known meanwhile.
  if (const SpaceIndex* const index = space_->index()) Place(index->Pin());
  MutexLock lock(followers_->mu_);
  followers_->open_.insert(this);
}

RecallFollow::~RecallFollow() {
  MutexLock lock(followers_->mu_);
  followers_->open_.erase(this);
}

absl::StatusOr<FollowBatch> RecallFollow::Next(size_t most, MonotonicTime until) {
  while (true) {
    // Before the look: what comes during it rings once more.
    const uint64_t rung = space_->arrivals().rung();
    if (space_->dropped()) return absl::NotFoundError(fmt::format("space '{}' was deleted", space_->name()));
    if (!followers_->ingest_->admitting()) return absl::UnavailableError("the daemon is draining");
    FollowBatch batch;
    ENGRAM_ASSIGN_OR_RETURN(const bool caught_up, Look(most, batch));
    if (!batch.hits.empty() || batch.unreadable != 0 || followers_->clock_->Now() >= until) {
      space_->series().Add(MetricId::kRecallFollowHits, batch.hits.size());
      batch.point = point_;
      return batch;
    }
    if (caught_up) space_->arrivals().AwaitBeyond(rung, *followers_->clock_, until);
  }
}

absl::StatusOr<bool> RecallFollow::Look(size_t most, FollowBatch& batch) {
  // Read before the view is taken: everything up to here is in the view.
  const uint64_t applied = followers_->ingest_->applied().through();
  const SpaceIndex* const index = space_->index();
  if (index == nullptr) {
    MoveTo(0, {}, applied);
    return true;
  }
  if (index->options().dimension != cue_.size()) {
    return absl::InvalidArgumentError(fmt::format("query has {} dimensions, space '{}' has {}", cue_.size(),
                                                  space_->name(), index->options().dimension));
  }
  const int64_t now_us = followers_->clock_->WallMicros();
  space_->ExpireDue(now_us);
  const IndexView view = index->Pin();
  const RecordStore& records = space_->records();
  if (!placed_) Place(view);
  std::vector<Ordinal> ordinals;
  if (matches_.empty()) {
    const Ordinal end = compared_ + std::min(view.visible - compared_, kMostRows);
    for (; compared_ < end && ordinals.size() < kMostCompared; ++compared_) {
      if (!index->Live(compared_, view)) continue;
      const std::string_view id = index->IdOf(compared_);
      if (id != query_.id && filter_.Matches(records, compared_, id, now_us)) ordinals.push_back(compared_);
    }
  }
  if (!ordinals.empty() || !matches_.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(FollowMatches::Taken taken, matches_.Take(ordinals, view, most));
    batch.hits = std::move(taken.hits);
    batch.unreadable = taken.unreadable;
    batch.pin = std::move(taken.pin);
  }
  MoveTo(matches_.empty() ? compared_ : matches_.front(), view, applied);
  return matches_.empty() && compared_ == view.visible;
}

void RecallFollow::Place(IndexView view) {
  compared_ = OrdinalBehind(point_, space_->records(), view.visible);
  next_.store(compared_, std::memory_order_relaxed);
  placed_ = true;
}

void RecallFollow::MoveTo(Ordinal next, IndexView view, uint64_t applied) {
  next_.store(next, std::memory_order_relaxed);
  const RecordStore& records = space_->records();
  FollowPoint point;
  point.through = {followers_->journal_->id(), applied};
  if (next != view.visible) {
    const RecordAddress behind = records.Address(next);
    // The space has nothing between the row and those before it.
    point.through.position = behind.position - 1;
    if (next != 0 && records.Address(next - 1).position == behind.position) {
      point.partial_position = behind.position;
      point.partial_places = records.Address(next - 1).place + 1;
    }
  } else if (next != 0) {
    // The view may show more than what was applied without a gap; of this space it shows all up to its last row.
    point.through.position = std::max(applied, records.Address(next - 1).position);
  }
  point.through.position = std::max(point.through.position, point_.through.position);
  point_ = point;
}

uint64_t RecallFollow::lag() const {
  const SpaceIndex* const index = space_->index();
  const Ordinal next = next_.load(std::memory_order_relaxed);
  return index == nullptr ? 0 : index->size() - std::min<uint64_t>(next, index->size());
}

absl::StatusOr<std::unique_ptr<RecallFollow>> Followers::Open(const std::shared_ptr<Space>& space,
                                                              const RecallQuery& query, const FollowPoint& after,
                                                              const Settings& settings) {
  if (!ingest_->admitting()) return absl::UnavailableError("the daemon is draining");
  if (after.through.journal != journal_->id()) {
    return absl::FailedPreconditionError(fmt::format("token is of journal {:016x}, this daemon's is {:016x}",
                                                     after.through.journal, journal_->id()));
  }
  if (const uint64_t last = journal_->last(); after.through.position > last || after.partial_position > last) {
    return absl::OutOfRangeError(fmt::format("the journal ends at {}, the recall is to go on behind {}", last,
                                             std::max(after.through.position, after.partial_position)));
  }
  ENGRAM_ASSIGN_OR_RETURN(std::vector<float> cue, recaller_->CueOf(space, query, settings));
  return std::unique_ptr<RecallFollow>(new RecallFollow(this, space, query, std::move(cue), after));
}

std::unique_ptr<RecallFollow> Followers::OpenBehind(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                                    const RecallAnswer& answer) {
  std::vector<float> cue(answer.cue.begin(), answer.cue.end());
  return std::unique_ptr<RecallFollow>(
      new RecallFollow(this, space, query, std::move(cue), {.through = answer.visible_through}));
}

void Followers::Wake() {
  MutexLock lock(mu_);
  for (const RecallFollow* follow : open_) follow->space_->arrivals().Ring();
}

void Followers::Tell(const GaugeSink& sink) const {
  std::map<std::string, uint64_t> furthest;
  {
    MutexLock lock(mu_);
    sink(MetricId::kRecallFollowers, "", 0, static_cast<double>(open_.size()));
    for (const RecallFollow* follow : open_) {
      uint64_t& lag = furthest[follow->space_->name()];
      lag = std::max(lag, follow->lag());
    }
  }
  for (const auto& [space, lag] : furthest) sink(MetricId::kRecallFollowLag, space, 0, static_cast<double>(lag));
}

}  // namespace engram
