// A benchmark's document as one HTML page that needs nothing else: tables, diagnosis and plots.
//
// Threads: a pure function. Errors: none; what was not measured is left out.
#pragma once

#include <string>

#include "loadtest/measure/bench_document.h"

namespace engram {

std::string RenderHtml(const BenchDocument& document);

}  // namespace engram
