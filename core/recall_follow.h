// A recall that goes on: each observation recorded behind a point that passes the cue's threshold, in journal order.
//
// A follower holds its cue, the next ordinal of its space, and of one window of rows which of them match. Woken, it
// compares what is visible by now and was not before, each row once; what it is asked for too slowly waits in the space
// itself. So it takes the writers no memory and no time but a bell's, and it misses nothing: a version that is replaced,
// forgotten or expired before the follower has come to it is left out, everything else is sent once.
//
// Ordinals of a space are in the order of the journal: records are applied in it, live, replayed or loaded, and
// rewriting leaves positions and places as they are. So a point in the journal is found again by bisection, also after a
// restart that dropped dead rows and numbered the rest anew.
//
// Threads:  a RecallFollow is one thread's; Followers is anybody's. Ownership: what Followers is made of outlives it, and it
//           its RecallFollows, which share their space. Blocking: Next until there is a hit, or `until`; it takes a
//           high-priority slot while it compares, never while it waits.
// Errors:   per method.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/follow_matches.h"
#include "core/ingest.h"
#include "core/recaller.h"
#include "core/row_filter.h"
#include "core/space.h"

namespace engram {

class Followers;

struct FollowBatch {
  std::vector<ObservationHit> hits;
  // Everything before it has been looked at.
  FollowPoint point;
  // Hits left out, before `point`, because the journal's record of them is damaged.
  uint64_t unreadable = 0;
  std::shared_ptr<const void> pin;
};

class RecallFollow {
 public:
  ~RecallFollow();

  // The next hits, at most `most`, as soon as there are any; none at `until`. NOT_FOUND: the space was deleted. UNAVAILABLE:
  // the engine drains. INVALID_ARGUMENT: the space got another dimension than the cue's. RESOURCE_EXHAUSTED: memory is out.
  absl::StatusOr<FollowBatch> Next(size_t most, MonotonicTime until);
  // As in the last batch, or where it began.
  const FollowPoint& point() const { return point_; }

 private:
  friend class Followers;
  RecallFollow(Followers* followers, std::shared_ptr<Space> space, const RecallQuery& query, std::vector<float> cue,
               const FollowPoint& after);

  // Goes on with what is visible, at most one window of it; true when that was all.
  absl::StatusOr<bool> Look(size_t most, FollowBatch& batch);
  // To the first row of `view` behind point_.
  void Place(IndexView view);
  void MoveTo(Ordinal next, IndexView view, uint64_t applied);
  // Observations that it has not looked at.
  uint64_t lag() const;

  // Constant after construction.
  Followers* const followers_;
  const std::shared_ptr<Space> space_;
  RecallQuery query_;
  const std::vector<float> cue_;
  const RowFilter filter_;

  FollowPoint point_;
  // The ordinal of point_ is known.
  bool placed_ = false;
  // What of the rows up to here matches has been sent or waits.
  Ordinal compared_ = 0;
  FollowMatches matches_;
  // The first that waits, or compared_. Atomic: moved by the follower, read at scrape.
  std::atomic<Ordinal> next_{0};
};

class Followers {
 public:
  Followers(Recaller* recaller, Ingest* ingest, Journal* journal, Executor* executor, Clock* clock)
      : recaller_(recaller), ingest_(ingest), journal_(journal), executor_(executor), clock_(clock) {}

  // INVALID_ARGUMENT and NOT_FOUND as a recall's; OUT_OF_RANGE and FAILED_PRECONDITION for an `after` that is beyond the
  // journal or another one's; UNAVAILABLE while draining.
  absl::StatusOr<std::unique_ptr<RecallFollow>> Open(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                                     const FollowPoint& after, const Settings& settings)
      ABSL_LOCKS_EXCLUDED(mu_);
  // What comes behind an answer of the space to the query.
  std::unique_ptr<RecallFollow> OpenBehind(const std::shared_ptr<Space>& space, const RecallQuery& query,
                                           const RecallAnswer& answer) ABSL_LOCKS_EXCLUDED(mu_);
  // They look whether they are to end.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  void Tell(const GaugeSink& sink) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class RecallFollow;

  // Constant after construction.
  Recaller* const recaller_;
  Ingest* const ingest_;
  Journal* const journal_;
  Executor* const executor_;
  Clock* const clock_;

  mutable Mutex mu_;
  std::set<RecallFollow*> open_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram
