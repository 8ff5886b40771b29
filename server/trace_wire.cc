#include "server/trace_wire.h"

#include <fmt/format.h>

#include <string>

namespace engram {
namespace {

constexpr uint32_t kUsualLimit = 100;
constexpr uint32_t kMostTraces = 100'000;
constexpr int64_t kSlowest = 3'600'000'000;  // An hour.

static_assert(static_cast<int>(TraceKind::kObservation) == v1::TRACE_KIND_OBSERVATION);
static_assert(static_cast<int>(TraceKind::kRecall) == v1::TRACE_KIND_RECALL);

void EncodeObservation(const Trace& trace, v1::Trace* out) {
  out->set_stream_id(trace.stream);
  out->set_sequence(trace.sequence);
  out->set_ordinal(trace.ordinal);
  out->set_priority(static_cast<v1::Priority>(trace.priority));
  out->set_lane(trace.lane);
  out->set_worker(trace.worker);
  out->set_batch(trace.batch);
  out->set_batch_observations(trace.batch_observations);
  v1::TraceBuffers& buffers = *out->mutable_buffers();
  buffers.set_frame_bytes(trace.buffers.frame_bytes);
  buffers.set_frame_observations(trace.buffers.frame_observations);
  buffers.set_frame_reused(trace.buffers.frame_reused);
  buffers.set_record_bytes(trace.buffers.record_bytes);
  buffers.set_record_observations(trace.buffers.record_observations);
  buffers.set_record_reused(trace.buffers.record_reused);
  buffers.set_group_bytes(trace.buffers.group_bytes);
  buffers.set_group_records(trace.buffers.group_records);
}

}  // namespace

absl::StatusOr<Tracer::Query> DecodeTraceQuery(const v1::TraceObservationsRequest& request) {
  if (request.limit() > kMostTraces) {
    return absl::InvalidArgumentError(fmt::format("limit {} is not in 0..{}", request.limit(), kMostTraces));
  }
  if (request.slow_us() < 0 || request.slow_us() > kSlowest) {
    return absl::InvalidArgumentError(fmt::format("slow_us {} is not in 0..{}", request.slow_us(), kSlowest));
  }
  if (request.selection() < 0 || request.selection() > v1::TRACE_SELECTION_BOTH) {
    return absl::InvalidArgumentError(
        fmt::format("selection {} is unknown, 0 to 2 are known", static_cast<int>(request.selection())));
  }
  return Tracer::Query{.limit = request.limit() == 0 ? kUsualLimit : request.limit(),
                       .space = request.space(),
                       .slow = Duration(request.slow_us()),
                       .observations = request.selection() != v1::TRACE_SELECTION_RECALLS,
                       .recalls = request.selection() != v1::TRACE_SELECTION_OBSERVATIONS};
}

void Encode(const Trace& trace, v1::Trace* out) {
  out->set_number(trace.number);
  out->set_kind(static_cast<v1::TraceKind>(trace.kind));
  out->set_only_slow(!trace.sampled);
  out->set_space(trace.space);
  out->set_started_at_us(trace.began_wall_us);
  out->set_total_ns(trace.total().count());
  out->set_position(trace.position);
  out->set_id(trace.id);
  for (size_t i = 0; i < trace.span_count; ++i) {
    const TraceSpan& span = trace.spans[i];
    v1::Span& one = *out->add_spans();
    one.set_name(std::string(WordOf(span.name)));
    one.set_parent(span.parent);
    one.set_start_ns(span.start.count());
    one.set_duration_ns(span.duration.count());
  }
  if (trace.kind == TraceKind::kObservation) return EncodeObservation(trace, out);
  out->set_k(trace.k);
  out->set_hits(trace.hits);
  out->set_graph_candidates(trace.graph_candidates);
  out->set_tail_scanned(trace.tail_scanned);
}

void Encode(const Tracer::Reading& reading, const Series& process, v1::TraceState* out) {
  out->set_sample_period(reading.period);
  out->set_slow_us(reading.slow.count());
  out->set_capacity(reading.capacity);
  out->set_recorded(reading.recorded);
  out->set_frame_reuses(process.Count(MetricId::kPoolReuses));
  out->set_frame_fallbacks(process.Count(MetricId::kPoolFallbacks));
  out->set_record_reuses(process.Count(MetricId::kCommitReuses));
  out->set_record_fallbacks(process.Count(MetricId::kCommitFallbacks));
}

}  // namespace engram
