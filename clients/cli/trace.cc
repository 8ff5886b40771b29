// engram trace: what the daemon noted of some observations and recalls.
#include <utility>
#include <vector>

#include "clients/cli/session.h"
#include "clients/cli/trace_json.h"
#include "clients/cli/trace_text.h"

namespace engram {
namespace {

// Why there may be nothing to print.
std::string NoTraces(const v1::TraceState& state) {
  if (state.sample_period() == 0) return "no traces: tracing is off, trace.sample_rate is 0";
  if (state.recorded() == 0) return "no traces yet: one of every " + Grouped(state.sample_period()) + " is sampled";
  return "no traces that match are kept";
}

}  // namespace

ExitCode RunTrace(Session& session, const TraceOptions& options) {
  v1::TraceObservationsRequest request;
  request.set_limit(options.limit);
  request.set_space(options.space);
  request.set_slow_us(options.slow_us);
  request.set_selection(options.selection);
  absl::StatusOr<std::vector<v1::TraceObservationsResponse>> answer = session.daemon().TraceObservations(request);
  if (!answer.ok()) return session.Fail(answer.status());
  std::vector<v1::Trace> traces;
  v1::TraceState state;
  for (v1::TraceObservationsResponse& one : *answer) {
    if (one.has_trace()) traces.push_back(std::move(*one.mutable_trace()));
    if (one.has_state()) state = one.state();
  }
  if (options.format == "chrome") {
    session.Print(ChromeTrace(traces, options.buffers) + "\n");
  } else if (options.format == "json") {
    std::string lines;
    for (const v1::Trace& trace : traces) lines += TraceJson(trace, options.buffers) + "\n";
    session.Print(lines);
  } else {
    session.Print(TraceText(session.out(), traces, state, options.buffers));
  }
  if (traces.empty()) session.Warn(NoTraces(state));
  return kOk;
}

}  // namespace engram
