// Traces for people: each as a tree with a time line, then what the stages took over all of them. Pure functions, any
// thread.
#pragma once

#include <string>
#include <vector>

#include "clients/cli/render.h"
#include "engram/v1/admin_service.pb.h"

namespace engram {

// Empty without traces. `state`: what the summary says of sampling, and of pools with `buffers`.
std::string TraceText(const Terminal& terminal, const std::vector<v1::Trace>& traces, const v1::TraceState& state,
                      bool buffers);

}  // namespace engram
