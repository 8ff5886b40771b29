// What of a follower's space passes its cue, and waits to be sent.
//
// Each row is compared once, a window of them at a time; the matches that a response has no room for stay here as ordinal
// and similarity, and are made hits at their turn, if they live by then. What they say is read again for that: it may be
// megabytes, and a client that does not read must not hold those.
//
// Threads:   one. Ownership: what it is given outlives it.
// Blocking:  Take until a high-priority slot is free, and while the journal reads.
// Errors:    RESOURCE_EXHAUSTED: memory is out; it is not to be used any more.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/answer_pin.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/engine.h"
#include "core/space.h"

namespace engram {

// Not much more than this of hits is handed over at once: far below the 4 MiB that clients of gRPC take unless told
// otherwise.
inline constexpr size_t kPieceBytes = size_t{1} << 20;

class FollowMatches {
 public:
  FollowMatches(const Journal* journal, Executor* executor, Clock* clock, std::shared_ptr<Space> space,
                const RecallQuery* query, std::span<const float> cue)
      : journal_(journal), executor_(executor), clock_(clock), space_(std::move(space)), query_(*query), cue_(cue) {}

  struct Taken {
    std::vector<ObservationHit> hits;
    // Left out before the last of them, or before what waits: the journal's record is damaged.
    uint64_t unreadable = 0;
    std::shared_ptr<const void> pin;
  };
  // Compares `ordinals`, which are live in `view` and ascend behind everything that waits, and takes the first of what
  // passes: at most `most`, and about kPieceBytes. What has died by `view` is left out.
  absl::StatusOr<Taken> Take(std::span<const Ordinal> ordinals, IndexView view, size_t most);

  bool empty() const { return waiting_.empty(); }
  // The first that waits. REQUIRES: there is one.
  Ordinal front() const { return waiting_.front().ordinal; }

 private:
  struct Match {
    Ordinal ordinal = kNoOrdinal;
    float similarity = 0;
    // It may be a match: its vector is damaged.
    bool damaged = false;
  };

  void Compare(std::span<const Ordinal> ordinals, AnswerPin& pin);
  Taken TakeFirst(IndexView view, size_t most, const std::shared_ptr<AnswerPin>& pin);

  // Constant after construction.
  const Journal* const journal_;
  Executor* const executor_;
  Clock* const clock_;
  const std::shared_ptr<Space> space_;
  const RecallQuery& query_;
  const std::span<const float> cue_;

  std::deque<Match> waiting_;
};

}  // namespace engram
