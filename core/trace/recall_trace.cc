#include "core/trace/recall_trace.h"

#include <new>

#include "core/engine.h"
#include "core/space.h"

namespace engram {

void TimeRecall(const RecallTimes& times, Series& process) {
  const auto took = [&](Stage stage, std::chrono::nanoseconds time) {
    if (time.count() > 0) process.Observe(MetricId::kStage, time.count(), 1, SecondOf(stage));
  };
  took(Stage::kWalk, times.walk);
  took(Stage::kScan, times.scan);
  took(Stage::kRerank, times.rerank);
}

namespace {

void RecordRecall(Tracer& tracer, const Space& space, const RecallQuery& query, const RecallAnswer& answer,
                  const RecallTimes& times, const Clock& clock, bool sampled) {
  Trace trace;
  trace.Begin(times.begin);
  trace.kind = TraceKind::kRecall;
  trace.sampled = sampled;
  trace.space = space.name();
  trace.space_id = space.id();
  trace.id = query.id;
  trace.position = answer.visible_through.position;
  trace.priority = Priority::kHigh;
  trace.k = query.k;
  trace.hits = static_cast<uint32_t>(answer.hits.size());
  trace.graph_candidates = answer.graph_candidates;
  trace.tail_scanned = answer.tail_scanned;
  trace.began_wall_us = clock.WallMicros() - std::chrono::duration_cast<Duration>(clock.Now() - times.begin).count();

  const int recall = trace.Add(SpanName::kRecall, Trace::kRoot, times.begin, times.end);
  trace.Add(SpanName::kAtLeast, recall, times.begin, times.reached);
  trace.Add(SpanName::kSlot, recall, times.reached, times.running);
  if (times.search != MonotonicTime{}) {
    const int search = trace.Add(SpanName::kSearch, recall, times.search, times.searched);
    MonotonicTime at = times.search;
    const auto part = [&](SpanName name, std::chrono::nanoseconds took) {
      if (took.count() > 0) trace.Add(name, search, at, at + took);
      at += took;
    };
    part(SpanName::kWalk, times.walk);
    part(SpanName::kScan, times.scan);
    part(SpanName::kRerank, times.rerank);
    trace.Add(SpanName::kRead, recall, times.searched, times.end);
  }
  tracer.Record(trace);
}

}  // namespace

void TraceRecall(Tracer& tracer, const Space& space, const RecallQuery& query, const RecallAnswer& answer,
                 const RecallTimes& times, const Clock& clock) {
  const bool sampled = tracer.SampleRecall();
  if (!sampled && !tracer.Promote(times.end - times.begin, times.end)) return;
  try {
    RecordRecall(tracer, space, query, answer, times, clock, sampled);
  } catch (const std::bad_alloc&) {
    // No memory for its texts: the recall is answered without.
  }
}

}  // namespace engram
