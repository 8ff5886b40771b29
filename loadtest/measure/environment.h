// Where a figure comes from: the machine, its processor and kernel, the programs, what they were built from and how.
//
// Threads: any. Blocks: reads a few files. Errors: none; what cannot be read is left out.
#pragma once

#include <filesystem>

#include "loadtest/measure/bench_document.h"

namespace engram {

// Into `environment.*`. `daemon` may be empty: one that runs elsewhere.
void PutEnvironment(const std::filesystem::path& daemon, BenchDocument& document);

}  // namespace engram
