// What a recall has noted on its way, as stages and as a trace.
//
// Threads:  the recall's. Ownership: everything outlives the call. Blocking: as Tracer::Record.
#pragma once

#include <chrono>

#include "core/base/clock.h"
#include "core/metrics/metrics.h"
#include "core/trace/tracer.h"

namespace engram {

struct RecallAnswer;
struct RecallQuery;
class Space;

struct RecallTimes {
  MonotonicTime begin{};
  MonotonicTime reached{};  // at_least was applied.
  MonotonicTime running{};  // It had a slot.
  // The last search of the index, where there was one, and what its parts took; they come one after the other, a second
  // scan (when a walk found too little) behind the first.
  MonotonicTime search{};
  MonotonicTime searched{};
  std::chrono::nanoseconds walk{0};
  std::chrono::nanoseconds scan{0};
  std::chrono::nanoseconds rerank{0};
  MonotonicTime end{};
};

// Counts the stages that there were.
void TimeRecall(const RecallTimes& times, Series& process);
// Records a trace when the recall is sampled, or was slow.
void TraceRecall(Tracer& tracer, const Space& space, const RecallQuery& query, const RecallAnswer& answer,
                 const RecallTimes& times, const Clock& clock);

}  // namespace engram
