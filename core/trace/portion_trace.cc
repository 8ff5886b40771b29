#include "core/trace/portion_trace.h"

#include <algorithm>
#include <new>

#include "core/stream_state.h"

namespace engram {
namespace {

// When each hop of the slice ended. What was not noted, by a journal that does all at once or a frame that was made
// here, took no time.
class Hops {
 public:
  explicit Hops(MonotonicTime began) : at_(began) {}
  MonotonicTime Next(MonotonicTime when) { return at_ = std::max(at_, when); }

 private:
  MonotonicTime at_;
};

void AddSpans(const PortionRecord& record, const Slice& slice, const AppliedRecord& applied, MonotonicTime told,
              Trace& trace) {
  const Frame& frame = *slice.frame;
  const CommitTimes& times = applied.times;
  Hops hops(trace.began);
  const MonotonicTime decoded = hops.Next(frame.batch.arrival.decoded);
  const MonotonicTime arrived = hops.Next(frame.arrived);
  const MonotonicTime checked = hops.Next(frame.checked);
  const MonotonicTime queued = hops.Next(slice.queued);
  const MonotonicTime taken = hops.Next(record.portion().turn.begun);
  const MonotonicTime begun = hops.Next(record.begun());
  const MonotonicTime filled = hops.Next(record.filled());
  const MonotonicTime reserved = hops.Next(times.reserved_at);
  const MonotonicTime encoded = hops.Next(times.encoded_at);
  const MonotonicTime grouped = hops.Next(times.taken_at);
  const MonotonicTime written = hops.Next(times.written_at);
  const MonotonicTime durable = hops.Next(times.durable_at);
  const MonotonicTime applying = hops.Next(applied.applying);
  const MonotonicTime visible = hops.Next(applied.applied);
  const MonotonicTime end = hops.Next(told);

  const int observe = trace.Add(SpanName::kObserve, Trace::kRoot, trace.began, end);
  const int admit = trace.Add(SpanName::kAdmit, observe, trace.began, queued);
  trace.Add(SpanName::kDecode, admit, trace.began, decoded);
  trace.Add(SpanName::kCheck, admit, arrived, checked);
  trace.Add(SpanName::kRoom, admit, checked, queued);
  trace.Add(SpanName::kQueue, observe, queued, taken);
  const int encode = trace.Add(SpanName::kEncode, observe, begun, encoded);
  trace.Add(SpanName::kFill, encode, begun, filled);
  trace.Add(SpanName::kReserve, encode, filled, reserved);
  trace.Add(SpanName::kSerialize, encode, reserved, encoded);
  const int journal = trace.Add(SpanName::kJournal, observe, encoded, durable);
  trace.Add(SpanName::kGather, journal, encoded, grouped);
  trace.Add(SpanName::kWrite, journal, grouped, written);
  trace.Add(SpanName::kSync, journal, written, durable);
  const int publish = trace.Add(SpanName::kPublish, observe, durable, visible);
  trace.Add(SpanName::kHandOver, publish, durable, applying);
  trace.Add(SpanName::kApply, publish, applying, visible);
  trace.Add(SpanName::kAcknowledge, observe, visible, end);
}

void RecordOne(Tracer& tracer, const PortionRecord& record, const Slice& slice, size_t in_record, uint32_t place,
               bool sampled, const AppliedRecord& applied, MonotonicTime told) {
  // Keeps its memory.
  thread_local Trace trace;
  const Frame& frame = *slice.frame;
  const Space& space = *record.space();
  const BatchTurn& turn = record.portion().turn;
  trace.Begin(frame.came());
  trace.kind = TraceKind::kObservation;
  trace.sampled = sampled;
  trace.space = space.name();
  trace.id = record.observations()[in_record].id;
  trace.stream = static_cast<const StreamState&>(*frame.stream).id();
  trace.sequence = frame.SequenceOf(place);
  trace.space_id = space.id();
  trace.ordinal = static_cast<Ordinal>(applied.end - record.size() + in_record);
  trace.position = applied.position;
  trace.priority = frame.priority;
  trace.lane = turn.lane;
  trace.worker = turn.worker;
  trace.batch = turn.number;
  trace.batch_observations = turn.observations;
  trace.began_wall_us = frame.arrived_wall_us - std::chrono::duration_cast<Duration>(frame.arrived - trace.began).count();
  trace.buffers = {.frame_bytes = frame.batch.arrival.bytes,
                   .frame_observations = static_cast<uint32_t>(frame.batch.observations.size()),
                   .frame_reused = frame.batch.arrival.reused,
                   .record_bytes = applied.payload_bytes,
                   .record_observations = static_cast<uint32_t>(record.size()),
                   .record_reused = record.reused(),
                   .group_bytes = applied.times.group_bytes,
                   .group_records = applied.times.group_records};
  AddSpans(record, slice, applied, told, trace);
  tracer.Record(trace);
}

}  // namespace

void TraceSlice(Tracer& tracer, const PortionRecord& record, const Slice& slice, size_t offset,
                const AppliedRecord& applied, MonotonicTime told) {
  const auto record_one = [&](uint32_t place, bool sampled) {
    RecordOne(tracer, record, slice, offset + (place - slice.begin), place, sampled, applied, told);
  };
  uint32_t place = slice.frame->sample.Next(slice.begin, slice.end);
  try {
    if (place == slice.end) {
      if (slice.size() > 0 && tracer.Promote(told - slice.frame->came(), told)) record_one(slice.begin, false);
      return;
    }
    for (; place < slice.end; place = slice.frame->sample.Next(place + 1, slice.end)) record_one(place, true);
  } catch (const std::bad_alloc&) {
    // No memory for its texts: acknowledging goes on without.
  }
}

}  // namespace engram
