// Traces for programs. Pure functions, any thread. Bytes that are not UTF-8 are replaced.
#pragma once

#include <string>
#include <vector>

#include "engram/v1/admin_service.pb.h"

namespace engram {

// One line, its spans as a tree; clients/cli/README.md describes it.
std::string TraceJson(const v1::Trace& trace, bool buffers);

// One document in the trace event format of Chrome, which Perfetto reads as well: complete events in microseconds since
// the first trace began. Observations, recalls and linking are a process each. What overlaps lies on different threads,
// for the events of one have to nest.
std::string ChromeTrace(const std::vector<v1::Trace>& traces, bool buffers);

}  // namespace engram
