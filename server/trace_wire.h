// Traces between the core and the wire.
//
// Threads: pure functions. Errors: INVALID_ARGUMENT for what no query is.
#pragma once

#include "core/base/status.h"
#include "core/metrics/metrics.h"
#include "core/trace/tracer.h"
#include "engram/v1/admin_service.pb.h"

namespace engram {

absl::StatusOr<Tracer::Query> DecodeTraceQuery(const v1::TraceObservationsRequest& request);
void Encode(const Trace& trace, v1::Trace* out);
// `process` has the counters of the pools.
void Encode(const Tracer::Reading& reading, const Series& process, v1::TraceState* out);

}  // namespace engram
